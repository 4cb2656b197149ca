/** A step of the machine's clock that is believed at once: clocks are set right by seconds all the time. */
const toleratedMs = 120_000;
/** A greater step is believed once it has lasted for so long. */
const believedAfterMs = 300_000;

/**
 * The time of day, without errors of the machine's clock that pass. That clock steps, in either direction and by any
 * amount, when somebody or NTP sets it. After a great step this one goes on as before, by the monotonic clock, until the
 * machine's clock has kept to its new time for five minutes.
 *
 * It is for times that are stored and compared later. Durations use `performance.now()`, and the machine's own clock is for
 * what others compare with theirs: tokens, certificates, the audit log.
 */
export class SteadyClock {
  readonly #wall: () => number;
  readonly #elapsed: () => number;
  /** How far the wall clock is ahead of the monotonic one, as it is believed. */
  #lead: number;
  /** A lead that differs too much to be believed yet, and when it was first seen. */
  #doubted: { lead: number; since: number } | undefined;
  /** Since when the wall clock has not stepped, as far as is known. */
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

  /** Milliseconds since 1970. */
  now(): number {
    const [wall, elapsed] = [this.#wall(), this.#elapsed()];
    return this.#believes(wall - elapsed, elapsed) ? wall : Math.round(elapsed + this.#lead);
  }

  /** For how many milliseconds the machine's clock has run without a great step; undefined while it is not believed. */
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

/** The process's own. */
export const steadyClock = new SteadyClock();
