/** Anomalies that may have to do with another one: of the same traces, and of about the same time. */
import type { Context } from "../context.ts";
import { type SummaryRow, summaryColumns } from "./summary.ts";

/** How long before and after an anomaly begins others count as of the same time. */
const aroundNanos = 300_000_000_000n;
/** The largest number of each kind. */
const shown = 20;

export interface RelatedRows {
  sameTrace: SummaryRow[];
  /** Those that began closest in time first. */
  sameTime: SummaryRow[];
}

/** Undefined if there is no such anomaly. */
export async function relatedTo(
  { database }: Context,
  tenant: string,
  id: string,
): Promise<RelatedRows | undefined> {
  const db = database.read;
  const own = await db
    .selectFrom("anomalies")
    .select("start_time")
    .where("tenant", "=", tenant)
    .where("id", "=", id)
    .executeTakeFirst();
  if (own === undefined) return undefined;
  const { start_time: start } = own;
  const others = db
    .selectFrom("anomalies")
    .select(summaryColumns)
    .where("tenant", "=", tenant)
    .where("id", "<>", id);
  const sameTrace = await others
    .where("id", "in", (eb) =>
      eb
        .selectFrom("anomaly_reports as other")
        .innerJoin("anomaly_reports as own", (join) =>
          join.onRef("own.tenant", "=", "other.tenant").onRef("own.trace_id", "=", "other.trace_id"),
        )
        .select("other.anomaly_id")
        .where("own.tenant", "=", tenant)
        .where("own.anomaly_id", "=", id),
    )
    .orderBy("start_time")
    .orderBy("id")
    .limit(shown)
    .execute();
  // Each side is read from the index in its order, so that a flood of anomalies makes no difference.
  const before = await others
    .where("start_time", "<=", start)
    .where("start_time", ">=", start - aroundNanos)
    .orderBy("start_time", "desc")
    .orderBy("id", "desc")
    .limit(shown)
    .execute();
  const after = await others
    .where("start_time", ">", start)
    .where("start_time", "<=", start + aroundNanos)
    .orderBy("start_time")
    .orderBy("id")
    .limit(shown)
    .execute();
  const distance = ({ start_time }: SummaryRow) =>
    Number(start_time > start ? start_time - start : start - start_time);
  const sameTime = [...before, ...after].sort((a, b) => distance(a) - distance(b)).slice(0, shown);
  return { sameTrace, sameTime };
}
