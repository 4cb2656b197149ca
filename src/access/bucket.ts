/** The capacity of a bucket, in seconds of its rate. */
const burst = 2;

/**
 * A token bucket whose level may become negative. A request's cost is known only after it has been read, so it is
 * admitted while any budget is left; later requests repay the overdraft.
 */
export class Bucket {
  /** Tokens per second. */
  readonly rate: number;
  readonly capacity: number;
  #level: number;
  /** The time of the level, in milliseconds of a monotonic clock; see `Limiter`. */
  #at: number;
  /** Tokens taken since the last `flush`. */
  #pending = 0;

  constructor(rate: number, now: number) {
    this.rate = rate;
    this.capacity = Math.max(1, rate * burst);
    this.#level = this.capacity;
    this.#at = now;
  }

  /** Milliseconds until a token is available; 0 if one is. */
  wait(now: number): number {
    this.#fill(now);
    return this.#level >= 1 ? 0 : ((1 - this.#level) / this.rate) * 1_000;
  }

  take(cost: number): void {
    this.#level -= cost;
    this.#pending += cost;
  }

  isFull(now: number): boolean {
    this.#fill(now);
    return this.#level >= this.capacity;
  }

  /** Returns the tokens taken since the last call. */
  flush(): number {
    const pending = this.#pending;
    this.#pending = 0;
    return pending;
  }

  /** Continues from a level that includes everything flushed so far and what other processes took. */
  adopt(level: number, now: number): void {
    this.#level = Math.min(this.capacity, level) - this.#pending;
    this.#at = now;
  }

  #fill(now: number): void {
    this.#level = Math.min(this.capacity, this.#level + ((now - this.#at) / 1_000) * this.rate);
    this.#at = now;
  }
}
