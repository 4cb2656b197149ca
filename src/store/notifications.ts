/**
 * The outbox of notifications: for each incident and channel one row with the incident as it is now and what of it was sent, so
 * that messages survive a crash, follow one another, and never pile up.
 */
import { type RawBuilder, sql, type Transaction } from "kysely";
import { checkId, checkTenant } from "./arguments.ts";
import type { Context } from "./context.ts";
import type { Tables } from "./database/tables.ts";

/** Why the first message about an incident waits, besides delivery. */
export type Hold = "" | "window" | "cap";

export interface OutboxChange {
  tenant: string;
  incident: string;
  channel: string;
  /** Whether the channel is to receive the incident if it has not yet. */
  begins: boolean;
  /** Returns the incident as it is now. @param before as it was; undefined if the channel has not received it */
  next(before: string | undefined): string;
  resolved: boolean;
}

/** A message that is to be sent. */
export interface OutboxRow {
  tenant: string;
  incident: string;
  channel: string;
  /** The incident as it is now. */
  notice: string;
  /** The incident as it was last sent; undefined if it was not. */
  sentNotice: string | undefined;
  /** Counts the changes of the incident. */
  revision: number;
  /** The revision that was sent last; 0 if none was. */
  sentRevision: number;
  /** The number of failed attempts since then. */
  attempts: number;
  held: Hold;
  resolved: boolean;
}

export interface OutboxResult {
  /** The channels that had no room, once for each incident. */
  refused: string[];
  /** The channels of incidents that were resolved while a window held them back. */
  withheld: string[];
}

/** What the outbox knows of an incident and a channel. */
export interface OutboxEntry {
  incident: string;
  channel: string;
  /** The incident as it is now, as JSON. */
  notice: string;
  resolved: boolean;
  /** Whether its latest change was sent. */
  delivered: boolean;
  /** Why the first message waits. */
  held: Hold;
  /** The number of failed attempts since the latest message that was sent. */
  attempts: number;
  /** Times in milliseconds since 1970. */
  changedAt: number;
  sentAt: number | undefined;
  /** When the next message is due. */
  nextAt: number | undefined;
}

/** The largest number of incidents of a channel that are remembered. */
const maxRows = 10_000;
/** How long a resolved incident is remembered, and one of which nothing more was heard. */
const resolvedMs = 86_400_000;
const forgottenMs = 30 * 86_400_000;
/** The least time between a message about an incident and an update. */
const updateMs = 300_000;
const hourMs = 3_600_000;

type Row = Tables["notifications"];
const keyColumns = ["tenant", "incident", "channel"] as const;

export class Notifications {
  readonly #context: Context;

  constructor(context: Context) {
    this.#context = context;
  }

  now(): number {
    return this.#context.now();
  }

