/** The strangest of each hour that was not flagged. */
import { fromBinary } from "@bufbuild/protobuf";
import { type Insertable, sql } from "kysely";
import type { Report } from "../anomaly/report.ts";
import { streamId } from "../anomaly/stream-id.ts";
import { type Anomaly, AnomalySchema } from "../gen/driftlock/v1/anomaly_pb.js";
import { integer } from "./anomalies/report.ts";
import { checkTenant } from "./arguments.ts";
import type { Context } from "./context.ts";
import { BulkInsert } from "./database/bulk.ts";
import type { Tables } from "./database/tables.ts";
import { type PageRequest, pageLimit } from "./page.ts";
import { WaitingRows } from "./waiting.ts";

type Row = Insertable<Tables["notable"]>;

export interface NotableFilter {
  /** The range of its time, in nanoseconds since 1970, excluding `until`. */
  from?: bigint;
  until?: bigint;
}

const nanosPerHour = 3_600_000_000_000n;
/** Maximum number of pending findings. While the database is away, the least strange ones give way. */
const maxWaiting = 2_048;

const upsert = new BulkInsert<"notable">(
  ["tenant", "hour", "stream_id", "time", "margin", "recorded_at", "message"],
  (db, rows) =>
    db
      .insertInto("notable")
      .values(rows)
      .onConflict((conflict) =>
        conflict
          .columns(["tenant", "hour", "stream_id"])
          .doUpdateSet({
            time: sql`excluded.time`,
            margin: sql`excluded.margin`,
            recorded_at: sql`excluded.recorded_at`,
            message: sql`excluded.message`,
          })
          .where(sql<boolean>`excluded.margin > notable.margin`),
      ),
);

export class NotableFindings {
  readonly #context: Context;
  readonly #waiting: WaitingRows<"notable", Row>;

  constructor(context: Context) {
    this.#context = context;
    this.#waiting = new WaitingRows(context, upsert, keep);
  }

  /**
   * Takes a finding of the engine, which is written within about a second.
   * @throws {InvalidArgument} for a tenant that cannot be stored, which would keep all others from being written.
   */
  offer({ message, bytes }: Report): void {
    const { tenant, stream, instance, timeUnixNano, margin } = message;
    checkTenant(tenant);
    const time = integer(timeUnixNano);
    this.#waiting.add({
      tenant,
      hour: time / nanosPerHour,
      stream_id: streamId(instance === "" ? stream : `${stream} ${instance}`),
      time,
      margin,
      recorded_at: BigInt(this.#context.clock.now()),
      message: bytes,
    });
  }

  flush(): Promise<void> {
    return this.#waiting.flush();
  }

  /** Lists what was found in a range of event time, the strangest first. Only the limit of the page counts. */
  async list(
    tenant: string,
    { from, until }: NotableFilter = {},
    page: PageRequest = {},
  ): Promise<Anomaly[]> {
    checkTenant(tenant);
    await this.flush();
    let query = this.#context.database.read
      .selectFrom("notable")
      .select("message")
      .where("tenant", "=", tenant);
    if (from !== undefined) query = query.where("time", ">=", from);
    if (until !== undefined) query = query.where("time", "<", until);
    const rows = await query
      .orderBy("margin", "desc")
      .orderBy("time", "desc")
      .orderBy("stream_id")
      .limit(pageLimit(page))
      .execute();
    return rows.map(({ message }) => fromBinary(AnomalySchema, message));
  }
}

/** The strangest of a stream's hour waits alone. */
function keep(rows: Map<string, Row>, row: Row): void {
  const key = `${row.tenant}\0${row.hour}\0${row.stream_id}`;
  const known = rows.get(key);
  if (known !== undefined && known.margin >= row.margin) return;
  rows.set(key, row);
  if (rows.size <= maxWaiting) return;
  const [least] = [...rows].reduce((a, b) => (b[1].margin < a[1].margin ? b : a));
  rows.delete(least);
}
