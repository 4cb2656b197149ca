/**
 * Deletes anomalies that exceed the retention's age, once the time of day is confirmed, or its size. An anomaly that an
 * evidence bundle refers to is kept as long as the bundle and is not counted. Incidents, changes, calls of
 * language models and what was notable go by the same age, and by their number.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { type Kysely, sql, type Transaction } from "kysely";
import { dayMs } from "../base/day.ts";
import type { StoreConfig } from "../config/schema.ts";
import { changeAudited } from "./audit.ts";
import { confirmedTime } from "./confirmed-time.ts";
import type { Context } from "./context.ts";
import type { Tables } from "./database/tables.ts";
import type { Evidence } from "./evidence.ts";
import type { KeptCounts } from "./kept-counts.ts";
import { daysOf } from "./kept-ledger.ts";
import type { Recordings } from "./recordings.ts";
import { dayOf } from "./usage.ts";

/** The target of the entries of the audit log about what the retention has deleted. */
export const retentionTarget = "retention";

export interface RetentionResult {
  anomalies: number;
  /** The approximate size of the deleted anomalies. */
  bytes: number;
  streams: number;
  /** The number of deleted bundles of evidence. */
  bundles: number;
}

/** How long anomalies and bundles of evidence are kept; without an age, bundles stay. */
type Limits = StoreConfig["retention"] & { evidence_max_age: number | undefined };

/** The number of anomalies per transaction, which takes some milliseconds. */
const batch = 200;
/** The number of pages that a step frees, which takes about 30 ms. */
const vacuumed = 200;
/** The pause between transactions, for other writes. */
const pauseMs = 5;
/** Maximum number of streams per tenant. If a tenant creates more, the latest ones are kept. */
const maxStreams = 20_000;
/** Maximum number of incidents and of changes per tenant. If there are more, the latest ones are kept. */
const maxIncidents = 5_000;
const maxChanges = 10_000;
/** Maximum number of findings per tenant that were not flagged. If there are more, the latest ones are kept. */
const maxNotable = 20_000;
/** Maximum number of calls of language models per tenant. If there are more, the latest ones are kept. */
const maxLlmCalls = 20_000;
const callsEvery = 3_600_000;
const callsAtOnce = 1_000;
/** How long usage is kept: a year, for comparison, and a month. */
const usageDays = 400;
const tenantsAtOnce = 500;

const unheld = sql<boolean>`not exists (
  select 1 from evidence_bundles b where b.tenant = anomalies.tenant and b.anomaly_id = anomalies.id
)`;
/** The condition that a stream has no anomaly. */
const unrelated = sql<boolean>`not exists (
  select 1 from anomalies a where a.tenant = streams.tenant and a.stream_id = streams.id
)`;

export class Retention {
  readonly #context: Context;
  readonly #limits: Limits;
  readonly #recordings: Recordings;
  readonly #evidence: Evidence;
  readonly #counts: KeptCounts;
  /** When calls of language models were deleted last, by tenant. */
  readonly #callsTrimmed = new Map<string, number>();
  readonly #stop = new AbortController();
  #running: Promise<RetentionResult> | undefined;
  #now: number | undefined;

  constructor(
    context: Context,
    limits: Limits,
    { recordings, evidence, counts }: { recordings: Recordings; evidence: Evidence; counts: KeptCounts },
  ) {
    this.#counts = counts;
    this.#context = context;
    this.#limits = limits;
    this.#recordings = recordings;
    this.#evidence = evidence;
  }

  /** Whether the last pass deleted nothing by age because the time of day was not confirmed. */
  get waitsForClock(): boolean {
    return this.#now === undefined;
  }

  /** Applies the retention to all tenants. A second call waits for the first. */
  run(): Promise<RetentionResult> {
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  /** Ends after the current transaction. */
  async close(): Promise<void> {
    this.#stop.abort();
    await this.#running?.catch(() => {});
  }

  async #run(): Promise<RetentionResult> {
    const result = { anomalies: 0, bytes: 0, streams: 0, bundles: 0 };
    const { database } = this.#context;
    this.#now = await confirmedTime(this.#context);
    for (let after = ""; ; ) {
      const tenants = await database.read
        .selectFrom("tenants")
        .select("id")
        .where("id", ">", after)
        .orderBy("id")
        .limit(tenantsAtOnce)
        .execute();
      for (const { id } of tenants) await this.#ofTenant(id, result);
      if (tenants.length < tenantsAtOnce || this.#stop.signal.aborted) break;
      after = tenants.at(-1)!.id;
    }
    if (database.kind === "sqlite") {
      if (result.anomalies > 0) await sql`pragma optimize`.execute(database.write);
      await this.#giveBack();
    }
    return result;
  }

  /** Frees pages of SQLite's file if there are far more than a minute may need. */
  async #giveBack(): Promise<void> {
    const { write } = this.#context.database;
    for (let before: bigint | undefined; !this.#stop.signal.aborted; ) {
      const { rows } = await sql<{ free: bigint; pages: bigint }>`
        select freelist_count as free, page_count as pages from pragma_freelist_count, pragma_page_count`.execute(
        write,
      );
      const { free, pages } = rows[0]!;
      // A file that was recreated by other tools may be unable to shrink.
      if (free * 4n <= pages || free === before) return;
      before = free;
      await sql`pragma incremental_vacuum(${sql.lit(vacuumed)})`.execute(write);
      await this.#pause();
    }
  }

