import { prefixSize } from "../otlp/grpc.ts";
import { Code, ExportError } from "../otlp/protocol.ts";
import type { Permit } from "./admission.ts";
import { GrowingBuffer } from "./growing-buffer.ts";

/** The one message of a unary call, without its prefix. */
export interface Message {
  compressed: boolean;
  bytes: Buffer;
}

/**
 * Puts the one message of a unary call together from DATA frames, whatever their sizes: a flag, a length of 4 bytes, the
 * bytes (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md). What has arrived is held, not what is announced.
 */
export class MessageReader {
  readonly #maxSize: number;
  readonly #permit: Permit;
  readonly #prefix = Buffer.alloc(prefixSize);
  #prefixFilled = 0;
  #length = 0;
  #bytes: GrowingBuffer | undefined;

  constructor(maxSize: number, permit: Permit) {
    this.#maxSize = maxSize;
    this.#permit = permit;
  }

  /** @throws {ExportError} as soon as it is clear that the message is not to be had. */
  push(chunk: Buffer): void {
    this.#permit.progress(chunk.length);
    let offset = 0;
    if (this.#bytes === undefined) {
      offset = chunk.copy(this.#prefix, this.#prefixFilled, 0, prefixSize - this.#prefixFilled);
      this.#prefixFilled += offset;
      if (this.#prefixFilled < prefixSize) return;
      this.#bytes = this.#open();
    }
    if (chunk.length - offset > this.#length - this.#bytes.length) {
      throw new ExportError(Code.UNIMPLEMENTED, "Export takes one message, and more were sent");
    }
    if (offset < chunk.length) this.#bytes.push(chunk.subarray(offset));
  }

  /** Call at the end of the stream. */
  finish(): Message {
    if (this.#prefixFilled === 0) {
      throw new ExportError(Code.UNIMPLEMENTED, "Export takes one message, and none was sent");
    }
    if (this.#bytes === undefined || this.#bytes.length < this.#length) {
      throw new ExportError(Code.INTERNAL, "the stream ended within the message");
    }
    return { compressed: this.#prefix[0] === 1, bytes: this.#bytes.finish() };
  }

  #open(): GrowingBuffer {
    const flag = this.#prefix[0]!;
    if (flag > 1)
      throw new ExportError(Code.INTERNAL, `the message has compressed-flag ${flag}, neither 0 nor 1`);
    this.#length = this.#prefix.readUInt32BE(1);
    if (this.#length > this.#maxSize) {
      throw new ExportError(
        Code.RESOURCE_EXHAUSTED,
        `the message has ${this.#length} bytes, more than receive.limits.max_request_size (${this.#maxSize})`,
      );
    }
    return new GrowingBuffer(this.#permit, { most: this.#length, announced: true });
  }
}
