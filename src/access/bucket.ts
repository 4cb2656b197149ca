/** Seconds of its rate that a tenant may use at once. */
const burst = 2;

/**
 * A token bucket that may go below zero: what a request costs is known only once it is in, so it passes while anything is
 * left, and those after it wait for the debt.
 */
export class Bucket {
  /** A second. */
  readonly rate: number;
  readonly capacity: number;
  #level: number;
  /** When the level was so, in milliseconds by a clock that never steps: see `Limiter`. */
  #at: number;
  /** Taken since `tell`. */
  #untold = 0;

  constructor(rate: number, now: number) {
    this.rate = rate;
    this.capacity = Math.max(1, rate * burst);
    this.#level = this.capacity;
    this.#at = now;
  }

  /** Milliseconds until there is something again; 0 where there is. */
  wait(now: number): number {
    this.#fill(now);
    return this.#level >= 1 ? 0 : ((1 - this.#level) / this.rate) * 1_000;
  }

  take(cost: number): void {
    this.#level -= cost;
    this.#untold += cost;
  }

  isFull(now: number): boolean {
    this.#fill(now);
    return this.#level >= this.capacity;
  }

  /** What was taken since the last call. */
  tell(): number {
    const untold = this.#untold;
    this.#untold = 0;
    return untold;
  }

  /** Goes on from a level that knows of all that was told, and of what others took. */
  adopt(level: number, now: number): void {
    this.#level = Math.min(this.capacity, level) - this.#untold;
    this.#at = now;
  }

  #fill(now: number): void {
    this.#level = Math.min(this.capacity, this.#level + ((now - this.#at) / 1_000) * this.rate);
    this.#at = now;
  }
}
