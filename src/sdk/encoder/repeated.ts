import { type AttributesLike, writeLongAttribute } from "./values.ts";
import type { Writer } from "./writer.ts";

/** As V8 knows it, a loop over all keys that calls it is faster than one over `Object.keys`. */
const isOwn = Object.prototype.hasOwnProperty;

/** Whether a value is as it was. An object may have changed since. V8 compares faster what it knows to be strings. */
function isSame(value: unknown, former: unknown): boolean {
  if (typeof value === "string") return typeof former === "string" && value === former;
  return value === former && typeof value !== "object";
}

/** An attribute of the latest record. */
interface Attribute {
  key: string;
  value: unknown;
  /** Number of bytes that it takes. */
  size: number;
  /** Whether `shortPair` has written it. */
  short: boolean;
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
  /** The attributes of the latest record are the first so many, side by side from there on in the writer. */
  readonly #attributes: Attribute[] = [];
  #count = 0;
  #start = 0;

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
    const start = writer.size;
    let i = 0;
    // What is to be copied next, which ends where the next former attribute begins.
    let from = this.#start;
    let to = from;
    for (const key in attributes) {
      if (!isOwn.call(attributes, key)) continue;
      const value = attributes[key];
      const former = this.#at(i);
      const exists = i < this.#count;
      const known = exists && key === former.key;
      if (known && isSame(value, former.value)) {
        to += former.size;
      } else {
        writer.repeat(from, to);
        const before = writer.size;
        const position = known && former.short ? to : -1;
        const short = typeof value === "string" && writer.shortPair(field, key, value, position);
        if (!short) writeLongAttribute(writer, field, key, value);
        if (exists) to += former.size;
        from = to;
        former.key = key;
        former.value = value;
        former.size = writer.size - before;
        former.short = short;
      }
      i += 1;
    }
    writer.repeat(from, to);
    this.#count = i;
    this.#start = start;
  }

  /** Returns a place for an attribute, with what was there. */
  #at(i: number): Attribute {
    const known = this.#attributes[i];
    if (known !== undefined) return known;
    const fresh: Attribute = { key: "", value: undefined, size: 0, short: false };
    this.#attributes.push(fresh);
    return fresh;
  }

  /** Copies nothing that was written before. */
  forget(): void {
    this.#nameEnd = 0;
    this.#count = 0;
  }
}
