import { type Kysely, sql } from "kysely";
import type { Signal } from "../gen/driftlock/v1/anomaly_pb.js";
import { checkId, checkTenant } from "./arguments.ts";
import { ensureTenants } from "./audit.ts";
import { BulkInsert } from "./bulk.ts";
import type { Context } from "./context.ts";
import { type Page, type PageRequest, pageLimit, parsePosition, toPage } from "./page.ts";
import { integer, serviceName, streamId, streamKey } from "./report.ts";
import type { Tables } from "./tables.ts";

/** learning: not judged yet. watching: judged. evicted: given up for other streams. */
export type StreamState = "learning" | "watching" | "evicted";

/** What is seen of a stream since it was last told. */
export interface StreamObservation {
  tenant: string;
  /** As shown to people, such as "logs service.name=checkout". */
  key: string;
  signal: Signal;
  service: string;
  state: StreamState;
  /** Event times, nanoseconds since 1970. */
  firstSeen: bigint;
  lastSeen: bigint;
  /** Since the last observation. */
  records: bigint;
}

export interface Stream extends StreamObservation {
  id: string;
  /** In all. */
  records: bigint;
  /** Stored now. */
  anomalies: bigint;
}

export interface StreamFilter {
  signal?: readonly Signal[];
  service?: string;
  state?: readonly StreamState[];
}

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
] as const;

const upsert = new BulkInsert<"streams">(columns, (db, rows) =>
  db
    .insertInto("streams")
    .values(rows)
    .onConflict((conflict) =>
      conflict.columns(["tenant", "id"]).doUpdateSet({
        state: sql`excluded.state`,
        first_seen: sql`case when excluded.first_seen < streams.first_seen then excluded.first_seen else streams.first_seen end`,
        last_seen: sql`case when excluded.last_seen > streams.last_seen then excluded.last_seen else streams.last_seen end`,
        records: sql`streams.records + excluded.records`,
      }),
    ),
);

/** One observation for each stream: a statement may meet a row once. Sorted, so that two writers never wait in a ring. */
function merge(batch: readonly StreamObservation[]): (StreamObservation & { id: string })[] {
  const merged = new Map<string, StreamObservation & { id: string }>();
  for (const each of batch) {
    const key = streamKey(each.key);
    const id = streamId(key);
    const name = `${checkTenant(each.tenant)}\0${id}`;
    const known = merged.get(name);
    if (known === undefined) {
      merged.set(name, {
        ...each,
        id,
        key,
        service: serviceName(each.service),
        firstSeen: integer(each.firstSeen),
        lastSeen: integer(each.lastSeen),
      });
      continue;
    }
    known.state = each.state;
    known.records += each.records;
    if (each.firstSeen < known.firstSeen) known.firstSeen = integer(each.firstSeen);
    if (each.lastSeen > known.lastSeen) known.lastSeen = integer(each.lastSeen);
  }
  return [...merged].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, each]) => each);
}

/** Within a transaction that has made the tenants known. */
export async function recordStreams(trx: Kysely<Tables>, batch: readonly StreamObservation[]): Promise<void> {
  const rows = merge(batch).map(
    ({ tenant, id, key, signal, service, state, firstSeen, lastSeen, records }) => ({
      tenant,
      id,
      key,
      signal,
      service,
      state,
      first_seen: firstSeen,
      last_seen: lastSeen,
      records,
    }),
  );
  await upsert.run(trx, rows);
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
      await recordStreams(trx, batch);
    });
  }

  /** The newest stream first. */
  async list(tenant: string, filter: StreamFilter = {}, page: PageRequest = {}): Promise<Page<Stream>> {
    checkTenant(tenant);
    const limit = pageLimit(page);
    const position = parsePosition(page);
    let query = this.#select(tenant)
      .orderBy("first_seen", "desc")
      .orderBy("id", "desc")
      .limit(limit + 1);
    if (filter.signal) query = query.where("signal", "in", filter.signal.map(BigInt));
    if (filter.service !== undefined) query = query.where("service", "=", serviceName(filter.service));
    if (filter.state) query = query.where("state", "in", filter.state);
    if (position)
      query = query.where(sql<boolean>`(first_seen, id) < (${position.major}, ${position.minor})`);
    return toPage(
      await query.execute(),
      limit,
      ({ first_seen, id }) => ({ major: first_seen, minor: id }),
      toStream,
    );
  }

  async get(tenant: string, id: string): Promise<Stream | undefined> {
    checkTenant(tenant);
    const row = await this.#select(tenant).where("id", "=", checkId("id", id)).executeTakeFirst();
    return row && toStream(row);
  }

  #select(tenant: string) {
    return this.#context.database.read
      .selectFrom("streams")
      .select(columns)
      .select((eb) =>
        eb
          .selectFrom("anomalies")
          .select((inner) => inner.fn.countAll<bigint>().as("n"))
          .where("anomalies.tenant", "=", tenant)
          .whereRef("anomalies.stream_id", "=", "streams.id")
          .as("anomalies"),
      )
      .where("tenant", "=", tenant);
  }
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
  anomalies: bigint | null;
}

function toStream(row: Row): Stream {
  return {
    tenant: row.tenant,
    id: row.id,
    key: row.key,
    signal: Number(row.signal),
    service: row.service,
    state: row.state as StreamState,
    firstSeen: row.first_seen,
    lastSeen: row.last_seen,
    records: row.records,
    anomalies: row.anomalies ?? 0n,
  };
}
