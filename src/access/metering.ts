/** Counts what tenants send: for their limits now, and for their days in the store. */
import type { Logger } from "pino";
import type { LimitsConfig } from "../config/schema.ts";
import type { Amount, Usage } from "../store/index.ts";
import { Limiter } from "./limits.ts";

/** After which a day is read again: other processes on the same store count too. */
const reloadMs = 60_000;
const maxTenants = 10_000;
const dayMs = 86_400_000;

interface Day {
  day: number;
  records: number;
  bytes: number;
  /** When it was read from the store. */
  at: number;
}

export class Metering {
  readonly limiter: Limiter;
  readonly #usage: Pick<Usage, "add" | "list">;
  readonly #log: Logger;
  /** Of tenants, where there are quotas. */
  readonly #days = new Map<string, Day>();

  constructor(limits: LimitsConfig, usage: Pick<Usage, "add" | "list">, log: Logger) {
    this.#usage = usage;
    this.#log = log;
    this.limiter = new Limiter(limits, (tenant) => this.#today(tenant));
  }

  /** Told what a request held, once it has been judged. */
  judged(tenant: string, { records, bytes }: Omit<Amount, "requests">): void {
    this.limiter.charge(tenant, { records, bytes });
  }

  /** Told of what was taken, so that it is not sent again. */
  taken(tenant: string, { records, bytes }: Omit<Amount, "requests">): void {
    this.#usage.add(tenant, { requests: 1, records, bytes });
    const day = this.#days.get(tenant);
    if (day === undefined) return;
    day.records += records;
    day.bytes += bytes;
  }

  #today(tenant: string): Day {
    const now = Date.now();
    const today = Math.floor(now / dayMs);
    const known = this.#days.get(tenant);
    if (known?.day === today && now - known.at < reloadMs) return known;
    const day = known?.day === today ? known : { day: today, records: 0, bytes: 0, at: now };
    day.at = now;
    this.#days.delete(tenant);
    this.#days.set(tenant, day);
    if (this.#days.size > maxTenants) this.#days.delete(this.#days.keys().next().value!);
    // It counts from what is known already: a request does not wait for the store.
    void this.#read(tenant, day);
    return day;
  }

  async #read(tenant: string, day: Day): Promise<void> {
    try {
      const name = new Date(day.day * dayMs).toISOString().slice(0, 10);
      const [stored] = await this.#usage.list(tenant, { from: name, to: name });
      if (stored === undefined) return;
      day.records = Math.max(day.records, Number(stored.records));
      day.bytes = Math.max(day.bytes, Number(stored.bytes));
    } catch (error) {
      this.#log.warn({ reason: (error as Error).message }, "limits: today's usage cannot be read now");
    }
  }
}
