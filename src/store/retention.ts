/** Deletes what is older than may be kept, or more. */
import { setTimeout as sleep } from "node:timers/promises";
import { sql } from "kysely";
import type { StoreConfig } from "../config/schema.ts";
import type { Context } from "./context.ts";
import { dayOf } from "./usage.ts";

export interface RetentionResult {
  anomalies: number;
  /** That the deleted anomalies took, about. */
  bytes: number;
  streams: number;
}

/** Anomalies a transaction: some milliseconds. */
const batch = 200;
/** Between transactions, for what else is to be written. */
const pauseMs = 5;
const dayMs = 86_400_000;
/** A year, to compare with, and a month. */
const usageDays = 400;
const tenantsAtOnce = 500;

export class Retention {
  readonly #context: Context;
  readonly #limits: StoreConfig["retention"];
  readonly #stop = new AbortController();
  #running: Promise<RetentionResult> | undefined;

  constructor(context: Context, limits: StoreConfig["retention"]) {
    this.#context = context;
    this.#limits = limits;
  }

  /** Goes through all tenants. A second call waits for the first. */
  run(): Promise<RetentionResult> {
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  /** Ends after the transaction in work. */
  async close(): Promise<void> {
    this.#stop.abort();
    await this.#running?.catch(() => {});
  }

  async #run(): Promise<RetentionResult> {
    const result = { anomalies: 0, bytes: 0, streams: 0 };
    const { database } = this.#context;
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
    if (database.kind === "sqlite" && result.anomalies > 0) {
      await sql`pragma incremental_vacuum(2000)`.execute(database.write);
      await sql`pragma optimize`.execute(database.write);
    }
    return result;
  }

  async #ofTenant(tenant: string, result: RetentionResult): Promise<void> {
    const { database, now } = this.#context;
    const oldest = now() - this.#limits.max_age;
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
      // Its reports and events go with an anomaly; what has been reported anew meanwhile stays.
      const { changed_at: latest } = candidates[ids.length - 1]!;
      const deleted = await database.write
        .deleteFrom("anomalies")
        .where("tenant", "=", tenant)
        .where("id", "in", ids)
        .where("changed_at", "<=", latest)
        .executeTakeFirst();
      result.anomalies += Number(deleted.numDeletedRows);
      result.bytes += freed;
      excess -= freed;
      if (ids.length < candidates.length) break;
      await this.#pause();
    }
    await this.#forget(tenant, oldest, result);
  }

  async #size(tenant: string): Promise<number> {
    const { size } = await this.#context.database.read
      .selectFrom("anomaly_reports")
      .select(sql<bigint | null>`cast(sum(size) as bigint)`.as("size"))
      .where("tenant", "=", tenant)
      .executeTakeFirstOrThrow();
    return Number(size ?? 0n);
  }

  /** Streams that were not seen and have no anomaly, and usage that is long past. */
  async #forget(tenant: string, oldest: number, result: RetentionResult): Promise<void> {
    if (this.#stop.signal.aborted) return;
    const { database, now } = this.#context;
    const streams = await database.write
      .deleteFrom("streams")
      .where("tenant", "=", tenant)
      .where("last_seen", "<", BigInt(Math.max(0, Math.floor(oldest))) * 1_000_000n)
      .where(({ not, exists, selectFrom }) =>
        not(
          exists(
            selectFrom("anomalies")
              .select("anomalies.id")
              .where("anomalies.tenant", "=", tenant)
              .whereRef("anomalies.stream_id", "=", "streams.id"),
          ),
        ),
      )
      .executeTakeFirst();
    result.streams += Number(streams.numDeletedRows);
    await database.write
      .deleteFrom("usage")
      .where("tenant", "=", tenant)
      .where("day", "<", dayOf(now() - usageDays * dayMs))
      .execute();
  }

  async #pause(): Promise<void> {
    await sleep(pauseMs, undefined, { signal: this.#stop.signal }).catch(() => {});
  }
}
