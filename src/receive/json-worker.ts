/** The thread on which large OTLP/JSON requests become protobuf. */
import { serve } from "../base/thread.ts";
import { otlpJsonToProtobuf } from "../otlp/json.ts";
import { ExportError, type Signal } from "../otlp/protocol.ts";

export interface JsonJob {
  signal: Signal;
  text: Uint8Array;
}

/** Set for what is wrong with the text; anything else is a fault of ours, which ends the thread. */
export interface Malformed {
  malformed: true;
}

serve<JsonJob, Uint8Array, Malformed>({
  answer: ({ signal, text }) => otlpJsonToProtobuf(signal, text),
  transfer: ({ buffer }) => [buffer as ArrayBuffer],
  toFailure(error) {
    if (error instanceof ExportError) return { message: error.message, malformed: true };
    throw error;
  },
});
