/** What tenants have sent since midnight, UTC, for their quotas: as this process counts, and as it hears from others. */
import type { Logger } from "pino";
import { steadyClock } from "../base/clock.ts";
import type { Amount, Usage } from "../store/index.ts";

/** After which a day is read again: other processes on the same store count too. */
const reloadMs = 60_000;
const maxTenants = 10_000;
const dayMs = 86_400_000;

/** Never less than what was sent, as far as it is known; what is known of it only grows. */
export class Day {
  readonly tenant: string;
  /** Since the epoch. */
  readonly number: number;
  records = 0;
  bytes = 0;
  /** When it was read from the store, on the clock of `performance`. */
  readAt = Number.NEGATIVE_INFINITY;
  #untold = { records: 0, bytes: 0 };

  constructor(tenant: string, number: number) {
    this.tenant = tenant;
    this.number = number;
  }

  /** UTC, as 2026-01-31. */
  get name(): string {
    return new Date(this.number * dayMs).toISOString().slice(0, 10);
  }

  /** Milliseconds until it ends. */
  get endsIn(): number {
    return (this.number + 1) * dayMs - steadyClock.now();
  }

  add({ records, bytes }: Counts): void {
    this.records += records;
    this.bytes += bytes;
    this.#untold.records += records;
    this.#untold.bytes += bytes;
  }

  /** What was added since the last call. */
  tell(): Counts {
    const untold = this.#untold;
    this.#untold = { records: 0, bytes: 0 };
    return untold;
  }

  /** Takes over what others count, all that was told included. */
  adopt({ records, bytes }: Counts): void {
    this.records = Math.max(this.records, records + this.#untold.records);
    this.bytes = Math.max(this.bytes, bytes + this.#untold.bytes);
  }
}

type Counts = Omit<Amount, "requests">;

export class Days {
  readonly #usage: Pick<Usage, "list">;
  readonly #log: Logger;
  readonly #days = new Map<string, Day>();
  /** Since `takeAsked`; kept where limits are shared. */
  readonly #asked: Set<Day> | undefined;

  constructor(usage: Pick<Usage, "list">, log: Logger, { shared }: { shared: boolean }) {
    this.#usage = usage;
    this.#log = log;
    this.#asked = shared ? new Set() : undefined;
  }

  today(tenant: string): Day {
    const number = Math.floor(steadyClock.now() / dayMs);
    const known = this.#days.get(tenant);
    const day = known?.number === number ? known : new Day(tenant, number);
    this.#asked?.add(day);
    const now = performance.now();
    if (now - day.readAt < reloadMs) return day;
    day.readAt = now;
    this.#forget(known);
    this.#days.set(tenant, day);
    if (this.#days.size > maxTenants) this.#forget(this.#days.values().next().value);
    // It counts from what is known already: a request does not wait for the store.
    void this.#read(day);
    return day;
  }

  /** Adds to the tenant's day, where anybody has asked for it. */
  add(tenant: string, counts: Counts): void {
    const day = this.#days.get(tenant);
    if (day === undefined) return;
    day.add(counts);
    this.#asked?.add(day);
  }

  /** Days that were looked at since the last call. */
  takeAsked(): Day[] {
    const asked = [...(this.#asked ?? [])];
    this.#asked?.clear();
    return asked;
  }

  #forget(day: Day | undefined): void {
    if (day === undefined) return;
    this.#days.delete(day.tenant);
    this.#asked?.delete(day);
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