  /** Takes changes of incidents, all or none of them. */
  async change(changes: readonly OutboxChange[]): Promise<OutboxResult> {
    const now = this.#context.now();
    const result: OutboxResult = { refused: [], withheld: [] };
    const held = new Map<string, number>();
    await this.#context.database.write.transaction().execute(async (trx) => {
      for (const channel of new Set(changes.map((change) => change.channel))) {
        held.set(channel, await countOf(trx, channel));
      }
      for (const change of changes) await this.#change(trx, change, { now, held, result });
    });
    return result;
  }

  /**
   * Claims messages of a channel that are due, the longest due first. Nobody else receives them for as long as the lease; then they
   * are due again.
   * @param summarized whether those that the limit per hour held back are claimed, or the others
   */
  async claim(
    channel: string,
    { summarized, limit, leaseMs }: { summarized: boolean; limit: number; leaseMs: number },
  ): Promise<OutboxRow[]> {
    const { database } = this.#context;
    const now = this.#context.now();
    const due = await database.read
      .selectFrom("notifications")
      .selectAll()
      .where("channel", "=", channel)
      .where("next_at", "<=", BigInt(now))
      .where("held", summarized ? "=" : "!=", "cap")
      .orderBy("next_at")
      .limit(limit)
      .execute();
    const claimed: OutboxRow[] = [];
    for (const row of due) {
      const { numUpdatedRows } = await database.write
        .updateTable("notifications")
        .set({ next_at: BigInt(now + leaseMs) })
        .where(sameRow(row))
        .where("next_at", "=", row.next_at)
        .where("revision", "=", row.revision)
        .executeTakeFirst();
      if (numUpdatedRows === 1n) claimed.push(toRow(row));
    }
    return claimed;
  }

  /** Records that a message was sent, or given up. @param nextAt when the incident is to be sent again without a change */
  async sent(row: OutboxRow, nextAt: number | undefined): Promise<void> {
    const now = this.#context.now();
    const again = nextAt === undefined ? null : BigInt(nextAt);
    await this.#update(row, {
      sent_revision: BigInt(row.revision),
      sent_notice: row.notice,
      sent_at: BigInt(now),
      attempts: 0n,
      held: "",
      // The incident may have changed while the message was on its way.
      next_at: sql<bigint | null>`case
        when revision = ${BigInt(row.revision)} then ${bigint(again)}
        when resolved = 1 then ${bigint(BigInt(now))}
        else ${bigint(BigInt(now + updateMs))} end`,
    });
  }

  async failed(row: OutboxRow, nextAt: number): Promise<void> {
    await this.#update(row, { attempts: BigInt(row.attempts + 1), next_at: BigInt(nextAt) });
  }

  async hold(row: OutboxRow, held: Hold, until: number): Promise<void> {
    await this.#update(row, { held, next_at: BigInt(until) });
  }

  /** Counts what waits in each channel of a tenant, and of that what has failed. */
  async counts(tenant: string): Promise<Map<string, { waiting: number; failing: number; sentAt?: number }>> {
    checkTenant(tenant);
    const unsent = sql`sent_revision < revision`;
    const rows = await this.#context.database.read
      .selectFrom("notifications")
      .select((eb) => [
        "channel",
        sql<bigint>`sum(case when ${unsent} then 1 else 0 end)`.as("waiting"),
        sql<bigint>`sum(case when ${unsent} and attempts > 0 then 1 else 0 end)`.as("failing"),
        eb.fn.max("sent_at").as("sent_at"),
      ])
      .where("tenant", "=", tenant)
      .groupBy("channel")
      .execute();
    return new Map(
      rows.map(({ channel, waiting, failing, sent_at }) => [
        channel,
        {
          waiting: Number(waiting),
          failing: Number(failing),
          ...(sent_at !== null && { sentAt: Number(sent_at) }),
        },
      ]),
    );
  }

  /** Lists what is known of a tenant's incidents, the latest changed first. */
  async list(tenant: string, limit: number): Promise<OutboxEntry[]> {
    checkTenant(tenant);
    const rows = await this.#context.database.read
      .selectFrom("notifications")
      .selectAll()
      .where("tenant", "=", tenant)
      .orderBy("changed_at", "desc")
      .orderBy("incident")
      .orderBy("channel")
      .limit(limit)
      .execute();
    const timeOf = (time: bigint | null) => (time === null ? undefined : Number(time));
    return rows.map((row) => ({
      incident: row.incident,
      channel: row.channel,
      notice: row.notice,
      resolved: row.resolved === 1n,
      delivered: row.sent_revision === row.revision,
      held: row.held as Hold,
      attempts: Number(row.attempts),
      changedAt: Number(row.changed_at),
      sentAt: timeOf(row.sent_at),
      nextAt: timeOf(row.next_at),
    }));
  }

  /** Makes due whatever a window holds back. */
  async release(): Promise<void> {
    const now = BigInt(this.#context.now());
    await this.#context.database.write
      .updateTable("notifications")
      .set({ next_at: now })
      .where("held", "=", "window")
      .where("next_at", ">", now)
      .execute();
  }

  /** Returns how many messages a channel has received in the hour that runs, and when it ends; none if no hour runs. */
  async hour(channel: string): Promise<{ sent: number; endsAt: number } | undefined> {
    const row = await this.#context.database.read
      .selectFrom("notification_hours")
      .selectAll()
      .where("channel", "=", channel)
      .executeTakeFirst();
    if (row === undefined) return undefined;
    const endsAt = Number(row.started_at) + hourMs;
    const now = this.#context.now();
    // If the clock was set back, the hour would last too long.
    return endsAt <= now || endsAt > now + hourMs ? undefined : { sent: Number(row.sent), endsAt };
  }

  /** Counts a message of a channel. The first one after an hour begins the next. */
  async count(channel: string): Promise<void> {
    const now = BigInt(this.#context.now());
    const over = sql<boolean>`notification_hours.started_at + ${BigInt(hourMs)} <= ${now} or notification_hours.started_at > ${now}`;
    await this.#context.database.write
      .insertInto("notification_hours")
      .values({ channel, started_at: now, sent: 1n })
      .onConflict((conflict) =>
        conflict.column("channel").doUpdateSet({
          sent: sql`case when ${over} then 1 else notification_hours.sent + 1 end`,
          started_at: sql`case when ${over} then excluded.started_at else notification_hours.started_at end`,
        }),
      )
      .execute();
  }

  /** Forgets incidents that were resolved long ago, and those of which nothing was heard for long. */
  async clean(): Promise<void> {
    const now = this.#context.now();
    await this.#context.database.write
      .deleteFrom("notifications")
      .where((eb) =>
        eb.or([
          eb.and([
            eb("resolved", "=", 1n),
            eb("next_at", "is", null),
            eb("changed_at", "<", BigInt(now - resolvedMs)),
          ]),
          eb("changed_at", "<", BigInt(now - forgottenMs)),
        ]),
      )
      .execute();
  }

  /** @param held the number of incidents of each channel, which is kept up to date */
  async #change(
    trx: Transaction<Tables>,
    change: OutboxChange,
    { now, held, result }: { now: number; held: Map<string, number>; result: OutboxResult },
  ): Promise<void> {
    const { tenant, incident, channel, begins, next, resolved } = change;
    checkTenant(tenant);
    checkId("incident", incident);
    const key = { tenant, incident, channel };
    const row = await trx.selectFrom("notifications").selectAll().where(sameRow(key)).executeTakeFirst();
    const at = BigInt(now);
    if (row === undefined) {
      if (!begins || resolved) return;
      const before = held.get(channel)!;
      if (before >= maxRows) {
        result.refused.push(channel);
        return;
      }
      held.set(channel, before + 1);
      await trx
        .insertInto("notifications")
        .values({ ...key, notice: next(undefined), resolved: 0n, revision: 1n, changed_at: at, next_at: at })
        // Another process may have been faster.
        .onConflict((conflict) => conflict.doNothing())
        .execute();
      return;
    }
    const notice = next(row.notice);
    if (row.resolved === 1n || notice === row.notice) return;
    const first = row.sent_revision === 0n;
    if (resolved && first && row.held === "window") {
      result.withheld.push(channel);
      await trx.deleteFrom("notifications").where(sameRow(key)).execute();
      return;
    }
    // What waits for its time keeps it: an attempt after a failure, a window's end, the summary.
    const isHeld = row.held !== "";
    const waits = row.attempts > 0n || (resolved ? first && isHeld : first || isHeld);
    const due = resolved ? at : BigInt(Math.max(now, Number(row.sent_at ?? 0n) + updateMs));
    await trx
      .updateTable("notifications")
      .set({
        notice,
        resolved: resolved ? 1n : 0n,
        revision: row.revision + 1n,
        changed_at: at,
        held: resolved && !first ? "" : row.held,
        next_at: waits ? row.next_at : row.next_at !== null && row.next_at < due ? row.next_at : due,
      })
      .where(sameRow(key))
      .execute();
  }

  async #update(row: OutboxRow, set: object): Promise<void> {
    await this.#context.database.write.updateTable("notifications").set(set).where(sameRow(row)).execute();
  }
}

async function countOf(trx: Transaction<Tables>, channel: string): Promise<number> {
  const { count } = await trx
    .selectFrom("notifications")
    .select((eb) => eb.fn.countAll().as("count"))
    .where("channel", "=", channel)
    .executeTakeFirstOrThrow();
  return Number(count);
}

const bigint = (value: bigint | null): RawBuilder<bigint | null> =>
  value === null ? sql`cast(null as bigint)` : sql`cast(${value} as bigint)`;

function sameRow(row: Record<(typeof keyColumns)[number], string>): RawBuilder<boolean> {
  return sql<boolean>`tenant = ${row.tenant} and incident = ${row.incident} and channel = ${row.channel}`;
}

function toRow(row: { [Column in keyof Row]: unknown }): OutboxRow {
  return {
    tenant: row.tenant as string,
    incident: row.incident as string,
    channel: row.channel as string,
    notice: row.notice as string,
    sentNotice: (row.sent_notice as string | null) ?? undefined,
    revision: Number(row.revision),
    sentRevision: Number(row.sent_revision),
    attempts: Number(row.attempts),
    held: row.held as Hold,
    resolved: row.resolved === 1n,
  };
}
