import { type AnomalyName, anomalyNames, type Schedule } from "./anomalies.ts";
import { type Failure, fieldName, stackTrace } from "./faults.ts";
import { Random } from "./random.ts";

/** An anomaly that is going on. Times are microseconds of stream time since the start. */
export interface Injection {
  name: AnomalyName;
  end: number;
  /** Its own numbers: what others draw does not depend on it. */
  random: Random;
  /** When it sends records of its own, ascending. */
  shots: number[];
  /** What new-error throws. */
  failure: Failure;
  /** What new-field adds. */
  field: string;
}

export interface Injected {
  /** How often the anomaly came. */
  times: number;
  /** Records that belong to it. */
  records: number;
  /** Records that were not sent because of it. */
  withheld: number;
}

/** Records that an anomaly sends besides what it changes. */
const shots: Partial<Record<AnomalyName, number>> = { "new-error": 8, "secret-leak": 4 };

/** Follows the schedule: what goes on at a time, and what has been done of it. */
export class Injections {
  readonly #seed: string;
  readonly #schedule: Iterator<Schedule, void>;
  #next: Schedule | undefined;
  #count = 0;
  #active: Injection[] = [];
  readonly totals: ReadonlyMap<AnomalyName, Injected> = new Map(
    anomalyNames.map((name) => [name, { times: 0, records: 0, withheld: 0 }]),
  );

  /** `schedule` in the order of starts. */
  constructor(schedule: Iterable<Schedule>, seed: string) {
    this.#seed = seed;
    this.#schedule = schedule[Symbol.iterator]();
    this.#next = this.#schedule.next().value ?? undefined;
  }

  /** When something is due next: a start, or a record of an anomaly's own. */
  get due(): number {
    const next = this.#next ? this.#next.start * 1_000 : Number.POSITIVE_INFINITY;
    return this.#active.reduce((least, { shots }) => Math.min(least, shots[0] ?? least), next);
  }

  /** Moves on to `time` and gives the anomalies whose own records are due by then, each once a record. */
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

  /** The anomaly of that name, where it goes on. */
  find(name: AnomalyName): Injection | undefined {
    return this.#active.find((injection) => injection.name === name);
  }

  /** Counts a record of an anomaly; gives its name, for the record's truth. */
  mark({ name }: Injection): AnomalyName {
    this.totals.get(name)!.records++;
    return name;
  }

  withhold({ name }: Injection, records: number): void {
    this.totals.get(name)!.withheld += records;
  }

  #begin({ name, start, end }: Schedule): void {
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
  }
}