  async #ofTenant(tenant: string, result: RetentionResult): Promise<void> {
    const { database } = this.#context;
    const { evidence_max_age: bundleAge } = this.#limits;
    // Their anomalies may go with them.
    if (bundleAge !== undefined && this.#now !== undefined) {
      result.bundles += await this.#evidence.expire(tenant, this.#now - bundleAge);
    }
    const oldest = this.#now === undefined ? Number.NEGATIVE_INFINITY : this.#now - this.#limits.max_age;
    let excess = (await this.#size(tenant)) - this.#limits.max_size;
    while (!this.#stop.signal.aborted) {
      const candidates = await database.read
        .selectFrom("anomalies")
        .select(["id", "changed_at"])
        .select((eb) =>
          eb
            .selectFrom("anomaly_reports as r")
            .select(sql<bigint | null>`cast(sum(r.size) as bigint)`.as("size"))
            .where("r.tenant", "=", tenant)
            .whereRef("r.anomaly_id", "=", "anomalies.id")
            .as("size"),
        )
        .where("tenant", "=", tenant)
        .where(unheld)
        .orderBy("changed_at")
        .orderBy("id")
        .limit(batch)
        .execute();
      const ids: string[] = [];
      let freed = 0;
      for (const { id, changed_at, size } of candidates) {
        if (Number(changed_at) >= oldest && excess <= freed) break;
        ids.push(id);
        freed += Number(size ?? 0n);
      }
      if (ids.length === 0) break;
      // Reports and events are deleted with their anomaly; one that was reported again meanwhile is kept.
      const { changed_at: latest } = candidates[ids.length - 1]!;
      const deleted = await this.#delete(tenant, "anomalies", Number(latest), async (trx) => {
        // This locks the rows: from now on nobody creates a bundle of them.
        await trx
          .updateTable("anomalies")
          .set((eb) => ({ id: eb.ref("id") }))
          .where("tenant", "=", tenant)
          .where("id", "in", ids)
          .execute();
        return trx
          .deleteFrom("anomalies")
          .where("tenant", "=", tenant)
          .where("id", "in", ids)
          .where("changed_at", "<=", latest)
          .where(unheld)
          .returning("recorded_at")
          .execute();
      });
      result.anomalies += deleted;
      result.bytes += freed;
      excess -= freed;
      if (ids.length < candidates.length) break;
      await this.#pause();
    }
    await this.#forget(tenant, oldest, result);
    await this.#trim("incidents", "changed_at", maxIncidents, tenant, oldest);
    await this.#trim("changes", "recorded_at", maxChanges, tenant, oldest);
    await this.#trimCalls(tenant, oldest);
    await this.#forgetNotable(tenant, oldest);
    await this.#recordings.trim(tenant, this.#now);
    if (this.#now !== undefined) await this.#counts.count(tenant, this.#now);
  }

  /** Calls come and go all the time, and each deletion is an entry in the audit log: so they are deleted once per hour. */
  async #trimCalls(tenant: string, oldest: number): Promise<void> {
    const now = this.#context.clock.now();
    if (now - (this.#callsTrimmed.get(tenant) ?? Number.NEGATIVE_INFINITY) < callsEvery) return;
    this.#callsTrimmed.set(tenant, now);
    await this.#trim("llm_calls", "recorded_at", maxLlmCalls, tenant, oldest);
  }

  /** Deletes findings that are older than `oldest`, and the oldest of those beyond their number. */
  async #forgetNotable(tenant: string, oldest: number): Promise<void> {
    const { read, write } = this.#context.database;
    const beyond = await read
      .selectFrom("notable")
      .select("recorded_at")
      .where("tenant", "=", tenant)
      .orderBy("recorded_at", "desc")
      .offset(maxNotable)
      .limit(1)
      .executeTakeFirst();
    const least = BigInt(Math.max(0, Math.floor(oldest)));
    const before = beyond === undefined || beyond.recorded_at < least ? least : beyond.recorded_at + 1n;
    await write
      .deleteFrom("notable")
      .where("tenant", "=", tenant)
      .where("recorded_at", "<", before)
      .execute();
  }

  /** Deletes rows that are older than `oldest`, and the oldest of those beyond a number. Rows that refer to them are deleted with them. */
  async #trim(
    table: "incidents" | "changes" | "llm_calls",
    column: "changed_at" | "recorded_at",
    most: number,
    tenant: string,
    oldest: number,
  ): Promise<void> {
    const { read } = this.#context.database;
    const atOnce = table === "llm_calls" ? callsAtOnce : batch;
    const time = sql.ref<bigint>(column);
    const least = BigInt(Math.max(0, Math.floor(oldest)));
    while (!this.#stop.signal.aborted) {
      const { rows } = await sql<{ id: string; time: bigint }>`
        select id, ${time} as time from ${sql.table(table)} as t where tenant = ${tenant} and (${time} < ${least} or ${time} < (
          select ${time} from ${sql.table(table)} where tenant = ${tenant}
          order by ${time} desc, id desc limit 1 offset ${sql.lit(most - 1)}
        )) order by ${time} limit ${sql.lit(atOnce)}`.execute(read);
      if (rows.length === 0) break;
      const deletion = (trx: Kysely<Tables>) =>
        trx
          .deleteFrom(table)
          .where("tenant", "=", tenant)
          .where(
            "id",
            "in",
            rows.map(({ id }) => id),
          )
          // One that changed meanwhile is kept by its age, and goes with the next pass if there are too many.
          .where(sql<boolean>`${time} <= ${BigInt(this.#context.clock.now())}`)
          .returning("recorded_at")
          .execute();
      await this.#delete(tenant, table, Number(rows.at(-1)!.time), deletion);
      if (rows.length < atOnce) break;
      await this.#pause();
    }
  }

  /** Deletes rows with an entry in the audit log. @param until the time of the latest one */
  #delete(
    tenant: string,
    kind: "anomalies" | "incidents" | "changes" | "llm_calls",
    until: number,
    change: (trx: Transaction<Tables>) => Promise<{ recorded_at: bigint }[]>,
  ): Promise<number> {
    return changeAudited(this.#context, async (trx, append) => {
      const deleted = await change(trx);
      const count = deleted.length;
      if (count > 0) {
        const days = daysOf(deleted.map(({ recorded_at }) => recorded_at));
        const detail = { kind, count, until: new Date(until).toISOString(), days };
        const entry = { actor: "driftlock", action: "retention.deleted", target: retentionTarget, detail };
        await append(tenant, entry, this.#context.now());
      }
      return count;
    });
  }

  async #size(tenant: string): Promise<number> {
    const reports = this.#context.database.read
      .selectFrom("anomaly_reports")
      .select(sql<bigint | null>`cast(sum(size) as bigint)`.as("size"))
      .where("tenant", "=", tenant);
    const held = reports.where("anomaly_id", "in", (eb) =>
      eb
        .selectFrom("evidence_bundles")
        .select("anomaly_id")
        .where("tenant", "=", tenant)
        .where("anomaly_id", "is not", null)
        .$castTo<{ anomaly_id: string }>(),
    );
    const all = await reports.executeTakeFirstOrThrow();
    return Number(all.size ?? 0n) - Number((await held.executeTakeFirstOrThrow()).size ?? 0n);
  }

  /** Deletes streams without anomalies that were not seen lately or are too many, and old usage. */
  async #forget(tenant: string, oldest: number, result: RetentionResult): Promise<void> {
    const { database } = this.#context;
    const { n } = await database.read
      .selectFrom("streams")
      .select((eb) => eb.fn.countAll<bigint>().as("n"))
      .where("tenant", "=", tenant)
      .executeTakeFirstOrThrow();
    const seenBefore = BigInt(Math.max(0, Math.floor(oldest))) * 1_000_000n;
    for (let excess = Number(n) - maxStreams; !this.#stop.signal.aborted; ) {
      const candidates = await database.read
        .selectFrom("streams")
        .select(["id", "last_seen"])
        .where("tenant", "=", tenant)
        .where(unrelated)
        .$if(excess <= 0, (query) => query.where("last_seen", "<", seenBefore))
        // Streams that the engine still holds are deleted last.
        .orderBy(sql`case when state in ('learning', 'watching') then 1 else 0 end`)
        .orderBy("last_seen")
        .limit(batch)
        .execute();
      const ids = candidates
        .filter(({ last_seen }, i) => i < excess || last_seen < seenBefore)
        .map(({ id }) => id);
      if (ids.length === 0) break;
      // Points are deleted with their stream.
      const deleted = await database.write
        .deleteFrom("streams")
        .where("tenant", "=", tenant)
        .where("id", "in", ids)
        .where(unrelated)
        .executeTakeFirst();
      result.streams += Number(deleted.numDeletedRows);
      excess -= ids.length;
      if (candidates.length < batch) break;
      await this.#pause();
    }
    if (this.#now === undefined) return;
    await database.write
      .deleteFrom("usage")
      .where("tenant", "=", tenant)
      .where("day", "<", dayOf(this.#now - usageDays * dayMs))
      .execute();
  }

  async #pause(): Promise<void> {
    await sleep(pauseMs, undefined, { signal: this.#stop.signal }).catch(() => {});
  }
}
