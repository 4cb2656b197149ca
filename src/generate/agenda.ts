/** Runs actions in the order of their times; those of the same time in the order in which they were planned. */
export class Agenda {
  /** The current time, in microseconds since the start. */
  now = 0;
  /** A binary heap. */
  readonly #heap: { time: number; order: number; action: () => void }[] = [];
  #count = 0;

  /** The time of the next action, or infinity if there is none. */
  get next(): number {
    return this.#heap[0]?.time ?? Number.POSITIVE_INFINITY;
  }

  /** Plans an action that is due after `delay` microseconds. */
  after(delay: number, action: () => void): void {
    const entry = { time: this.now + delay, order: this.#count++, action };
    const heap = this.#heap;
    let at = heap.length;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!before(entry, heap[parent]!)) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = entry;
  }

  /** Advances to the next action, which must exist, and runs it. */
  step(): void {
    const heap = this.#heap;
    const first = heap[0]!;
    const last = heap.pop()!;
    if (heap.length > 0) {
      let at = 0;
      for (;;) {
        let child = 2 * at + 1;
        if (child >= heap.length) break;
        if (child + 1 < heap.length && before(heap[child + 1]!, heap[child]!)) child++;
        if (!before(heap[child]!, last)) break;
        heap[at] = heap[child]!;
        at = child;
      }
      heap[at] = last;
    }
    this.now = first.time;
    first.action();
  }
}

interface Entry {
  time: number;
  order: number;
}

function before(a: Entry, b: Entry): boolean {
  return a.time < b.time || (a.time === b.time && a.order < b.order);
}
