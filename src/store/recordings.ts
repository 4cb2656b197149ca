/**
 * The recordings of anomalies, from which their verdicts can be computed again, and the bases of incidents, for the same purpose. They
 * are kept within an age and a size of each tenant, the latest ones. Of one that had to go, an empty one stays, so that it is
 * known that there was one.
 */
import { sql } from "kysely";
import type { Config } from "../config/schema.ts";
import { checkId, checkTenant } from "./arguments.ts";
import type { Context } from "./context.ts";

type Limits = Config["evidence"]["recordings"];

/** What is kept, and by what: a report's hash identifies it among all of a tenant. */
const keys = {
  recordings: "anomaly_id",
  report_recordings: "hash",
  incident_bases: "incident_id",
} as const;

/** The number of recordings per statement. */
const batch = 100;

export class Recordings {
  readonly #context: Context;
  readonly #limits: Limits;
  #trimmed = 0;

  constructor(context: Context, limits: Limits) {
    this.#context = context;
    this.#limits = limits;
  }

  /** The number of recordings and bases that this process has deleted because of their age or their size. */
  get trimmed(): number {
    return this.#trimmed;
  }

  /** Returns the recording of an anomaly: undefined if there never was one, `gone` if it is no longer kept. */
  async get(tenant: string, anomalyId: string): Promise<Uint8Array | "gone" | undefined> {
    checkTenant(tenant);
    const row = await this.#context.database.read
      .selectFrom("recordings")
      .select(["size", "data"])
      .where("tenant", "=", tenant)
      .where("anomaly_id", "=", checkId("anomalyId", anomalyId))
      .executeTakeFirst();
    return row && (row.size === 0n ? "gone" : row.data);
  }

  /** Returns the recordings of reports after the first of an anomaly, by the hash of the report, in the same way. */
  async later(tenant: string, anomalyId: string): Promise<Map<string, Uint8Array | "gone">> {
    checkTenant(tenant);
    const rows = await this.#context.database.read
      .selectFrom("report_recordings")
      .select(["hash", "size", "data"])
      .where("tenant", "=", tenant)
      .where("anomaly_id", "=", checkId("anomalyId", anomalyId))
      .execute();
    return new Map(rows.map(({ hash, size, data }) => [hash, size === 0n ? "gone" : data]));
  }

  /** Returns the basis of an incident, in the same way. */
  async basis(tenant: string, incidentId: string): Promise<Uint8Array | "gone" | undefined> {
    checkTenant(tenant);
    const row = await this.#context.database.read
      .selectFrom("incident_bases")
      .select(["size", "data"])
      .where("tenant", "=", tenant)
      .where("incident_id", "=", checkId("incidentId", incidentId))
      .executeTakeFirst();
    return row && (row.size === 0n ? "gone" : row.data);
  }

  /** Applies the limits to a tenant. @param now undefined while the time of day is not confirmed */
  async trim(tenant: string, now: number | undefined): Promise<void> {
    const { read } = this.#context.database;
    const oldest = now === undefined ? 0 : Math.max(0, Math.floor(now - this.#limits.max_age));
    const { rows } = await sql<{ of: keyof typeof keys; key: string }>`
      select of, key from (
        select of, key, recorded_at, sum(size) over (order by recorded_at desc, of, key desc) as total
        from (${sql.join(
          Object.entries(keys).map(
            ([table, key]) => sql`
              select ${sql.lit(table)} as of, ${sql.ref(key)} as key, recorded_at, size
              from ${sql.table(table)} where tenant = ${tenant} and size > 0`,
          ),
          sql` union all `,
        )}) as kept
      ) as summed
      where recorded_at < ${BigInt(oldest)} or total > ${BigInt(this.#limits.max_size)}`.execute(read);
    for (const [table, own] of Map.groupBy(rows, ({ of }) => of)) {
      await this.#empty(
        table,
        tenant,
        own.map(({ key }) => key),
      );
    }
  }

  async #empty(table: keyof typeof keys, tenant: string, all: readonly string[]): Promise<void> {
    for (let at = 0; at < all.length; at += batch) {
      const { numUpdatedRows } = await this.#context.database.write
        .updateTable(table)
        .set({ size: 0n, data: new Uint8Array() })
        .where("tenant", "=", tenant)
        .where(sql.ref<string>(keys[table]), "in", all.slice(at, at + batch))
        .where("size", ">", 0n)
        .executeTakeFirst();
      this.#trimmed += Number(numUpdatedRows);
    }
  }
}
