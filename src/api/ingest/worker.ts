/** The thread that converts large bodies to OTLP. */
import { serve } from "../../base/thread.ts";
import { type ItemFormat, type ItemKind, type Reading, readText } from "./read.ts";

export interface Job {
  kind: ItemKind;
  format: ItemFormat;
  text: Uint8Array;
  receivedMs: number;
}

serve<Job, Reading>({
  answer: ({ kind, format, text, receivedMs }) =>
    readText(
      kind,
      format,
      Buffer.from(text.buffer as ArrayBuffer, text.byteOffset, text.byteLength),
      receivedMs,
    ),
  toFailure: (error) => ({ message: (error as Error).message }),
});
