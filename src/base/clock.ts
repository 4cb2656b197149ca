/** The largest step of the machine's clock that is accepted at once: clocks are corrected by seconds all the time. */
const toleratedMs = 120_000;
/** How long a larger step must last before it is accepted. */
const believedAfterMs = 300_000;

/**
 * The time of day without passing errors of the machine's clock, which steps in either direction and by any amount when
 * somebody or NTP sets it. After a large step, this clock continues on the monotonic clock until the machine's clock has kept to
 * its new time for five minutes.
 *
 * Use it for times that are stored and compared later, `performance.now()` for durations, and the machine's own clock for what
 * others compare with theirs, such as tokens and certificates.
 */
export class SteadyClock {
  readonly #wall: () => number;
  readonly #elapsed: () => number;
  /** The accepted difference between the wall clock and the monotonic one. */
  #lead: number;
  /** A difference that is too new to be accepted, and when it was first seen. */
  #doubted: { lead: number; since: number } | undefined;
  /** The time since which the wall clock has not stepped, as far as is known. */
  #evenSince: number;

  /**
   * @param wall milliseconds since 1970
   * @param elapsed milliseconds by a clock that never steps
   */
  constructor(wall: () => number = () => Date.now(), elapsed: () => number = () => performance.now()) {
    this.#wall = wall;
    this.#elapsed = elapsed;
    this.#evenSince = elapsed();
    this.#lead = wall() - this.#evenSince;
  }

  /** Returns milliseconds since 1970. */
  now(): number {
    const [wall, elapsed] = [this.#wall(), this.#elapsed()];
    return this.#believes(wall - elapsed, elapsed) ? wall : Math.round(elapsed + this.#lead);
  }

  /** Returns the milliseconds for which the machine's clock has run without a large step; undefined while a step is in doubt. */
  evenFor(): number | undefined {
    const elapsed = this.#elapsed();
    return this.#believes(this.#wall() - elapsed, elapsed) ? elapsed - this.#evenSince : undefined;
  }

  #believes(lead: number, elapsed: number): boolean {
    if (isNear(lead, this.#lead)) {
      if (this.#doubted !== undefined) this.#evenSince = elapsed;
    } else {
      if (this.#doubted === undefined || !isNear(lead, this.#doubted.lead)) {
        this.#doubted = { lead, since: elapsed };
      }
      if (elapsed - this.#doubted.since < believedAfterMs) return false;
      this.#evenSince = this.#doubted.since;
    }
    this.#doubted = undefined;
    this.#lead = lead;
    return true;
  }
}

function isNear(a: number, b: number): boolean {
  return Math.abs(a - b) <= toleratedMs;
}

/** The clock of this process. */
export const steadyClock = new SteadyClock();
