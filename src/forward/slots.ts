/** Lets so many in at once, in the order in which they came. */
export class Slots {
  #free: number;
  /** In order of coming; a set, so that one who gives up leaves at no cost to the rest. */
  readonly #waiting = new Set<() => void>();
  #resumeAt = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(size: number) {
    this.#free = size;
  }

  /** Resolves when it is the caller's turn; rejects with the signal's reason if that is aborted first. */
  acquire(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      const giveUp = () => {
        this.#waiting.delete(enter);
        reject(signal.reason);
      };
      const enter = () => {
        signal.removeEventListener("abort", giveUp);
        resolve();
      };
      signal.addEventListener("abort", giveUp, { once: true });
      this.#waiting.add(enter);
      this.#admit();
    });
  }

  release(): void {
    this.#free++;
    this.#admit();
  }

  /** Lets nobody in for so long; a longer pause under way stands. */
  pause(milliseconds: number): void {
    this.#resumeAt = Math.max(this.#resumeAt, performance.now() + milliseconds);
    this.#resume();
  }

  close(): void {
    clearTimeout(this.#timer);
  }

  /** A timer may fire a fraction of a millisecond before performance.now() agrees: then it is set again. */
  #resume(): void {
    clearTimeout(this.#timer);
    const left = this.#resumeAt - performance.now();
    if (left > 0) this.#timer = setTimeout(() => this.#resume(), Math.ceil(left));
    else this.#admit();
  }

  #admit(): void {
    if (performance.now() < this.#resumeAt) return;
    for (const enter of this.#waiting) {
      if (this.#free === 0) return;
      this.#free--;
      this.#waiting.delete(enter);
      enter();
    }
  }
}
