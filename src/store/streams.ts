import { type Kysely, sql } from "kysely";
import { type StreamFigures, type StreamState, streamStates } from "../engine/figures.ts";
import type { Signal } from "../gen/driftlock/v1/anomaly_pb.js";
import { checkId, checkTenant } from "./arguments.ts";
import { ensureTenants } from "./audit.ts";
import { BulkInsert } from "./bulk.ts";
import type { Context } from "./context.ts";
import { latestFirst, type Page, type PageRequest } from "./page.ts";
import { integer, serviceName, streamId, streamKey } from "./report.ts";
import { pointMs, readPoints, recordPoints, type StreamPoint } from "./stream-points.ts";
import type { Tables } from "./tables.ts";

export { type StreamState, streamStates };

/** What the engine tells of a stream since it last did. */
export type StreamObservation = StreamFigures;

/** That a stream is there, and when. */
export interface StreamSighting {
  tenant: string;
  /** As shown to people, such as "logs service.name=checkout". */
  key: string;
  signal: Signal;
  service: string;
  /** Event times, nanoseconds since 1970. */
  firstSeen: bigint;
  lastSeen: bigint;
}

export interface Stream extends StreamSighting {
  id: string;
  state: StreamState;
  /** Of learning, from 0 to 1. */
  progress: number;
  /** Event time when it had learned. */
  baselineAt: bigint | undefined;
  /** In all. */
  records: bigint;
  flagged: bigint;
  /** Stored now. */
  anomalies: bigint;
  /** By the store's clock, milliseconds since 1970: when it was first recorded, and when the engine last told of it. */
  recordedAt: number;
  toldAt: number;
  /** Records a second as they came in the latest five to ten minutes. */
  recentRate: number;
}

export interface RatedPoint extends StreamPoint {
  /** Records a second. */
  rate: number;
}

export interface StreamFilter {
  signal?: readonly Signal[];
  service?: string;
  state?: readonly StreamState[];
}

/** The engine is asked so often what is new of streams, in milliseconds. */
export const tellEveryMs = 10_000;

const seen = {
  first_seen: sql<bigint>`case when excluded.first_seen < streams.first_seen then excluded.first_seen else streams.first_seen end`,
  last_seen: sql<bigint>`case when excluded.last_seen > streams.last_seen then excluded.last_seen else streams.last_seen end`,
};

const columns = [
  "tenant",
  "id",
  "key",
  "signal",
  "service",
  "state",
  "first_seen",
  "last_seen",
  "records",
  "flagged",
  "progress",
  "baseline_at",
  "recorded_at",
  "told_at",
] as const;

const upsertFigures = new BulkInsert<"streams">(columns, (db, rows) =>
  db
    .insertInto("streams")
    .values(rows)
    .onConflict((conflict) =>
      conflict.columns(["tenant", "id"]).doUpdateSet({
        ...seen,
        state: sql`excluded.state`,
        records: sql`streams.records + excluded.records`,
        flagged: sql`streams.flagged + excluded.flagged`,
        progress: sql`excluded.progress`,
        baseline_at: sql`excluded.baseline_at`,
        told_at: sql`excluded.told_at`,
      }),
    ),
);

const upsertSightings = new BulkInsert<"streams">(columns, (db, rows) =>
  db
    .insertInto("streams")
    .values(rows)
    .onConflict((conflict) => conflict.columns(["tenant", "id"]).doUpdateSet(seen)),
);

type Named<T> = T & { id: string };

/** One for each stream: a statement may meet a row once. Sorted, so that two writers never wait in a ring. */
function merge<T extends StreamSighting>(batch: readonly T[], add: (known: T, next: T) => void): Named<T>[] {
  const merged = new Map<string, Named<T>>();
  for (const each of batch) {
    const key = streamKey(each.key);
    const id = streamId(key);
    const name = `${checkTenant(each.tenant)}\0${id}`;
    const [firstSeen, lastSeen] = [integer(each.firstSeen), integer(each.lastSeen)];
    const known = merged.get(name);
    if (known === undefined) {
      merged.set(name, { ...each, id, key, service: serviceName(each.service), firstSeen, lastSeen });
      continue;
    }
    if (firstSeen < known.firstSeen) known.firstSeen = firstSeen;
    if (lastSeen > known.lastSeen) known.lastSeen = lastSeen;
    add(known, each);
  }
  return [...merged].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, each]) => each);
}

/** Within a transaction that has made the tenants known. What the engine has told of a stream stays. */
export async function recordSightings(
  trx: Kysely<Tables>,
  batch: readonly StreamSighting[],
  now: number,
): Promise<void> {
  await upsertSightings.run(
    trx,
    merge(batch, () => {}).map(({ tenant, id, key, signal, service, firstSeen, lastSeen }) => ({
      tenant,
      id,
      key,
      signal,
      service,
      state: "watching",
      first_seen: firstSeen,
      last_seen: lastSeen,
      records: 0,
      flagged: 0,
      progress: 1,
      baseline_at: null,
      recorded_at: now,
      told_at: 0,
    })),
  );
}

type Figures = StreamObservation & StreamSighting;

