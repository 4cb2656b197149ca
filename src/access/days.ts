/**
 * What tenants have sent since midnight UTC, for their quotas: as counted by this process, and as reported by others.
 */
import type { Logger } from "pino";
import { steadyClock } from "../base/clock.ts";
import { dayMs } from "../base/day.ts";
import type { Amount, Usage } from "../store/index.ts";

/** The time after which a day is read again, since other processes on the same store count as well. */
const reloadMs = 60_000;
const maxTenants = 10_000;

/** What a tenant has sent on one day, as far as it is known. Counts only grow. */
export class Day {
  readonly tenant: string;
  /** Days since the epoch. */
  readonly number: number;
  records = 0;
  bytes = 0;
  /** When the day was last read from the store, on the clock of `performance`. */
  readAt = Number.NEGATIVE_INFINITY;
  #pending = { records: 0, bytes: 0 };

  constructor(tenant: string, number: number) {
    this.tenant = tenant;
    this.number = number;
  }

  /** The date in UTC, such as 2026-01-31. */
  get name(): string {
    return new Date(this.number * dayMs).toISOString().slice(0, 10);
  }

  /** Milliseconds until the day ends. */
  get endsIn(): number {
    return (this.number + 1) * dayMs - steadyClock.now();
  }

  add({ records, bytes }: Counts): void {
    this.records += records;
    this.bytes += bytes;
    this.#pending.records += records;
    this.#pending.bytes += bytes;
  }

  /** Returns the counts added since the last call. */
  flush(): Counts {
    const pending = this.#pending;
    this.#pending = { records: 0, bytes: 0 };
    return pending;
  }

  /** Adopts counts that include everything flushed so far and what other processes count. */
  adopt({ records, bytes }: Counts): void {
    this.records = Math.max(this.records, records + this.#pending.records);
    this.bytes = Math.max(this.bytes, bytes + this.#pending.bytes);
  }
}

type Counts = Omit<Amount, "requests">;

export class Days {
  readonly #usage: Pick<Usage, "list">;
  readonly #log: Logger;
  readonly #days = new Map<string, Day>();
  /** Days that were used since the last `takeUsed`; undefined unless limits are shared. */
  readonly #used: Set<Day> | undefined;

  constructor(usage: Pick<Usage, "list">, log: Logger, { shared }: { shared: boolean }) {
    this.#usage = usage;
    this.#log = log;
    this.#used = shared ? new Set() : undefined;
  }

  today(tenant: string): Day {
    const number = Math.floor(steadyClock.now() / dayMs);
    const known = this.#days.get(tenant);
    const day = known?.number === number ? known : new Day(tenant, number);
    this.#used?.add(day);
    const now = performance.now();
    if (now - day.readAt < reloadMs) return day;
    day.readAt = now;
    this.#forget(known);
    this.#days.set(tenant, day);
    if (this.#days.size > maxTenants) this.#forget(this.#days.values().next().value);
    // The known counts are used meanwhile: a request does not wait for the store.
    void this.#read(day);
    return day;
  }

  /** Adds to the tenant's day if it is in use. */
  add(tenant: string, counts: Counts): void {
    const day = this.#days.get(tenant);
    if (day === undefined) return;
    day.add(counts);
    this.#used?.add(day);
  }

  /** Returns the days that were used since the last call. */
  takeUsed(): Day[] {
    const used = [...(this.#used ?? [])];
    this.#used?.clear();
    return used;
  }

  #forget(day: Day | undefined): void {
    if (day === undefined) return;
    this.#days.delete(day.tenant);
    this.#used?.delete(day);
  }

  async #read(day: Day): Promise<void> {
    try {
      const [stored] = await this.#usage.list(day.tenant, { from: day.name, to: day.name });
      if (stored === undefined) return;
      day.records = Math.max(day.records, Number(stored.records));
      day.bytes = Math.max(day.bytes, Number(stored.bytes));
    } catch (error) {
      this.#log.warn(
        { reason: (error as Error).message },
        "limits: today's usage cannot be read from the store",
      );
    }
  }
}
