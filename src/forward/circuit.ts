/** The failures in a row after which nothing is sent to a downstream for a while. */
const threshold = 5;

/** What an attempt shows about the downstream: it answered, it did not answer, or nothing is known. */
export type Verdict = "alive" | "dead" | "unknown";

/**
 * A circuit breaker: after some failures in a row no attempt goes out for a pause, and then a single one that decides. Each
 * pause is twice the one before. What answers slowly, or not at all, is thus asked by one request at a time.
 */
export class Circuit {
  readonly #firstPauseMs: number;
  readonly #longestPauseMs: number;
  readonly #now: () => number;
  #failures = 0;
  /** Counts those of one outage. */
  #pauses = 0;
  #openUntil = 0;
  #trial = false;

  /** @param now milliseconds, never going back. */
  constructor(firstPauseMs: number, longestPauseMs: number, now = () => performance.now()) {
    this.#firstPauseMs = firstPauseMs;
    this.#longestPauseMs = longestPauseMs;
    this.#now = now;
  }

  get open(): boolean {
    return this.#failures >= threshold;
  }

  /** Permits an attempt, or returns undefined. The caller reports the end of a permitted attempt to the returned function. */
  enter(): ((verdict: Verdict) => void) | undefined {
    if (!this.open) return (verdict) => this.#end(verdict);
    if (this.#trial || this.#now() < this.#openUntil) return undefined;
    this.#trial = true;
    return (verdict) => {
      this.#trial = false;
      if (verdict === "dead") this.#pause();
      else this.#end(verdict);
    };
  }

  /** Permits the next attempt at once, because the downstream has answered another request. */
  wake(): void {
    this.#openUntil = 0;
  }

  #end(verdict: Verdict): void {
    if (verdict === "alive") {
      this.#failures = 0;
      this.#pauses = 0;
    } else if (verdict === "dead" && ++this.#failures === threshold) this.#pause();
  }

  #pause(): void {
    const pause = Math.min(this.#longestPauseMs, this.#firstPauseMs * 2 ** this.#pauses++);
    this.#openUntil = this.#now() + pause;
  }
}