function addFigures(known: Figures, next: Figures): void {
  known.state = next.state;
  known.progress = next.progress;
  known.baselineAt = next.baselineAt;
  known.records += next.records;
  known.flagged += next.flagged;
  if (next.score > known.score) {
    known.score = next.score;
    known.channel = next.channel;
  }
  known.pValue = Math.min(known.pValue, next.pValue);
}

async function recordFigures(
  trx: Kysely<Tables>,
  batch: readonly StreamObservation[],
  now: number,
): Promise<void> {
  // Where records carry no times, they are when they came.
  const came = BigInt(now) * 1_000_000n;
  const timed = batch.map(
    (each): Figures => ({ ...each, firstSeen: each.firstSeen ?? came, lastSeen: each.lastSeen ?? came }),
  );
  const streams = merge(timed, addFigures);
  await upsertFigures.run(
    trx,
    streams.map((stream) => ({
      tenant: stream.tenant,
      id: stream.id,
      key: stream.key,
      signal: stream.signal,
      service: stream.service,
      state: stream.state,
      first_seen: stream.firstSeen,
      last_seen: stream.lastSeen,
      records: stream.records,
      flagged: stream.flagged,
      progress: stream.progress,
      baseline_at: stream.baselineAt === undefined ? null : integer(stream.baselineAt),
      recorded_at: now,
      told_at: now,
    })),
  );
  const active = streams.filter(({ records }) => records > 0n);
  await recordPoints(trx, active, now);
}

export class Streams {
  readonly #context: Context;

  constructor(context: Context) {
    this.#context = context;
  }

  /** Of any tenants: each observation names its own. */
  async record(batch: readonly StreamObservation[]): Promise<void> {
    const { database, now } = this.#context;
    const tenants = new Set(batch.map(({ tenant }) => checkTenant(tenant)));
    await database.write.transaction().execute(async (trx) => {
      await ensureTenants(trx, tenants, now());
      await recordFigures(trx, batch, now());
    });
  }

  /** The newest stream first. */
  async list(tenant: string, filter: StreamFilter = {}, page: PageRequest = {}): Promise<Page<Stream>> {
    checkTenant(tenant);
    let query = this.#select(tenant);
    if (filter.signal) query = query.where("signal", "in", filter.signal.map(BigInt));
    if (filter.service !== undefined) query = query.where("service", "=", serviceName(filter.service));
    if (filter.state) query = query.where("state", "in", filter.state);
    const { items, next } = await latestFirst(query, "first_seen", page);
    const now = this.#context.now();
    return { items: items.map((row) => toStream(row, now)), ...(next !== undefined && { next }) };
  }

  async get(tenant: string, id: string): Promise<Stream | undefined> {
    checkTenant(tenant);
    const row = await this.#select(tenant).where("id", "=", checkId("id", id)).executeTakeFirst();
    return row && toStream(row, this.#context.now());
  }

  /** What came of it over the last day, oldest first. */
  async history(
    tenant: string,
    { id, recordedAt, toldAt }: Pick<Stream, "id" | "recordedAt" | "toldAt">,
  ): Promise<RatedPoint[]> {
    const { database, now } = this.#context;
    const points = await readPoints(database.read, checkTenant(tenant), id, now());
    return points.map((point) => {
      const span = { from: point.time, until: point.time + pointMs };
      return { ...point, rate: rateOf(point.records, span, { recordedAt, toldAt }, now()) };
    });
  }

  #select(tenant: string) {
    const since = recentSince(this.#context.now());
    return this.#context.database.read
      .selectFrom("streams")
      .select(columns)
      .select((eb) => [
        eb
          .selectFrom("anomalies")
          .select((inner) => inner.fn.countAll<bigint>().as("n"))
          .where("anomalies.tenant", "=", tenant)
          .whereRef("anomalies.stream_id", "=", "streams.id")
          .as("anomalies"),
        eb
          .selectFrom("stream_points as p")
          .select(sql<bigint | null>`cast(sum(p.records) as bigint)`.as("n"))
          .where("p.tenant", "=", tenant)
          .whereRef("p.stream_id", "=", "streams.id")
          .where("p.time", ">=", BigInt(since))
          .as("recent"),
      ])
      .where("tenant", "=", tenant);
  }
}

/** The beginning of the latest point that is complete. */
function recentSince(now: number): number {
  return (Math.floor(now / pointMs) - 1) * pointMs;
}

/** Records a second in a span of which a part may lie before the stream, or after what is told of it. */
function rateOf(
  records: bigint,
  { from, until }: { from: number; until: number },
  { recordedAt, toldAt }: Pick<Stream, "recordedAt" | "toldAt">,
  now: number,
): number {
  // Of a busy stream it is not known yet what came since it was last told.
  const known = now - toldAt < 2 * tellEveryMs ? toldAt : now;
  const ms = Math.min(until, known) - Math.max(from, recordedAt - tellEveryMs);
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
  progress: number;
  baseline_at: bigint | null;
  recorded_at: bigint;
  told_at: bigint;
  anomalies: bigint | null;
  recent: bigint | null;
}

function toStream(row: Row, now: number): Stream {
  const times = { recordedAt: Number(row.recorded_at), toldAt: Number(row.told_at) };
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
    anomalies: row.anomalies ?? 0n,
    ...times,
    recentRate: rateOf(row.recent ?? 0n, { from: recentSince(now), until: now }, times, now),
  };
}
