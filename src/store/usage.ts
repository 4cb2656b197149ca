import { sql } from "kysely";
import { checkTenant } from "./arguments.ts";
import type { Context } from "./context.ts";
import { BulkInsert } from "./database/bulk.ts";
import { InvalidArgument } from "./database/errors.ts";
import { writeWaiting } from "./waiting.ts";

export interface Amount {
  requests: number;
  records: number;
  bytes: number;
}

export interface DailyUsage {
  tenant: string;
  /** The date in UTC, such as 2026-01-31. */
  day: string;
  requests: bigint;
  records: bigint;
  bytes: bigint;
}

/** Maximum number of pending tenants and days. */
const maxWaiting = 10_000;
const maxDays = 400;

const upsert = new BulkInsert<"usage">(["tenant", "day", "requests", "records", "bytes"], (db, rows) =>
  db
    .insertInto("usage")
    .values(rows)
    .onConflict((conflict) =>
      conflict.columns(["tenant", "day"]).doUpdateSet({
        requests: sql`usage.requests + excluded.requests`,
        records: sql`usage.records + excluded.records`,
        bytes: sql`usage.bytes + excluded.bytes`,
      }),
    ),
);

export function dayOf(time: number): string {
  return new Date(time).toISOString().slice(0, 10);
}

export class Usage {
  readonly #context: Context;
  #waiting = new Map<string, DailyUsage>();
  #uncounted = 0;

  constructor(context: Context) {
    this.#context = context;
  }

  /** The number of amounts that were lost for lack of room while the database was unavailable. */
  get uncounted(): number {
    return this.#uncounted;
  }

  /** Adds to the tenant's day in memory, which is written within about a second. */
  add(tenant: string, amount: Amount): void {
    checkTenant(tenant);
    const usage = { tenant, day: dayOf(this.#context.clock.now()) };
    this.#add({
      ...usage,
      requests: BigInt(amount.requests),
      records: BigInt(amount.records),
      bytes: BigInt(amount.bytes),
    });
  }

  async flush(): Promise<void> {
    if (this.#waiting.size === 0) return;
    const taken = this.#waiting;
    this.#waiting = new Map();
    try {
      await writeWaiting(this.#context, taken, upsert);
    } catch (error) {
      for (const usage of taken.values()) this.#add(usage);
      throw error;
    }
  }

  /**
   * Lists the days from `from` to `to`, both included and written as 2026-01-31, oldest first; at most a year and some
   * days.
   */
  async list(tenant: string, { from, to }: { from: string; to: string }): Promise<DailyUsage[]> {
    checkTenant(tenant);
    for (const [field, day] of Object.entries({ from, to })) {
      if (!/^\d{4}-\d{2}-\d{2}$/.test(day))
        throw new InvalidArgument(field, "must be a day such as 2026-01-31");
    }
    await this.flush();
    return this.#context.database.read
      .selectFrom("usage")
      .selectAll()
      .where("tenant", "=", tenant)
      .where("day", ">=", from)
      .where("day", "<=", to)
      .orderBy("day")
      .limit(maxDays)
      .execute();
  }

  #add(usage: DailyUsage): void {
    const name = `${usage.tenant}\0${usage.day}`;
    const known = this.#waiting.get(name);
    if (known !== undefined) {
      known.requests += usage.requests;
      known.records += usage.records;
      known.bytes += usage.bytes;
    } else if (this.#waiting.size < maxWaiting) {
      this.#waiting.set(name, usage);
    } else {
      this.#uncounted += 1;
    }
  }
}
