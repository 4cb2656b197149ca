/** The weight of the latest answer in the share of refusals. */
const weight = 1 / 16;
/** The share from which on the downstream seems to accept nothing. 36 refusals in a row reach it. */
const hopeless = 0.9;

/**
 * Limits how many callers proceed at once, in the order of their arrival. The limit follows what the downstream accepts: a
 * refusal halves it, and successes raise it by one per round, as in TCP, so that rare refusals cost little.
 */
export class Slots {
  readonly #size: number;
  #limit: number;
  #busy = 0;
  /** The share of refusals among the latest answers. */
  #share = 0;
  /** The waiting callers in the order of their arrival. It is a set so that giving up costs the others nothing. */
  readonly #waiting = new Set<() => void>();
  #resumeAt = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(size: number) {
    this.#size = size;
    this.#limit = size;
  }

  /** Returns true if it is the caller's turn at once; otherwise the caller has to `acquire` it. */
  tryAcquire(): boolean {
    if (this.#waiting.size > 0 || !this.#hasRoom) return false;
    this.#busy++;
    return true;
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
    this.#busy--;
    this.#admit();
  }

  /** The downstream has accepted a request. */
  taken(): void {
    this.#share -= this.#share * weight;
    this.#limit = Math.min(this.#size, this.#limit + 1 / this.#limit);
  }

  /** The downstream has asked to wait. If it accepts nothing, nobody proceeds for that time; a longer current pause remains. */
  throttled(milliseconds: number): void {
    this.#share += (1 - this.#share) * weight;
    this.#limit = Math.max(1, this.#limit / 2);
    if (this.#share < hopeless) return;
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

  get #hasRoom(): boolean {
    return this.#busy < Math.floor(this.#limit) && performance.now() >= this.#resumeAt;
  }

  #admit(): void {
    for (const enter of this.#waiting) {
      if (!this.#hasRoom) return;
      this.#busy++;
      this.#waiting.delete(enter);
      enter();
    }
  }
}
