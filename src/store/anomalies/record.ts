/** Writes anomaly reports: the summary of each anomaly, and the reports of it that are kept. */
import { type Kysely, type RawBuilder, sql } from "kysely";
import { ensureTenants } from "../audit-chain.ts";
import type { Context } from "../context.ts";
import { BulkInsert } from "../database/bulk.ts";
import type { Tables } from "../database/tables.ts";
import type { Settings } from "../settings.ts";
import { recordSightings } from "../streams/records.ts";
import { rankReports } from "./ranking.ts";
import type { ReportRow } from "./report.ts";

/** The number of anomalies per statement that thins out reports. */
const thinned = 100;

function greatest(column: string): RawBuilder<bigint> {
  const [ours, theirs] = [sql.ref(`anomalies.${column}`), sql.ref(`excluded.${column}`)];
  return sql`case when ${theirs} > ${ours} then ${theirs} else ${ours} end`;
}

/**
 * Combines only by maximum and union, since reports may arrive in any order and more than once. The start is the same in
 * all reports and is not set again, since most indexes contain it.
 */
const upsertAnomalies = new BulkInsert<"anomalies">(
  [
    "tenant",
    "id",
    "stream_id",
    "stream",
    "service",
    "signal",
    "channels",
    "severity",
    "start_time",
    "end_time",
    "occurrences",
    "ended",
    "recorded_at",
    "changed_at",
  ],
  (db, rows) =>
    db
      .insertInto("anomalies")
      .values(rows)
      .onConflict((conflict) =>
        conflict.columns(["tenant", "id"]).doUpdateSet({
          channels: sql`anomalies.channels | excluded.channels`,
          severity: greatest("severity"),
          end_time: greatest("end_time"),
          occurrences: greatest("occurrences"),
          ended: greatest("ended"),
          changed_at: greatest("changed_at"),
        }),
      ),
);

const insertReports = new BulkInsert<"anomaly_reports">(
  [
    "tenant",
    "anomaly_id",
    "hash",
    "record_hash",
    "settings_hash",
    "occurrence",
    "strength",
    "news",
    "trace_id",
    "size",
    "text",
    "report",
  ],
  (db, rows) =>
    db
      .insertInto("anomaly_reports")
      .values(rows)
      .onConflict((conflict) => conflict.doNothing()),
);

const insertRecordings = new BulkInsert<"recordings">(
  ["tenant", "anomaly_id", "recorded_at", "size", "data"],
  (db, rows) =>
    db
      .insertInto("recordings")
      .values(rows)
      .onConflict((conflict) => conflict.doNothing()),
);

const insertReportRecordings = new BulkInsert<"report_recordings">(
  ["tenant", "anomaly_id", "hash", "recorded_at", "size", "data"],
  (db, rows) =>
    db
      .insertInto("report_recordings")
      .values(rows)
      .onConflict((conflict) => conflict.doNothing()),
);

/**
 * Divides reports into waves, since a statement may change a row only once: the nth report of an anomaly is in the nth
 * wave.
 */
function waves(reports: readonly ReportRow[]): ReportRow[][] {
  const result: ReportRow[][] = [];
  const seen = new Map<string, number>();
  for (const report of reports) {
    const name = `${report.tenant}\0${report.id}`;
    const n = seen.get(name) ?? 0;
    seen.set(name, n + 1);
    result[n] ??= [];
    result[n].push(report);
  }
  return result;
}

/** Keeps each anomaly's first report, its strongest one and its examples. */
async function thinOut(
  db: Kysely<Tables>,
  anomalies: readonly { tenant: string; id: string }[],
): Promise<void> {
  for (let at = 0; at < anomalies.length; at += thinned) {
    const names = anomalies.slice(at, at + thinned).map(({ tenant, id }) => sql`(${tenant}, ${id})`);
    await sql`
      delete from anomaly_reports where (tenant, anomaly_id, hash) in (
        select tenant, anomaly_id, hash
        from (${rankReports(sql`(tenant, anomaly_id) in (values ${sql.join(names)})`)}) as ranked
        where nth > 1 and by_strength > 1 and example = 0
      )`.execute(db);
  }
}

/** Returns a mask in which bit n stands for channel n. */
export function channelMask(channels: readonly number[]): bigint {
  return channels.reduce((bits, channel) => bits | (1n << BigInt(channel & 31)), 0n);
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

async function record(
  trx: Kysely<Tables>,
  { hash, body }: Settings,
  reports: readonly ReportRow[],
  now: number,
): Promise<void> {
  await ensureTenants(trx, new Set(reports.map(({ tenant }) => tenant)), now);
  await trx
    .insertInto("settings")
    .values({ hash, body, created_at: now })
    .onConflict((conflict) => conflict.column("hash").doNothing())
    .execute();
  await recordSightings(
    trx,
    reports.map(({ tenant, stream, signal, service, startTime, endTime }) => ({
      tenant,
      key: stream,
      signal,
      service,
      firstSeen: startTime,
      lastSeen: endTime,
    })),
    now,
  );
  for (const wave of waves(reports)) {
    await upsertAnomalies.run(
      trx,
      wave.map((report) => ({
        tenant: report.tenant,
        id: report.id,
        stream_id: report.streamId,
        stream: report.stream,
        service: report.service,
        signal: report.signal,
        channels: report.ended ? 0n : channelMask([report.channel]),
        severity: report.severity,
        start_time: report.startTime,
        end_time: report.endTime,
        occurrences: report.occurrence,
        ended: report.ended ? 1 : 0,
        recorded_at: now,
        changed_at: now,
      })),
    );
  }
  // The end of an anomaly concerns no record.
  const withRecords = reports.filter(({ ended }) => !ended);
  await insertReports.run(
    trx,
    withRecords.map((report) => ({
      tenant: report.tenant,
      anomaly_id: report.id,
      hash: report.hash,
      record_hash: report.recordHash,
      settings_hash: hash,
      occurrence: report.occurrence,
      strength: report.strength,
      news: report.news,
      trace_id: report.traceId,
      size: report.size,
      text: report.text,
      report: report.bytes,
    })),
  );
  const recorded = withRecords.flatMap(({ recording, ...report }) =>
    recording === undefined ? [] : [{ ...report, recording }],
  );
  const [first, later] = [true, false].map((isFirst) =>
    recorded.filter(({ occurrence }) => (occurrence === 1n) === isFirst),
  );
  await insertRecordings.run(
    trx,
    first!.map(({ tenant, id, recording: data }) => ({
      tenant,
      anomaly_id: id,
      recorded_at: now,
      size: BigInt(data.length),
      data,
    })),
  );
  await insertReportRecordings.run(
    trx,
    later!.map(({ tenant, id, hash: own, recording: data }) => ({
      tenant,
      anomaly_id: id,
      hash: own,
      recorded_at: now,
      size: BigInt(data.length),
      data,
    })),
  );
  const repeated = withRecords.filter(({ occurrence }) => occurrence > 1n);
  await thinOut(trx, [...new Map(repeated.map((each) => [`${each.tenant}\0${each.id}`, each])).values()]);
}

/**
 * Stores all reports, of any tenants, or none of them.
 * @param settings the settings that they were computed with
 */
export async function recordReports(
  { database, clock }: Pick<Context, "database"> & { clock: Pick<Context["clock"], "now"> },
  settings: Settings,
  reports: readonly ReportRow[],
): Promise<void> {
  // All writers use the same order, so that they cannot deadlock.
  const sorted = reports.toSorted((a, b) => compare(a.tenant, b.tenant) || compare(a.id, b.id));
  await database.write.transaction().execute((trx) => record(trx, settings, sorted, clock.now()));
}
