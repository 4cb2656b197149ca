import { type AnomalyName, anomalyNames, type Schedule } from "./anomalies.ts";
import { type Failure, fieldName, stackTrace } from "./faults.ts";
import { Random } from "./random.ts";

/** An active anomaly. Times are microseconds of stream time since the start. */
export interface Injection {
  name: AnomalyName;
  end: number;
  /** Its own random numbers, so that those of others do not depend on it. */
  random: Random;
  /** The times of its own records, in ascending order. */
  shots: number[];
  /** The error of new-error. */
  failure: Failure;
  /** The attribute of new-field. */
  field: string;
}

export interface Injected {
  /** How often the anomaly occurred. */
  times: number;
  /** Number of records that belong to it. */
  records: number;
  /** Number of records that were not sent because of it. */
  withheld: number;
}

/** Number of records that an anomaly sends in addition to those that it changes. */
const shots: Partial<Record<AnomalyName, number>> = { "new-error": 8, "secret-leak": 4 };

/** Follows the schedule: it knows which anomalies are active, and counts their records. */
export class Injections {
  readonly #seed: string;
  readonly #schedule: Iterator<Schedule, void>;
  readonly #onBegin: ((anomaly: Schedule) => void) | undefined;
  #next: Schedule | undefined;
  #count = 0;
  #active: Injection[] = [];
  readonly totals: ReadonlyMap<AnomalyName, Injected> = new Map(
    anomalyNames.map((name) => [name, { times: 0, records: 0, withheld: 0 }]),
  );

  /**
   * @param schedule the anomalies in the order of their starts
   * @param onBegin is called when one begins
   */
  constructor(schedule: Iterable<Schedule>, seed: string, onBegin?: (anomaly: Schedule) => void) {
    this.#seed = seed;
    this.#onBegin = onBegin;
    this.#schedule = schedule[Symbol.iterator]();
    this.#next = this.#schedule.next().value ?? undefined;
  }

  /** The time of the next start, or of the next record that an anomaly sends. */
  get due(): number {
    const next = this.#next ? this.#next.start * 1_000 : Number.POSITIVE_INFINITY;
    return this.#active.reduce((least, { shots }) => Math.min(least, shots[0] ?? least), next);
  }

  /** Advances to `time`. Returns the anomalies whose own records are due by then, once per record. */
  advance(time: number): Injection[] {
    this.#active = this.#active.filter(({ end, shots }) => end > time || shots.length > 0);
    while (this.#next !== undefined && this.#next.start * 1_000 <= time) {
      this.#begin(this.#next);
      this.#next = this.#schedule.next().value ?? undefined;
    }
    return this.#active.flatMap((injection) => {
      const due: Injection[] = [];
      while (injection.shots.length > 0 && injection.shots[0]! <= time) {
        injection.shots.shift();
        due.push(injection);
      }
      return due;
    });
  }

  /** Returns the anomaly of this name, if it is active. */
  find(name: AnomalyName): Injection | undefined {
    return this.#active.find((injection) => injection.name === name);
  }

  /** Counts a record of an anomaly, and returns its name. */
  mark({ name }: Injection): AnomalyName {
    this.totals.get(name)!.records++;
    return name;
  }

  withhold({ name }: Injection, records: number): void {
    this.totals.get(name)!.withheld += records;
  }

  #begin(anomaly: Schedule): void {
    const { name, start, end } = anomaly;
    const count = shots[name] ?? 0;
    const random = new Random(`${this.#seed}/anomaly/${this.#count++}`);
    this.#active.push({
      name,
      end: end * 1_000,
      random,
      failure: stackTrace(random),
      field: fieldName(random),
      shots: Array.from({ length: count }, (_, i) =>
        Math.round((start + ((end - start) * i) / count) * 1_000),
      ),
    });
    this.totals.get(name)!.times++;
    this.#onBegin?.(anomaly);
  }
}
