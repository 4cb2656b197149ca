/** How much work there is for a component, and how much slower the work makes it. */

/** The product of factors, each of which is there for a reason of its own, such as a fault. */
export class Product {
  readonly #factors = new Map<object, number>();
  value = 1;

  set(reason: object, factor: number): void {
    this.#factors.set(reason, factor);
    this.#multiply();
  }

  delete(reason: object): void {
    this.#factors.delete(reason);
    this.#multiply();
  }

  #multiply(): void {
    this.value = [...this.#factors.values()].reduce((product, factor) => product * factor, 1);
  }
}

const microsPerDay = 86_400_000_000;
const peak = 1.6;

/** Returns the load at a time of the day in relation to its mean, which is highest at two in the afternoon, UTC. */
export function daily(startMicros: number, now: number): number {
  const day = ((startMicros + now) % microsPerDay) / microsPerDay;
  return 1 + (peak - 1) * Math.cos(2 * Math.PI * (day - 14 / 24));
}

/** The time constant of the observed rate of arrivals, in microseconds. */
const memory = 30_000_000;
/** Number of arrivals as usual that the observed ones are mixed with, so that chance alone does not look like load. */
const prior = 8;
/** Work beyond this share of the capacity waits so long that its callers give up. */
const fullest = 0.96;

/**
 * The utilisation of a component: what is usual at this time of the day, times the observed arrivals in relation to the
 * usual ones. A call stands for the many that are not traced, so this does not depend on how much telemetry is generated.
 */
export class Load {
  /** The utilisation at the peak of the day. */
  readonly #atPeak: number;
  /** Usual arrivals per microsecond, on average. */
  usual = 0;
  #observed = 0;
  #last = 0;

  constructor(atPeak: number) {
    this.#atPeak = atPeak;
  }

  arrive(now: number): void {
    this.#decay(now);
    this.#observed++;
  }

  /** Starts with the usual arrivals, as if the component had been running before. */
  warm(season: number): void {
    this.#observed = this.usual * season * memory;
  }

  utilisation(now: number, season: number): number {
    this.#decay(now);
    const usual = this.usual * season * memory;
    return ((this.#atPeak * season) / peak) * ((this.#observed + prior) / (usual + prior));
  }

  #decay(now: number): void {
    this.#observed *= Math.exp((this.#last - now) / memory);
    this.#last = now;
  }
}

/** Returns by how much a utilisation of a part of the capacity lengthens the time of service, as in an M/M/1 queue. */
export function slowdown(utilisation: number, capacity: number): number {
  return 1 / capacity / (1 - Math.min(fullest, utilisation / capacity));
}
