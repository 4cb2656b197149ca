/** The thread that converts large bodies to log records. */
import { serve } from "../../base/thread.ts";
import { type EventFormat, type Reading, readText } from "./read.ts";

export interface Job {
  format: EventFormat;
  text: Uint8Array;
  receivedMs: number;
}

serve<Job, Reading>({
  answer: ({ format, text, receivedMs }) =>
    readText(format, Buffer.from(text.buffer as ArrayBuffer, text.byteOffset, text.byteLength), receivedMs),
  toFailure: (error) => ({ message: (error as Error).message }),
});
