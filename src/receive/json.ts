import { Thread } from "../base/thread.ts";
import { otlpJsonToProtobuf } from "../otlp/json.ts";
import { countJsonValues } from "../otlp/json-shape.ts";
import { Code, ExportError, type Signal } from "../otlp/protocol.ts";
import type { Permit } from "./admission.ts";
import type { JsonJob, Malformed } from "./json-worker.ts";

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
  readonly #thread: Thread<JsonJob, Uint8Array, Malformed>;

  constructor() {
    // Its name ends as this file's does, before and after compilation.
    const url = new URL(`./json-worker${import.meta.url.slice(-3)}`, import.meta.url);
    this.#thread = new Thread(url, undefined, ({ message, malformed }) =>
      malformed ? new ExportError(Code.INVALID_ARGUMENT, message) : new Error(message),
    );
  }

  /**
   * On return the permit holds the result alone.
   * @throws {ExportError} INVALID_ARGUMENT for what is not OTLP/JSON; what `Permit.hold` throws.
   */
  async read(signal: Signal, text: Buffer, permit: Pick<Permit, "hold">): Promise<Buffer> {
    const values = await countJsonValues(text);
    permit.hold(text.length * bytesPerByte + values * bytesPerValue);
    const bytes = view(
      text.length <= maxInline ? otlpJsonToProtobuf(signal, text) : await this.#thread.call({ signal, text }),
    );
    permit.hold(bytes.length);
    return bytes;
  }

  /** Gives up what is being read. */
  close(): void {
    void this.#thread.close(0);
  }
}

function view({ buffer, byteOffset, byteLength }: Uint8Array): Buffer {
  return Buffer.from(buffer as ArrayBuffer, byteOffset, byteLength);
}
