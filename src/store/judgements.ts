/** What people have decided about anomalies and incidents, in the order in which it was stored: the log that engines learn from. */
import { sql } from "kysely";
import type { Context } from "./context.ts";

export interface Judgement {
  about: "anomaly" | "incident";
  tenant: string;
  /** The id of the anomaly or incident. */
  id: string;
  /** The number of the decision among those about it, from 1. */
  seq: number;
  state: string;
  author: string;
  /** In milliseconds since 1970, by the clock of the process that took it. */
  time: number;
}

export class Judgements {
  readonly #context: Context;

  constructor(context: Context) {
    this.#context = context;
  }

  /** Lists decisions of all tenants from a time on, in milliseconds since 1970, the oldest first. */
  async since(time: number, limit: number): Promise<Judgement[]> {
    const { rows } = await sql<Omit<Judgement, "seq" | "time"> & { seq: bigint; time: bigint }>`
      select 'anomaly' as about, tenant, anomaly_id as id, seq, state, author, time
        from anomaly_events where time >= ${BigInt(time)}
      union all
      select 'incident' as about, tenant, incident_id as id, seq, state, author, time
        from incident_events where time >= ${BigInt(time)}
      order by time, tenant, id, seq limit ${limit}`.execute(this.#context.database.read);
    return rows.map((row) => ({ ...row, seq: Number(row.seq), time: Number(row.time) }));
  }
}
