const quietMs = 10_000;

/** Writes at most one line per kind in 10 s. Each line has the number of occurrences that it stands for. */
export class RateLimitedLog {
  readonly #kinds = new Map<string, { until: number; pending: number }>();

  /** @param kind one of few, each of which is remembered. @param line writes the line. */
  write(kind: string, line: (times: number) => void): void {
    const now = performance.now();
    const seen = this.#kinds.get(kind) ?? { until: 0, pending: 0 };
    this.#kinds.set(kind, seen);
    seen.pending++;
    if (now < seen.until) return;
    line(seen.pending);
    seen.until = now + quietMs;
    seen.pending = 0;
  }
}
