/** Which reports of an anomaly are kept and shown. */
import { type RawBuilder, sql } from "kysely";

/** Maximum number of distinct records that are kept of an anomaly. */
export const maxExamples = 5;

/** A report of an anomaly, among the others of it. */
export interface Ranked {
  tenant: string;
  anomaly_id: string;
  hash: string;
  /** 1 for the first report. */
  nth: bigint;
  /** 1 for the strongest report. */
  by_strength: bigint;
  /** 1 for an example, else 0. */
  example: bigint;
}

/**
 * Selects the reports of anomalies as `Ranked`. The examples are reports with distinct records: the strongest news of each channel
 * first, then other news, then the earliest.
 * @param among a condition on anomaly_reports
 */
export function rankReports(among: RawBuilder<unknown>): RawBuilder<Ranked> {
  const anomaly = sql`partition by tenant, anomaly_id`;
  return sql<Ranked>`
    select tenant, anomaly_id, hash, nth, by_strength,
      cast(case when of_record = 1 and
        sum(case when of_record = 1 then 1 else 0 end)
          over (${anomaly} order by standing, case when news > 0 then strength else 0 end desc, occurrence, hash)
        <= ${sql.lit(maxExamples)} then 1 else 0 end as bigint) as example
    from (
      select tenant, anomaly_id, hash, record_hash, occurrence, strength, news,
        case when news = 0 then 2 when row_number()
          over (${anomaly}, news order by strength desc, occurrence, hash) = 1 then 0 else 1 end as standing,
        row_number() over (${anomaly} order by occurrence, hash) as nth,
        row_number() over (${anomaly} order by strength desc, occurrence, hash) as by_strength,
        row_number() over (${anomaly}, record_hash
          order by case when news > 0 then strength else -1 end desc, occurrence, hash) as of_record
      from anomaly_reports where ${among}
    ) as placed`;
}
