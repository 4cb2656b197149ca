import type { Permit } from "./admission.ts";

/** The least that a second piece makes it grow to: smaller steps would cost more in copies than they save. */
const minCapacity = 64 * 2 ** 10;

/**
 * Joins the pieces of a body, however small they are. Memory is allocated for what has arrived, at most twice as much, and
 * the permit holds it before it is there.
 */
export class GrowingBuffer {
  readonly #permit: Permit;
  /** The length if it is known, or the longest that is allowed. */
  readonly #most: number;
  /** Bytes that the permit holds for something else meanwhile. */
  readonly #besides: number;
  #bytes = Buffer.allocUnsafeSlow(0);
  #length = 0;

  constructor(permit: Permit, most: number, besides = 0) {
    this.#permit = permit;
    this.#most = most;
    this.#besides = besides;
  }

  get length(): number {
    return this.#length;
  }

  /**
   * Appends a copy. The caller sees to it that the whole is not longer than `most`.
   * @throws {ExportError} what `Permit.hold` throws.
   */
  push(chunk: Uint8Array): void {
    const length = this.#length + chunk.length;
    if (length > this.#bytes.length) {
      const least = this.#length === 0 ? 0 : Math.max(2 * this.#bytes.length, minCapacity);
      this.#resize(Math.min(this.#most, Math.max(length, least)));
    }
    this.#bytes.set(chunk, this.#length);
    this.#length = length;
  }

  /** All that was pushed; the permit holds exactly that. Nothing can be pushed afterwards. */
  finish(): Buffer {
    if (this.#length < this.#bytes.length) this.#resize(this.#length);
    return this.#bytes;
  }

  #resize(capacity: number): void {
    this.#permit.hold(this.#besides + capacity);
    const old = this.#bytes;
    // Its pages take memory as they are written, and those of the old one are given back at once: there are never more.
    this.#bytes = Buffer.allocUnsafeSlow(capacity);
    this.#bytes.set(old.subarray(0, this.#length));
    (old.buffer as ArrayBuffer).transfer(0);
  }
}
