/**
 * Tenants' subscriptions, and the outbox of usage that is reported for payment. A piece of usage enters the outbox in the transaction
 * that marks it as reported, with an identifier that never changes, so that it is neither lost nor, by whoever keeps identifiers,
 * counted twice.
 */
import { randomUUID } from "node:crypto";
import { type Kysely, type Selectable, sql, type Transaction } from "kysely";
import { dayMs } from "../base/day.ts";
import { meters } from "../config/schema/billing.ts";
import type { BillingConfig } from "../config/schema.ts";
import { checkAuthor, checkId, checkTenant, checkText } from "./arguments.ts";
import { changeAudited } from "./audit.ts";
import { ensureTenants } from "./audit-chain.ts";
import type { Context } from "./context.ts";
import { BulkInsert } from "./database/bulk.ts";
import type { Tables } from "./database/tables.ts";
import type { Usage } from "./usage.ts";

export type Meter = keyof BillingConfig["meters"];

/** What a tenant has subscribed to. */
export interface Subscription {
  tenant: string;
  /** The ids at the provider. */
  id: string;
  customer: string;
  /** The name of the plan; undefined if its price belongs to none. */
  plan: string | undefined;
  /** Whether it is in force, so that the plan's limits apply and usage is reported. */
  active: boolean;
}

/** An amount of usage that is to be reported. */
export interface UsageEvent {
  /** Never changes, and is not used again. */
  id: string;
  tenant: string;
  customer: string;
  meter: Meter;
  /** When it was used, in milliseconds since 1970; of an earlier day, the end of the day. */
  time: number;
  value: bigint;
  /** The number of attempts so far. */
  attempts: number;
  /** When it was sent for the first time with no clear answer, in milliseconds since 1970. */
  unclearSince: number | undefined;
}

/**
 * What has become of an event. `refused`: the provider will never take it. `unclear`: it may have been taken, and so long ago that the
 * provider would no longer notice a repetition. Both are left to people, who have it sent again, or have it `dismissed`.
 */
export type EventState = "due" | "sent" | "refused" | "unclear" | "dismissed";

/** The number of events that were neither sent nor dismissed, by their state. */
export type UnsentEvents = Record<"due" | "refused" | "unclear", number>;

/** How far back usage is reported: providers refuse what is older than 35 days. */
const reportedDays = 34;
/** How long an event is kept after it was sent. */
const keptMs = 40 * dayMs;
/** Maximum number of days of tenants that are collected in one transaction. */
const collected = 500;

/** Maximum number of events that are listed at once. */
const maxListed = 1_000;
const unsentStates: readonly EventState[] = ["due", "refused", "unclear"];

const insert = new BulkInsert<"usage_events">(
  ["id", "tenant", "customer", "meter", "time", "value", "next_at", "changed_at"],
  (db, rows) => db.insertInto("usage_events").values(rows),
);

export class Billing {
  readonly #context: Context;
  readonly #usage: Pick<Usage, "flush">;

  constructor(context: Context, usage: Pick<Usage, "flush">) {
    this.#context = context;
    this.#usage = usage;
  }

  now(): number {
    return this.#context.now();
  }

  /** Returns what a tenant has subscribed to, even if it is no longer in force. */
  async subscription(tenant: string): Promise<Subscription | undefined> {
    checkTenant(tenant);
    const row = await this.#context.database.read
      .selectFrom("subscriptions")
      .selectAll()
      .where("tenant", "=", tenant)
      .executeTakeFirst();
    return row && toSubscription(row);
  }

  /** Returns the plans of all tenants whose subscriptions are in force, by tenant. */
  async plans(): Promise<Map<string, string>> {
    const rows = await this.#context.database.read
      .selectFrom("subscriptions")
      .select(["tenant", "plan"])
      .where("active", "=", 1n)
      .where("plan", "!=", "")
      .execute();
    return new Map(rows.map(({ tenant, plan }) => [tenant, plan]));
  }

