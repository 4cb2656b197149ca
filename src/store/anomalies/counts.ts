/**
 * Counts anomalies by lane, time and severity. It goes through them in steps, latest first, so that no count delays other
 * queries of the database; one that takes too long ends early and says how far it has come.
 */
import { type ExpressionBuilder, sql } from "kysely";
import type { Context } from "../context.ts";
import { InvalidArgument } from "../database/errors.ts";
import type { Tables } from "../database/tables.ts";
import type { Position } from "../page.ts";
import { type AnomalyFilter, conditionsOf } from "./search.ts";
import { channelsOf } from "./summary.ts";

/** What anomalies can be divided by. */
export const lanes = ["service", "stream", "signal", "channel", "state"] as const;
export type Lane = (typeof lanes)[number];

export interface CountRequest {
  by: Lane;
  /** The number of parts that the range is divided into. */
  buckets: number;
  /** The number of lanes that are counted by themselves: those with the most anomalies. */
  top: number;
}

/** The number of anomalies of a lane that began in a bucket, by severity. */
export interface BucketCount {
  bucket: number;
  /** Indexed by severity. */
  severities: number[];
}

export interface LaneCounts {
  /** The service, the stream's key, the state, or the number of the channel or signal. */
  lane: string;
  total: number;
  /** The buckets that have any, in order. */
  counts: BucketCount[];
}

export interface AnomalyCounts {
  /** The range in nanoseconds since 1970, excluding `until`. */
  from: bigint;
  until: bigint;
  /** The length of a bucket in nanoseconds. */
  width: bigint;
  lanes: LaneCounts[];
  /** All other lanes together, and how many they are. */
  others: { lanes: number; total: number; counts: BucketCount[] };
  /** Undefined if all were counted; else those before this time were not. */
  countedFrom: bigint | undefined;
}

/** The number of anomalies per step, which takes some tens of milliseconds. */
const stepSize = 10_000;
const maxMs = 1_000;
const severities = 5;

const columns = {
  service: "service",
  stream: "stream",
  signal: "signal",
  channel: "channels",
  state: "state",
} as const satisfies Record<Lane, keyof Tables["anomalies"]>;

interface Row {
  lane: string | bigint;
  bucket: bigint;
  severity: bigint;
  n: bigint;
}

/** Counts by lane and bucket. */
class Tally {
  readonly #lanes = new Map<string, { total: number; counts: Map<number, number[]> }>();

  add(lane: string, bucket: number, severity: number, n: number): void {
    let found = this.#lanes.get(lane);
    if (found === undefined) {
      found = { total: 0, counts: new Map() };
      this.#lanes.set(lane, found);
    }
    found.total += n;
    const counts = found.counts.get(bucket) ?? Array<number>(severities).fill(0);
    counts[severity]! += n;
    found.counts.set(bucket, counts);
  }

  /** Returns the lanes with the most anomalies, and the others together. */
  result(top: number): Pick<AnomalyCounts, "lanes" | "others"> {
    const all = [...this.#lanes].sort(
      ([a, { total: ofA }], [b, { total: ofB }]) => ofB - ofA || (a < b ? -1 : 1),
    );
    const rest = new Tally();
    for (const [, { counts }] of all.slice(top)) {
      for (const [bucket, bySeverity] of counts) {
        for (const [severity, n] of bySeverity.entries()) rest.add("", bucket, severity, n);
      }
    }
    const { total = 0, counts = new Map<number, number[]>() } = rest.#lanes.get("") ?? {};
    return {
      lanes: all
        .slice(0, top)
        .map(([lane, one]) => ({ lane, total: one.total, counts: inOrder(one.counts) })),
      others: { lanes: Math.max(0, all.length - top), total, counts: inOrder(counts) },
    };
  }
}

function inOrder(counts: ReadonlyMap<number, number[]>): BucketCount[] {
  return [...counts]
    .map(([bucket, bySeverity]) => ({ bucket, severities: bySeverity }))
    .sort((a, b) => a.bucket - b.bucket);
}

/** @throws {InvalidArgument} */
export async function countAnomalies(
  { database, elapsed }: Context,
  tenant: string,
  filter: AnomalyFilter,
  { by, buckets, top }: CountRequest,
): Promise<AnomalyCounts> {
  const range = await rangeOf(database.read, tenant, filter);
  // Nothing is earlier, and differences stay within 64 bits.
  const from = range.from < 0n ? 0n : range.from;
  const { until } = range;
  if (until <= from) throw new InvalidArgument("until", "must be after from");
  const width = (until - from + BigInt(buckets) - 1n) / BigInt(buckets);
  const conditions = conditionsOf(tenant, { ...filter, from, until });
  const lane = sql.ref<string | bigint>(columns[by]);
  const tally = new Tally();
  const started = elapsed();
  for (let after: Position | undefined; ; ) {
    const before = after;
    const inStep = (eb: ExpressionBuilder<Tables, "anomalies">, last?: Position) =>
      eb.and([
        ...conditions,
        ...(before ? [sql<boolean>`(start_time, id) < (${before.major}, ${before.minor})`] : []),
        ...(last ? [sql<boolean>`(start_time, id) >= (${last.major}, ${last.minor})`] : []),
      ]);
    const last = await database.read
      .selectFrom("anomalies")
      .select(["start_time", "id"])
      .where((eb) => inStep(eb))
      .orderBy("start_time", "desc")
      .orderBy("id", "desc")
      .offset(stepSize - 1)
      .limit(1)
      .executeTakeFirst();
    after = last && { major: last.start_time, minor: last.id };
    const rows = await database.read
      .selectFrom("anomalies")
      .select([
        lane.as("lane"),
        sql<bigint>`(start_time - ${from}) / ${width}`.as("bucket"),
        "severity",
        sql<bigint>`cast(count(*) as bigint)`.as("n"),
      ])
      .where((eb) => inStep(eb, after))
      .groupBy([sql`1`, sql`2`, "severity"])
      .execute();
    for (const row of rows) add(tally, by, row);
    if (after === undefined) return { from, until, width, ...tally.result(top), countedFrom: undefined };
    if (elapsed() - started >= maxMs) {
      return { from, until, width, ...tally.result(top), countedFrom: after.major };
    }
  }
}

/** An anomaly counts for each of its channels. */
function add(tally: Tally, by: Lane, { lane, bucket, severity, n }: Row): void {
  const names = by === "channel" ? channelsOf(BigInt(lane)).map(String) : [String(lane)];
  for (const name of names) tally.add(name, Number(bucket), Number(severity), Number(n));
}

/** Returns the range of a filter; what it leaves open is the range of the tenant's anomalies. */
async function rangeOf(
  db: Context["database"]["read"],
  tenant: string,
  { from, until }: AnomalyFilter,
): Promise<{ from: bigint; until: bigint }> {
  if (from !== undefined && until !== undefined) return { from, until };
  const { first, last } = await db
    .selectFrom("anomalies")
    .select((eb) => [eb.fn.min("start_time").as("first"), eb.fn.max("start_time").as("last")])
    .where("tenant", "=", tenant)
    .executeTakeFirstOrThrow();
  const begin = from ?? BigInt(first ?? 0n);
  return { from: begin, until: until ?? BigInt(last ?? begin) + 1n };
}
