import type { Entry } from "./log.ts";

/** Entries that were just appended and will be taken next, in memory, so that a queue that keeps up reads nothing back. */
export class Recent {
  readonly #maxSize: number;
  readonly #entries: Entry[] = [];
  #size = 0;

  /** @param maxSize of all bodies, bytes. */
  constructor(maxSize: number) {
    this.#maxSize = maxSize;
  }

  /** Keeps an entry where it is the next to be taken, at the position `taken`, or comes right behind one that is kept. */
  add(entry: Entry, taken: number): void {
    const follows = entry.start === (this.#entries.at(-1)?.end ?? taken);
    if (!follows || this.#size + entry.body.length > this.#maxSize) return;
    this.#entries.push(entry);
    this.#size += entry.body.length;
  }

  /** The entry at the position `taken`, if it is here. */
  take(taken: number): Entry | undefined {
    // Those that were read from the disk in the very moment in which they came here.
    while (this.#entries.length > 0 && this.#entries[0]!.start < taken) this.#shift();
    return this.#entries[0]?.start === taken ? this.#shift() : undefined;
  }

  #shift(): Entry {
    const entry = this.#entries.shift()!;
    this.#size -= entry.body.length;
    return entry;
  }
}
