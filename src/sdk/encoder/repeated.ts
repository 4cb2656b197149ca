import { type AttributesLike, writeLongAttribute } from "./values.ts";
import type { Writer } from "./writer.ts";

/** As V8 knows it, a loop over all keys that calls it is faster than one over `Object.keys`. */
const isOwn = Object.prototype.hasOwnProperty;

/** Whether a value is as it was. An object may have changed since. V8 compares faster what it knows to be strings. */
function isSame(value: unknown, former: unknown): boolean {
  if (typeof value === "string") return typeof former === "string" && value === former;
  return value === former && typeof value !== "object";
}

/**
 * Writes the names and attributes of one record after the other. Those that are as they were in the record before, as most are, are
 * copied from there, side by side in one go. Of the others, the keys are, if they are the same.
 */
export class Repeated {
  /** The latest name, and where it is in the writer; at 0 if there is none. */
  #name = "";
  #nameStart = 0;
  #nameEnd = 0;
  readonly #keys: string[] = [];
  readonly #values: unknown[] = [];
  /** Where the attributes are in the writer. */
  readonly #starts: number[] = [];
  readonly #ends: number[] = [];
  /** Which of them `shortPair` has written. */
  readonly #short: boolean[] = [];

  /** Writes a name, of which each record has one. @param writer see `attributes` */
  name(writer: Writer, field: number, name: string): void {
    const start = writer.size;
    if (this.#nameEnd > 0 && name === this.#name) {
      writer.repeat(this.#nameStart, this.#nameEnd);
    } else {
      writer.string(field, name);
      this.#name = name;
    }
    this.#nameStart = start;
    this.#nameEnd = writer.size;
  }

  /** @param writer the same in each call, and unchanged where attributes were written unless `forget` is called */
  attributes(writer: Writer, field: number, attributes: AttributesLike): void {
    let i = 0;
    // What is to be copied next.
    let from = 0;
    let to = 0;
    for (const key in attributes) {
      if (!isOwn.call(attributes, key)) continue;
      const value = attributes[key];
      const position = writer.size + (to - from);
      const known = key === this.#keys[i];
      if (known && isSame(value, this.#values[i])) {
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
        const former = known && this.#short[i] === true ? this.#starts[i]! : -1;
        const short = typeof value === "string" && writer.shortPair(field, key, value, former);
        if (!short) writeLongAttribute(writer, field, key, value);
        this.#keys[i] = key;
        this.#values[i] = value;
        this.#short[i] = short;
        this.#ends[i] = writer.size;
      }
      this.#starts[i] = position;
      i += 1;
    }
    writer.repeat(from, to);
  }

  /** Copies nothing that was written before. */
  forget(): void {
    this.#nameEnd = 0;
    this.#keys.length = 0;
  }
}
