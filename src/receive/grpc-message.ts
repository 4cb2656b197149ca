import { Code, ExportError } from "../otlp.ts";
import type { Permit } from "./admission.ts";

const prefixSize = 5;

/** The one message of a unary call, without its prefix. */
export interface Message {
  compressed: boolean;
  bytes: Buffer;
}

/**
 * Puts the one message of a unary call together from DATA frames: a flag, a length of 4 bytes, the bytes
 * (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md). The permit holds the length before there is a buffer
 * for it; each byte is copied once.
 */
export class MessageReader {
  readonly #maxSize: number;
  readonly #permit: Permit;
  readonly #prefix = Buffer.alloc(prefixSize);
  #prefixFilled = 0;
  #bytes: Buffer | undefined;
  #filled = 0;

  constructor(maxSize: number, permit: Permit) {
    this.#maxSize = maxSize;
    this.#permit = permit;
  }

  /** @throws {ExportError} as soon as it is clear that the message is not to be had. */
  push(chunk: Buffer): void {
    let offset = 0;
    if (this.#bytes === undefined) {
      offset = chunk.copy(this.#prefix, this.#prefixFilled, 0, prefixSize - this.#prefixFilled);
      this.#prefixFilled += offset;
      if (this.#prefixFilled < prefixSize) return;
      this.#bytes = this.#open();
    }
    if (chunk.length - offset > this.#bytes.length - this.#filled) {
      throw new ExportError(Code.UNIMPLEMENTED, "Export takes one message, and more were sent");
    }
    this.#filled += chunk.copy(this.#bytes, this.#filled, offset);
  }

  /** Call at the end of the stream. */
  finish(): Message {
    if (this.#prefixFilled === 0) {
      throw new ExportError(Code.UNIMPLEMENTED, "Export takes one message, and none was sent");
    }
    if (this.#bytes === undefined || this.#filled < this.#bytes.length) {
      throw new ExportError(Code.INTERNAL, "the stream ended within the message");
    }
    return { compressed: this.#prefix[0] === 1, bytes: this.#bytes };
  }

  #open(): Buffer {
    const flag = this.#prefix[0]!;
    if (flag > 1)
      throw new ExportError(Code.INTERNAL, `the message has compressed-flag ${flag}, neither 0 nor 1`);
    const length = this.#prefix.readUInt32BE(1);
    if (length > this.#maxSize) {
      throw new ExportError(
        Code.RESOURCE_EXHAUSTED,
        `the message has ${length} bytes, more than receive.limits.max_request_size (${this.#maxSize})`,
      );
    }
    this.#permit.hold(length);
    return Buffer.allocUnsafeSlow(length);
  }
}

export function frame(message: Uint8Array): Buffer {
  const framed = Buffer.alloc(prefixSize + message.length);
  framed.writeUInt32BE(message.length, 1);
  framed.set(message, prefixSize);
  return framed;
}
