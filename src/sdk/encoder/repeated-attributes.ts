import { type AttributesLike, writeAttribute } from "./values.ts";
import type { Writer } from "./writer.ts";

/** As V8 knows it, a loop over all keys that calls it is faster than one over `Object.keys`. */
const isOwn = Object.prototype.hasOwnProperty;

/**
 * Writes the attributes of one record after the other. Those that are as they were in the record before, as most are, are copied
 * from there, side by side in one go.
 */
export class RepeatedAttributes {
  readonly #keys: string[] = [];
  readonly #values: unknown[] = [];
  /** Where the attributes are in the writer. */
  readonly #starts: number[] = [];
  readonly #ends: number[] = [];

  /** @param writer the same in each call, and unchanged where attributes were written unless `forget` is called */
  write(writer: Writer, field: number, attributes: AttributesLike): void {
    let i = 0;
    // What is to be copied next.
    let from = 0;
    let to = 0;
    for (const key in attributes) {
      if (!isOwn.call(attributes, key)) continue;
      const value = attributes[key];
      const position = writer.size + (to - from);
      // An object may have changed since.
      if (key === this.#keys[i] && value === this.#values[i] && typeof value !== "object") {
        const start = this.#starts[i]!;
        if (start !== to) {
          writer.repeat(from, to);
          from = start;
        }
        to = this.#ends[i]!;
        this.#ends[i] = position + (to - start);
      } else {
        writer.repeat(from, to);
        from = 0;
        to = 0;
        writeAttribute(writer, field, key, value);
        this.#keys[i] = key;
        this.#values[i] = value;
        this.#ends[i] = writer.size;
      }
      this.#starts[i] = position;
      i += 1;
    }
    writer.repeat(from, to);
  }

  /** Copies nothing that was written before. */
  forget(): void {
    this.#keys.length = 0;
  }
}
