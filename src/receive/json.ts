import { Worker } from "node:worker_threads";
import { otlpJsonToProtobuf } from "../otlp/json.ts";
import { countJsonValues } from "../otlp/json-shape.ts";
import { Code, ExportError, type Signal } from "../otlp/protocol.ts";
import type { Permit } from "./admission.ts";
import type { Job, Result } from "./json-worker.ts";

/** Bytes of text that the event loop converts itself: 3 ms for the worst shapes that are known. */
const maxInline = 64 * 2 ** 10;

/** What text and each value in it take while they are objects: strings of 16 bits per character, and their tree. */
const bytesPerByte = 4;
const bytesPerValue = 64;

/**
 * Reads OTLP/JSON as protobuf. The objects in between are counted against the permit before there are any; large texts go
 * to a thread, which starts with the first of them, one after another.
 */
export class JsonReader {
  readonly #waiting = new Map<number, PromiseWithResolvers<Buffer>>();
  #worker: Worker | undefined;
  #lastId = 0;

  /**
   * On return the permit holds the result alone.
   * @throws {ExportError} INVALID_ARGUMENT for what is not OTLP/JSON; what `Permit.hold` throws.
   */
  async read(signal: Signal, text: Buffer, permit: Permit): Promise<Buffer> {
    const values = await countJsonValues(text);
    permit.hold(text.length * bytesPerByte + values * bytesPerValue);
    const bytes =
      text.length <= maxInline ? view(otlpJsonToProtobuf(signal, text)) : await this.#delegate(signal, text);
    permit.hold(bytes.length);
    return bytes;
  }

  close(): void {
    void this.#worker?.terminate();
  }

  #delegate(signal: Signal, text: Buffer): Promise<Buffer> {
    this.#worker ??= this.#start();
    this.#lastId += 1;
    const id = this.#lastId;
    const answer = Promise.withResolvers<Buffer>();
    this.#waiting.set(id, answer);
    this.#worker.postMessage({ id, signal, text } satisfies Job);
    return answer.promise;
  }

  #start(): Worker {
    // Its name ends as this file's does, before and after compilation.
    const worker = new Worker(new URL(`./json-worker${import.meta.url.slice(-3)}`, import.meta.url));
    worker.unref();
    worker.on("message", (result: Result) => {
      const answer = this.#waiting.get(result.id);
      this.#waiting.delete(result.id);
      if ("bytes" in result) answer?.resolve(view(result.bytes));
      else answer?.reject(new ExportError(Code.INVALID_ARGUMENT, result.invalid));
    });
    let failure = new Error("the thread that reads JSON ended");
    worker.on("error", (error) => {
      failure = error as Error;
    });
    worker.on("exit", () => {
      this.#worker = undefined;
      for (const answer of this.#waiting.values()) answer.reject(failure);
      this.#waiting.clear();
    });
    return worker;
  }
}

function view({ buffer, byteOffset, byteLength }: Uint8Array): Buffer {
  return Buffer.from(buffer as ArrayBuffer, byteOffset, byteLength);
}
