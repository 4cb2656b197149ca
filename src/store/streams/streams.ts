import { sql } from "kysely";
import type { StreamState } from "../../anomaly/names.ts";
import type { StreamStatistics } from "../../engine/index.ts";
import { Signal } from "../../gen/driftlock/v1/anomaly_pb.js";
import { serviceName } from "../anomalies/report.ts";
import { checkId, checkTenant } from "../arguments.ts";
import { ensureTenants } from "../audit-chain.ts";
import type { Context } from "../context.ts";
import { latestFirst, type Page, type PageRequest, pageLimit, parsePosition, toPage } from "../page.ts";
import { pointMs, readPoints, type StreamPoint } from "./points.ts";
import { recordStatistics, type StreamSighting, streamColumns } from "./records.ts";

/** The changes of a stream's statistics since the engine last reported them. */
export type StreamObservation = StreamStatistics;

export interface Stream extends StreamSighting {
  id: string;
  state: StreamState;
  /** The progress of learning, from 0 to 1. */
  progress: number;
  /** The event time at which the stream had learned. */
  baselineAt: bigint | undefined;
  /** The total number of records. */
  records: bigint;
  flagged: bigint;
  /** The total number of alarms that the stream's budget withheld. */
  withheld: bigint;
  /** The number of stored anomalies. */
  anomalies: bigint;
  /**
   * When the stream was first recorded, and last reported by the engine, in milliseconds since 1970 by the store's
   * clock.
   */
  recordedAt: number;
  reportedAt: number;
  /** Records per second, as they arrived in the latest five to ten minutes. */
  recentRate: number;
}

export interface RatedPoint extends StreamPoint {
  /** Records per second. */
  rate: number;
}

export interface StreamFilter {
  signal?: readonly Signal[];
  service?: string;
  state?: readonly StreamState[];
}

/** How often the engine is queried for changed streams, in milliseconds. */
export const reportIntervalMs = 10_000;
const signals = [Signal.LOGS, Signal.TRACES, Signal.METRICS];
/** The number of streams per statement. */
const countedAtOnce = 10;

/** The streams of a service. */
export interface ServiceSummary {
  service: string;
  streams: bigint;
  signals: Signal[];
  /** The event time of its latest record, in nanoseconds since 1970. */
  lastSeen: bigint;
}

export class Streams {
  readonly #context: Context;

  constructor(context: Context) {
    this.#context = context;
  }

  /** Records observations of any tenants; each names its own. */
  async record(batch: readonly StreamObservation[]): Promise<void> {
    const { database, clock } = this.#context;
    const tenants = new Set(batch.map(({ tenant }) => checkTenant(tenant)));
    await database.write.transaction().execute(async (trx) => {
      await ensureTenants(trx, tenants, clock.now());
      await recordStatistics(trx, batch, clock.now());
    });
  }

