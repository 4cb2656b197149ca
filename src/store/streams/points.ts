/** The history of streams over the last day: a ring of points for each. */
import { type Kysely, sql } from "kysely";
import type { Channel } from "../../gen/driftlock/v1/anomaly_pb.js";
import { BulkInsert } from "../database/bulk.ts";
import type { Tables } from "../database/tables.ts";

export interface StreamPoint {
  /** When the point began, in milliseconds since 1970 by the store's clock. It spans at most `pointMs`. */
  time: number;
  records: bigint;
  flagged: bigint;
  /** The highest score of all channels. */
  score: number;
  channel: Channel;
  /** The smallest p-value. */
  pValue: number;
}

export const pointMs = 300_000;
/** The number of points of one day. */
export const pointsKept = 288;

const columns = [
  "tenant",
  "stream_id",
  "slot",
  "time",
  "records",
  "flagged",
  "score",
  "channel",
  "p_value",
] as const;

const same = sql`stream_points.time = excluded.time`;
const higher = sql`${same} and stream_points.score >= excluded.score`;

const upsert = new BulkInsert<"stream_points">(columns, (db, rows) =>
  db
    .insertInto("stream_points")
    .values(rows)
    .onConflict((conflict) =>
      conflict.columns(["tenant", "stream_id", "slot"]).doUpdateSet({
        time: sql`excluded.time`,
        records: sql`excluded.records + case when ${same} then stream_points.records else 0 end`,
        flagged: sql`excluded.flagged + case when ${same} then stream_points.flagged else 0 end`,
        score: sql`case when ${higher} then stream_points.score else excluded.score end`,
        channel: sql`case when ${higher} then stream_points.channel else excluded.channel end`,
        p_value: sql`case when ${same} and stream_points.p_value < excluded.p_value then stream_points.p_value else excluded.p_value end`,
      }),
    ),
);

interface Addition extends Omit<StreamPoint, "time"> {
  tenant: string;
  id: string;
}

/** Adds to the current points, once per stream. The streams must exist. */
export async function recordPoints(
  trx: Kysely<Tables>,
  additions: readonly Addition[],
  now: number,
): Promise<void> {
  const number = Math.floor(now / pointMs);
  const slot = number % pointsKept;
  const time = number * pointMs;
  await upsert.run(
    trx,
    additions.map(({ tenant, id, records, flagged, score, channel, pValue }) => ({
      tenant,
      stream_id: id,
      slot,
      time,
      records,
      flagged,
      score,
      channel,
      p_value: pValue,
    })),
  );
}

/** Returns the points, oldest first. */
export async function readPoints(
  db: Kysely<Tables>,
  tenant: string,
  streamId: string,
  now: number,
): Promise<StreamPoint[]> {
  const rows = await db
    .selectFrom("stream_points")
    .select(["time", "records", "flagged", "score", "channel", "p_value"])
    .where("tenant", "=", tenant)
    .where("stream_id", "=", streamId)
    .where("time", ">", BigInt(now - pointMs * pointsKept))
    .orderBy("time")
    .execute();
  return rows.map(({ time, records, flagged, score, channel, p_value }) => ({
    time: Number(time),
    records,
    flagged,
    score,
    channel: Number(channel),
    pValue: p_value,
  }));
}
