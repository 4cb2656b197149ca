const quietMs = 10_000;

/** Lets one line a kind through in 10 s, which says how many it stands for. */
export class Quiet {
  readonly #kinds = new Map<string, { until: number; unsaid: number }>();

  /** @param kind of few. */
  say(kind: string, write: (times: number) => void): void {
    const now = performance.now();
    const seen = this.#kinds.get(kind) ?? { until: 0, unsaid: 0 };
    this.#kinds.set(kind, seen);
    seen.unsaid++;
    if (now < seen.until) return;
    write(seen.unsaid);
    seen.until = now + quietMs;
    seen.unsaid = 0;
  }
}