  /**
   * Stores a subscription as it is now, with an entry in the audit log if it has changed. One that is not in force has no effect on a
   * tenant with another one. What was used before it came into force, as far as it is in the store, is not reported.
   * @returns whether it has changed
   */
  async subscribe(subscription: Subscription, author: string): Promise<boolean> {
    const { tenant, active } = subscription;
    checkTenant(tenant);
    const id = checkText("subscription", subscription.id, { min: 1, max: 256 });
    const customer = checkText("customer", subscription.customer, { min: 1, max: 256 });
    await this.#usage.flush();
    const now = this.#context.now();
    const row = { id, customer, plan: subscription.plan ?? "", active: active ? 1n : 0n };
    return changeAudited(this.#context, async (trx, append) => {
      await ensureTenants(trx, [tenant], now);
      const before = await this.#locked(trx, tenant);
      const isSame =
        before !== undefined &&
        before.id === id &&
        before.customer === customer &&
        before.plan === row.plan &&
        before.active === row.active;
      if (isSame || (before !== undefined && before.id !== id && !active)) return false;
      await trx
        .insertInto("subscriptions")
        .values({ tenant, ...row, changed_at: BigInt(now) })
        .onConflict((conflict) => conflict.column("tenant").doUpdateSet({ ...row, changed_at: BigInt(now) }))
        .execute();
      if (active && (before === undefined || before.active === 0n)) {
        await trx.updateTable("usage").set(allReported).where("tenant", "=", tenant).execute();
      }
      const detail = { customer, plan: row.plan, active };
      await append(tenant, { actor: author, action: "subscription.changed", target: id, detail }, now);
      return true;
    });
  }

  /**
   * Moves usage that was not reported yet into the outbox, of tenants whose subscriptions are in force. What `reported` does not name
   * counts as reported.
   * @returns the number of events
   */
  async collect(reported: readonly Meter[]): Promise<number> {
    const now = this.#context.clock.now();
    const at = BigInt(this.#context.now());
    const since = new Date(now - reportedDays * dayMs).toISOString().slice(0, 10);
    let events = 0;
    for (let more = true; more; ) {
      const made = await this.#context.database.write.transaction().execute(async (trx) => {
        let query = trx
          .selectFrom("usage")
          .innerJoin("subscriptions", "subscriptions.tenant", "usage.tenant")
          .select(["usage.tenant", "day", "requests", "records", "bytes", "customer"])
          .select(["reported_requests", "reported_records", "reported_bytes"])
          .where("active", "=", 1n)
          .where("day", ">=", since)
          .where((eb) =>
            eb.or(meters.map((meter) => eb(`usage.${meter}`, ">", eb.ref(`usage.reported_${meter}`)))),
          )
          .orderBy("usage.tenant")
          .orderBy("day")
          .limit(collected);
        // SQLite has one writer at a time.
        if (this.#context.database.kind === "postgres") query = query.forUpdate("usage");
        const days = await query.execute();
        const rows = days.flatMap((day) => {
          const time = BigInt(Math.min(now, Date.parse(day.day) + dayMs - 1_000));
          const { tenant, customer } = day;
          return reported.flatMap((meter) => {
            const value = day[meter] - day[`reported_${meter}`];
            const row = {
              id: randomUUID(),
              tenant,
              customer,
              meter,
              time,
              value,
              next_at: at,
              changed_at: at,
            };
            return value > 0n ? [row] : [];
          });
        });
        for (const { tenant, day, requests, records, bytes } of days) {
          await trx
            .updateTable("usage")
            .set({ reported_requests: requests, reported_records: records, reported_bytes: bytes })
            .where("tenant", "=", tenant)
            .where("day", "=", day)
            .execute();
        }
        await insert.run(trx as Kysely<Tables>, rows);
        return { days: days.length, rows: rows.length };
      });
      events += made.rows;
      more = made.days === collected;
    }
    return events;
  }

  /** Claims events that are due, the longest due first. Nobody else receives them for as long as the lease. */
  async claim({ limit, leaseMs }: { limit: number; leaseMs: number }): Promise<UsageEvent[]> {
    const { database } = this.#context;
    const now = this.#context.now();
    const due = await database.read
      .selectFrom("usage_events")
      .selectAll()
      .where("state", "=", "due")
      .where("next_at", "<=", BigInt(now))
      .orderBy("next_at")
      .orderBy("id")
      .limit(limit)
      .execute();
    const claimed: UsageEvent[] = [];
    for (const row of due) {
      const { numUpdatedRows } = await database.write
        .updateTable("usage_events")
        .set({ next_at: BigInt(now + leaseMs), unclear_since: row.unclear_since ?? BigInt(now) })
        .where("id", "=", row.id)
        .where("state", "=", "due")
        .where("next_at", "=", row.next_at)
        .executeTakeFirst();
      if (numUpdatedRows === 1n) claimed.push(toEvent(row));
    }
    return claimed;
  }

  /** Records what has become of an event. */
  async settle({ id }: Pick<UsageEvent, "id">, state: "sent" | "refused" | "unclear"): Promise<void> {
    await this.#context.database.write
      .updateTable("usage_events")
      .set({ state, changed_at: BigInt(this.#context.now()) })
      .where("id", "=", id)
      .execute();
  }

  /** Puts an event off. @param taken whether the provider may have taken it nevertheless */
  async postpone(event: UsageEvent, { until, taken }: { until: number; taken: boolean }): Promise<void> {
    await this.#context.database.write
      .updateTable("usage_events")
      .set({
        attempts: BigInt(event.attempts + 1),
        next_at: BigInt(until),
        // If it was unclear before, it still is.
        ...(!taken && event.unclearSince === undefined && { unclear_since: null }),
      })
      .where("id", "=", event.id)
      .execute();
  }

  async unsent(): Promise<UnsentEvents> {
    const rows = await this.#context.database.read
      .selectFrom("usage_events")
      .select((eb) => ["state", eb.fn.countAll().as("count")])
      .where("state", "in", unsentStates)
      .groupBy("state")
      .execute();
    const counts = Object.fromEntries(rows.map(({ state, count }) => [state, Number(count)]));
    return { due: 0, refused: 0, unclear: 0, ...counts };
  }

  /** Lists events that were neither sent nor dismissed, the oldest first, at most a thousand. */
  async pending(): Promise<(UsageEvent & { state: EventState })[]> {
    const rows = await this.#context.database.read
      .selectFrom("usage_events")
      .selectAll()
      .where("state", "in", unsentStates)
      .orderBy("time")
      .orderBy("id")
      .limit(maxListed)
      .execute();
    return rows.map((row) => ({ ...toEvent(row), state: row.state as EventState }));
  }

  /**
   * Records what a person has decided about an event that was refused or is unclear, with an entry in the audit log.
   * @returns whether there was such an event
   */
  async decide(id: string, state: "due" | "dismissed", author: string): Promise<boolean> {
    checkId("event", id);
    const actor = checkAuthor(author);
    const now = this.#context.now();
    return changeAudited(this.#context, async (trx, append) => {
      const changed = await trx
        .updateTable("usage_events")
        .set({ state, attempts: 0n, unclear_since: null, next_at: BigInt(now), changed_at: BigInt(now) })
        .where("id", "=", id)
        .where("state", "in", ["refused", "unclear"])
        .returning(["tenant", "meter", "value"])
        .executeTakeFirst();
      if (changed === undefined) return false;
      const { tenant, meter, value } = changed;
      const action = state === "due" ? "usage.retried" : "usage.dismissed";
      await append(tenant, { actor, action, target: id, detail: { meter, value: String(value) } }, now);
      return true;
    });
  }

  /** Forgets events that were sent or dismissed long ago. */
  async clean(): Promise<void> {
    await this.#context.database.write
      .deleteFrom("usage_events")
      .where("state", "in", ["sent", "dismissed"])
      .where("changed_at", "<", BigInt(this.#context.now() - keptMs))
      .execute();
  }

  /** Reads a tenant's subscription, which nobody else changes until the transaction ends. */
  async #locked(trx: Transaction<Tables>, tenant: string) {
    const query = trx.selectFrom("subscriptions").selectAll().where("tenant", "=", tenant);
    return (this.#context.database.kind === "postgres" ? query.forUpdate() : query).executeTakeFirst();
  }
}

const allReported = {
  reported_requests: sql<bigint>`requests`,
  reported_records: sql<bigint>`records`,
  reported_bytes: sql<bigint>`bytes`,
};

function toSubscription({
  tenant,
  id,
  customer,
  plan,
  active,
}: Selectable<Tables["subscriptions"]>): Subscription {
  return { tenant, id, customer, plan: plan === "" ? undefined : plan, active: active === 1n };
}

function toEvent({ unclear_since: since, ...row }: Selectable<Tables["usage_events"]>): UsageEvent {
  const { id, tenant, customer, meter, time, value, attempts } = row;
  return {
    id,
    tenant,
    customer,
    meter: meter as Meter,
    time: Number(time),
    value,
    attempts: Number(attempts),
    unclearSince: since === null ? undefined : Number(since),
  };
}
