import type { Found } from "./reader.ts";

/** Entries that were just appended and will be taken next, in memory, so that a queue that keeps up reads nothing back. */
export class Recent {
  readonly #maxSize: number;
  /** The bodies by their start; each begins where the one before ends. */
  readonly #entries = new Map<number, Found>();
  #end = 0;
  #size = 0;

  /** @param maxSize of all bodies, bytes. */
  constructor(maxSize: number) {
    this.#maxSize = maxSize;
  }

  /** Keeps an entry where it is the next to be taken, at the position `taken`, or comes right behind one that is kept. */
  add(entry: Found, taken: number): void {
    // What is left was read from the disk in the very moment in which it came here.
    if (this.#end <= taken) this.#clear(taken);
    if (entry.start !== this.#end || this.#size + entry.body.length > this.#maxSize) return;
    this.#entries.set(entry.start, entry);
    this.#end = entry.end;
    this.#size += entry.body.length;
  }

  /** The entry at the position `taken`, if it is here. */
  take(taken: number): Found | undefined {
    const entry = this.#entries.get(taken);
    if (entry) {
      this.#entries.delete(taken);
      this.#size -= entry.body.length;
    }
    return entry;
  }

  #clear(end: number): void {
    this.#entries.clear();
    this.#end = end;
    this.#size = 0;
  }
}
