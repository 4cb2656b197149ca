/** The thread on which large OTLP/JSON requests become protobuf. */
import { parentPort } from "node:worker_threads";
import { otlpJsonToProtobuf } from "../otlp/json.ts";
import { ExportError, type Signal } from "../otlp/protocol.ts";

export interface Job {
  id: number;
  signal: Signal;
  text: Uint8Array;
}

export type Result = { id: number; bytes: Uint8Array } | { id: number; invalid: string };

parentPort!.on("message", ({ id, signal, text }: Job) => {
  try {
    const bytes = otlpJsonToProtobuf(signal, text);
    parentPort!.postMessage({ id, bytes } satisfies Result, [bytes.buffer as ArrayBuffer]);
  } catch (error) {
    // Anything else is a fault of ours: it ends the thread, and the other side reports it.
    if (!(error instanceof ExportError)) throw error;
    parentPort!.postMessage({ id, invalid: error.message } satisfies Result);
  }
});