  /** Lists streams, newest first. */
  async list(tenant: string, filter: StreamFilter = {}, page: PageRequest = {}): Promise<Page<Stream>> {
    checkTenant(tenant);
    let query = this.#select(tenant);
    if (filter.signal) query = query.where("signal", "in", filter.signal.map(BigInt));
    if (filter.service !== undefined) query = query.where("service", "=", serviceName(filter.service));
    if (filter.state) query = query.where("state", "in", filter.state);
    const { items, next } = await latestFirst(query, "first_seen", page);
    return { items: await this.#counted(tenant, items), ...(next !== undefined && { next }) };
  }

  async get(tenant: string, id: string): Promise<Stream | undefined> {
    checkTenant(tenant);
    const row = await this.#select(tenant).where("id", "=", checkId("id", id)).executeTakeFirst();
    return row && (await this.#counted(tenant, [row]))[0];
  }

  /** Lists the services that streams are of, by name. */
  async services(tenant: string, page: PageRequest = {}): Promise<Page<ServiceSummary>> {
    checkTenant(tenant);
    const limit = pageLimit(page);
    const position = parsePosition(page);
    const rows = await this.#context.database.read
      .selectFrom("streams")
      .select((eb) => [
        "service",
        eb.fn.countAll<bigint>().as("streams"),
        eb.fn.max("last_seen").as("last_seen"),
        ...signals.map((signal) =>
          sql<bigint>`max(case when signal = ${sql.lit(signal)} then 1 else 0 end)`.as(`signal_${signal}`),
        ),
      ])
      .where("tenant", "=", tenant)
      .where("service", ">", position?.minor ?? "")
      .groupBy("service")
      .orderBy("service")
      .limit(limit + 1)
      .execute();
    return toPage(
      rows,
      limit,
      ({ service }) => ({ major: 0n, minor: service }),
      (row) => ({
        service: row.service,
        streams: row.streams,
        lastSeen: row.last_seen,
        signals: signals.filter(
          (signal) => Number((row as unknown as Record<string, bigint>)[`signal_${signal}`]) === 1,
        ),
      }),
    );
  }

  /** Returns the history of the last day, oldest first. */
  async history(
    tenant: string,
    { id, recordedAt, reportedAt }: Pick<Stream, "id" | "recordedAt" | "reportedAt">,
  ): Promise<RatedPoint[]> {
    const { database, clock } = this.#context;
    const now = clock.now();
    const points = await readPoints(database.read, checkTenant(tenant), id, now);
    return points.map((point) => {
      const span = { from: point.time, until: point.time + pointMs };
      return { ...point, rate: rateOf(point.records, span, { recordedAt, reportedAt }, now) };
    });
  }

  #select(tenant: string) {
    return this.#context.database.read
      .selectFrom("streams")
      .select(streamColumns)
      .where("tenant", "=", tenant);
  }

  /** Counts the anomalies of a few streams at a time: for a busy tenant this takes long, and others query meanwhile. */
  async #counted(tenant: string, rows: readonly Row[]): Promise<Stream[]> {
    const { database, clock } = this.#context;
    const [asked, result]: [number, Stream[]] = [clock.now(), []];
    for (let at = 0; at < rows.length; at += countedAtOnce) {
      const some = rows.slice(at, at + countedAtOnce);
      const ids = some.map(({ id }) => id);
      const anomalies = await database.read
        .selectFrom("anomalies")
        .select((eb) => ["stream_id", eb.fn.countAll<bigint>().as("n")])
        .where("tenant", "=", tenant)
        .where("stream_id", "in", ids)
        .groupBy("stream_id")
        .execute();
      const recent = await database.read
        .selectFrom("stream_points")
        .select(["stream_id", sql<bigint>`cast(sum(records) as bigint)`.as("n")])
        .where("tenant", "=", tenant)
        .where("stream_id", "in", ids)
        .where("time", ">=", BigInt(recentSince(asked)))
        .groupBy("stream_id")
        .execute();
      const [anomaliesOf, recentOf] = [anomalies, recent].map(
        (counts) => new Map(counts.map(({ stream_id, n }) => [stream_id, n])),
      );
      for (const row of some) {
        const counts = { anomalies: anomaliesOf!.get(row.id) ?? 0n, recent: recentOf!.get(row.id) ?? 0n };
        result.push(toStream(row, counts, asked));
      }
    }
    return result;
  }
}

/** Returns the start of the latest complete point. */
function recentSince(now: number): number {
  return (Math.floor(now / pointMs) - 1) * pointMs;
}

/** Returns records per second in a span that may begin before the stream or end after its latest statistics. */
function rateOf(
  records: bigint,
  { from, until }: { from: number; until: number },
  { recordedAt, reportedAt }: Pick<Stream, "recordedAt" | "reportedAt">,
  now: number,
): number {
  // The records of a busy stream since its latest statistics are not known yet.
  const known = now - reportedAt < 2 * reportIntervalMs ? reportedAt : now;
  const ms = Math.min(until, known) - Math.max(from, recordedAt - reportIntervalMs);
  return (Number(records) * 1_000) / Math.max(ms, 1_000);
}

interface Row {
  tenant: string;
  id: string;
  key: string;
  signal: bigint;
  service: string;
  state: string;
  first_seen: bigint;
  last_seen: bigint;
  records: bigint;
  flagged: bigint;
  withheld: bigint;
  progress: number;
  baseline_at: bigint | null;
  recorded_at: bigint;
  told_at: bigint;
}

function toStream(row: Row, counts: { anomalies: bigint; recent: bigint }, now: number): Stream {
  const times = { recordedAt: Number(row.recorded_at), reportedAt: Number(row.told_at) };
  return {
    tenant: row.tenant,
    id: row.id,
    key: row.key,
    signal: Number(row.signal),
    service: row.service,
    state: row.state as StreamState,
    progress: row.progress,
    baselineAt: row.baseline_at ?? undefined,
    firstSeen: row.first_seen,
    lastSeen: row.last_seen,
    records: row.records,
    flagged: row.flagged,
    withheld: row.withheld,
    anomalies: counts.anomalies,
    ...times,
    recentRate: rateOf(counts.recent, { from: recentSince(now), until: now }, times, now),
  };
}
