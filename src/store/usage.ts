import { type Selectable, sql } from "kysely";
import { dayMs } from "../base/day.ts";
import { checkTenant } from "./arguments.ts";
import type { Context } from "./context.ts";
import { BulkInsert } from "./database/bulk.ts";
import { InvalidArgument } from "./database/errors.ts";
import type { Tables } from "./database/tables.ts";
import { WaitingRows } from "./waiting.ts";

export interface Amount {
  requests: number;
  records: number;
  bytes: number;
}

/** What was counted on a day, and of that what was reported for payment, or is not to be. */
export type CountedDay = Selectable<Tables["usage"]>;

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

let latest = { number: Number.NaN, name: "" };

/** The date in UTC, such as 2026-01-31. The latest is kept, because writing a date takes long and each request asks for today. */
export function dayOf(time: number): string {
  const number = Math.floor(time / dayMs);
  if (number !== latest.number) latest = { number, name: new Date(time).toISOString().slice(0, 10) };
  return latest.name;
}

export class Usage {
  readonly #context: Context;
  readonly #waiting: WaitingRows<"usage", DailyUsage>;
  #uncounted = 0;

  constructor(context: Context) {
    this.#context = context;
    this.#waiting = new WaitingRows(context, upsert, (days, usage) => this.#keep(days, usage));
  }

  /** The number of amounts that were lost for lack of room while the database was unavailable. */
  get uncounted(): number {
    return this.#uncounted;
  }

  /** Adds to the tenant's day in memory, which is written within about a second. */
  add(tenant: string, amount: Amount): void {
    checkTenant(tenant);
    const usage = { tenant, day: dayOf(this.#context.clock.now()) };
    this.#waiting.add({
      ...usage,
      requests: BigInt(amount.requests),
      records: BigInt(amount.records),
      bytes: BigInt(amount.bytes),
    });
  }

  flush(): Promise<void> {
    return this.#waiting.flush();
  }

  /**
   * Lists the days from `from` to `to`, both included and written as 2026-01-31, oldest first; at most a year and some
   * days.
   */
  async list(tenant: string, { from, to }: { from: string; to: string }): Promise<CountedDay[]> {
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

  #keep(days: Map<string, DailyUsage>, usage: DailyUsage): void {
    const name = `${usage.tenant}\0${usage.day}`;
    const known = days.get(name);
    if (known !== undefined) {
      known.requests += usage.requests;
      known.records += usage.records;
      known.bytes += usage.bytes;
    } else if (days.size < maxWaiting) {
      days.set(name, usage);
    } else {
      this.#uncounted += 1;
    }
  }
}
