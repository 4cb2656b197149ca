import type { Permit } from "./admission.ts";

/**
 * Memory is allocated for at most so many times what has arrived, up to a usual size: for more if the sender has announced a length,
 * so that most bodies are allocated once. Pages that are not written yet take no physical memory.
 */
const foresight = 8;
const announcedForesight = 32;
const usualSize = 2 ** 20;

export interface Expected {
  /** The length of the body if it is known, or the longest that is allowed. */
  most: number;
  /** Whether the sender has announced `most`. */
  announced?: boolean;
}

/**
 * Joins the pieces of a body, however small they are. Memory is allocated in proportion to what has arrived, and the permit
 * holds it before it is there.
 */
export class GrowingBuffer {
  readonly #permit: Permit;
  readonly #most: number;
  readonly #foresight: number;
  /** Bytes that the permit holds for something else meanwhile. */
  readonly #besides: number;
  #bytes: Buffer | undefined;
  #length = 0;

  constructor(permit: Permit, { most, announced = false }: Expected, besides = 0) {
    this.#permit = permit;
    this.#most = most;
    this.#foresight = announced ? announcedForesight : foresight;
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
    const capacity = this.#bytes?.length ?? 0;
    if (length > capacity) {
      const wanted = Math.min(this.#foresight * length, usualSize, this.#permit.headroom - this.#besides);
      const larger = Math.max(2 * capacity, wanted);
      this.#resize(Math.min(this.#most, Math.max(length, larger)));
    }
    this.#bytes?.set(chunk, this.#length);
    this.#length = length;
  }

  /** All that was pushed; the permit holds exactly that. Nothing can be pushed afterwards. */
  finish(): Buffer {
    if (this.#bytes === undefined || this.#length < this.#bytes.length) this.#resize(this.#length);
    return this.#bytes!;
  }

  #resize(capacity: number): void {
    this.#permit.hold(this.#besides + capacity);
    const old = this.#bytes;
    // Its pages take memory as they are written, and those of the old one are given back at once: there are never more.
    this.#bytes = Buffer.allocUnsafeSlow(capacity);
    if (old === undefined) return;
    this.#bytes.set(old.subarray(0, this.#length));
    (old.buffer as ArrayBuffer).transfer(0);
  }
}
