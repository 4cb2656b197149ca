/** Writes streams and the statistics that the engine reports about them. */
import { type Kysely, sql } from "kysely";
import { streamId } from "../../anomaly/stream-id.ts";
import type { StreamStatistics } from "../../engine/index.ts";
import type { Signal } from "../../gen/driftlock/v1/anomaly_pb.js";
import { integer, serviceName, streamKey } from "../anomalies/report.ts";
import { checkTenant } from "../arguments.ts";
import { BulkInsert } from "../database/bulk.ts";
import type { Tables } from "../database/tables.ts";
import { recordPoints } from "./points.ts";

/** A stream that was seen, and when. */
export interface StreamSighting {
  tenant: string;
  /** As shown to people, such as "logs service.name=checkout". */
  key: string;
  signal: Signal;
  service: string;
  /** Event times in nanoseconds since 1970. */
  firstSeen: bigint;
  lastSeen: bigint;
}

const seen = {
  first_seen: sql<bigint>`case when excluded.first_seen < streams.first_seen then excluded.first_seen else streams.first_seen end`,
  last_seen: sql<bigint>`case when excluded.last_seen > streams.last_seen then excluded.last_seen else streams.last_seen end`,
};

export const streamColumns = [
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
  "withheld",
  "progress",
  "baseline_at",
  "recorded_at",
  "told_at",
] as const;

const upsertStatistics = new BulkInsert<"streams">(streamColumns, (db, rows) =>
  db
    .insertInto("streams")
    .values(rows)
    .onConflict((conflict) =>
      conflict.columns(["tenant", "id"]).doUpdateSet({
        ...seen,
        state: sql`excluded.state`,
        records: sql`streams.records + excluded.records`,
        flagged: sql`streams.flagged + excluded.flagged`,
        withheld: sql`streams.withheld + excluded.withheld`,
        progress: sql`excluded.progress`,
        baseline_at: sql`excluded.baseline_at`,
        told_at: sql`excluded.told_at`,
      }),
    ),
);

const upsertSightings = new BulkInsert<"streams">(streamColumns, (db, rows) =>
  db
    .insertInto("streams")
    .values(rows)
    .onConflict((conflict) => conflict.columns(["tenant", "id"]).doUpdateSet(seen)),
);

type Named<T> = T & { id: string };

/**
 * Merges sightings to one per stream, since a statement may change a row only once. They are sorted, so that writers
 * cannot deadlock.
 */
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

/** Records sightings within a transaction that has created the tenants. Statistics of a stream are kept. */
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
      withheld: 0,
      progress: 1,
      baseline_at: null,
      recorded_at: now,
      told_at: 0,
    })),
  );
}

type Statistics = StreamStatistics & StreamSighting;

function addStatistics(known: Statistics, next: Statistics): void {
  known.state = next.state;
  known.progress = next.progress;
  known.baselineAt = next.baselineAt;
  known.records += next.records;
  known.flagged += next.flagged;
  known.withheld += next.withheld;
  if (next.score > known.score) {
    known.score = next.score;
    known.channel = next.channel;
  }
  known.pValue = Math.min(known.pValue, next.pValue);
}

/** Records statistics, and the current points with them; like `recordSightings`. */
export async function recordStatistics(
  trx: Kysely<Tables>,
  batch: readonly StreamStatistics[],
  now: number,
): Promise<void> {
  // If records have no times, their arrival counts.
  const came = BigInt(now) * 1_000_000n;
  const timed = batch.map(
    (each): Statistics => ({ ...each, firstSeen: each.firstSeen ?? came, lastSeen: each.lastSeen ?? came }),
  );
  const streams = merge(timed, addStatistics);
  await upsertStatistics.run(
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
      withheld: stream.withheld,
      progress: stream.progress,
      baseline_at: stream.baselineAt === undefined ? null : integer(stream.baselineAt),
      recorded_at: now,
      told_at: now,
    })),
  );
  const active = streams.filter(({ records }) => records > 0n);
  await recordPoints(trx, active, now);
}
