/**
 * Searches anomalies in steps, so that no search delays other queries of the database. A page that finds too little for
 * too long ends early and names the position at which the next one continues.
 */
import {
  type ExpressionWrapper,
  expressionBuilder,
  type Kysely,
  type SelectQueryBuilder,
  type SqlBool,
  sql,
} from "kysely";
import type { AnomalyState } from "../../anomaly/names.ts";
import { streamId } from "../../anomaly/stream-id.ts";
import type { Channel, Severity, Signal } from "../../gen/driftlock/v1/anomaly_pb.js";
import type { Context } from "../context.ts";
import { InvalidArgument } from "../database/errors.ts";
import type { Tables } from "../database/tables.ts";
import {
  cursorOf,
  type Page,
  type PageRequest,
  type Position,
  pageLimit,
  parsePosition,
  toPage,
} from "../page.ts";
import { channelMask } from "./record.ts";
import { searchable, serviceName, streamKey } from "./report.ts";
import { type SummaryRow, summaryColumns } from "./summary.ts";

/** A filter of anomalies. All members must match; the values of one member are alternatives. */
export interface AnomalyFilter {
  /** The range of the anomaly's start, in nanoseconds since 1970, excluding `until`. */
  from?: bigint;
  until?: bigint;
  /** The key or the id of the stream. */
  stream?: string;
  streamId?: string;
  service?: string;
  signal?: readonly Signal[];
  channel?: readonly Channel[];
  severity?: readonly Severity[];
  state?: readonly AnomalyState[];
  /** Text within an explanation or a record, in any case. */
  text?: string;
}

/** The number of anomalies per step, which takes some milliseconds. */
export const stepSize = 2_000;
/** The time after which a page ends with what was found. */
const maxMs = 1_000;
const maxText = 256;

type Condition = ExpressionWrapper<Tables, "anomalies", SqlBool>;
const eb = expressionBuilder<Tables, "anomalies">();

/** Returns the equalities that have an index, each followed by the time. */
function indexed({ stream, streamId: id, service, state }: AnomalyFilter): Condition[] {
  const conditions: Condition[] = [];
  if (stream !== undefined) conditions.push(eb("stream_id", "=", streamId(streamKey(stream))));
  if (id !== undefined) conditions.push(eb("stream_id", "=", id));
  if (service !== undefined) conditions.push(eb("service", "=", serviceName(service)));
  if (state?.length === 1) conditions.push(eb("state", "=", state[0]!));
  return conditions;
}

/** Returns the conditions that must be checked for each anomaly. */
function others(tenant: string, { signal, severity, channel, state, text }: AnomalyFilter): Condition[] {
  const conditions: Condition[] = [];
  if (signal) conditions.push(eb("signal", "in", signal.map(BigInt)));
  if (severity) conditions.push(eb("severity", "in", severity.map(BigInt)));
  if (state && state.length !== 1) conditions.push(eb("state", "in", state));
  if (channel) conditions.push(eb(sql`channels & ${channelMask(channel)}`, "<>", 0n));
  if (text !== undefined) {
    if (text.length > maxText) throw new InvalidArgument("text", `must be at most ${maxText} characters`);
    const pattern = `%${searchable(text).replace(/[\\%_]/g, "\\$&")}%`;
    const reports = eb
      .selectFrom("anomaly_reports as r")
      .select("r.hash")
      .where("r.tenant", "=", tenant)
      .whereRef("r.anomaly_id", "=", "anomalies.id")
      .where(sql<boolean>`r.text like ${pattern} escape '\\'`);
    conditions.push(eb.exists(reports) as Condition);
  }
  return conditions;
}

/** Returns all conditions of a filter. */
export function conditionsOf(tenant: string, filter: AnomalyFilter): Condition[] {
  const { from, until } = filter;
  return [
    eb("tenant", "=", tenant),
    ...(from === undefined ? [] : [eb("start_time", ">=", from)]),
    ...(until === undefined ? [] : [eb("start_time", "<", until)]),
    ...indexed(filter),
    ...others(tenant, filter),
  ];
}

/** The order of anomalies: latest first. */
const order = sql`start_time desc, id desc`;

/** Returns anomalies after a position, latest first, by index only. */
function following(
  db: Kysely<Tables>,
  tenant: string,
  { from, until }: AnomalyFilter,
  by: Condition | undefined,
  position: Position | undefined,
) {
  let query = db.selectFrom("anomalies").select(summaryColumns).where("tenant", "=", tenant);
  if (by !== undefined) query = query.where(by);
  if (from !== undefined) query = query.where("start_time", ">=", from);
  if (until !== undefined) query = query.where("start_time", "<", until);
  if (position !== undefined) {
    query = query.where(sql<boolean>`(start_time, id) < (${position.major}, ${position.minor})`);
  }
  return query.orderBy("start_time", "desc").orderBy("id", "desc");
}

/**
 * Returns the anomalies of a step that match, and its last one, matching or not, if the step is full. It is one
 * statement, since others may write between two; the innermost limit keeps the planner from scanning everything.
 */
function met(
  db: Kysely<Tables>,
  step: SelectQueryBuilder<Tables, "anomalies", SummaryRow>,
  conditions: readonly Condition[],
) {
  return db
    .selectFrom((outer) =>
      outer
        .selectFrom(step.limit(stepSize).as("anomalies"))
        .select(summaryColumns)
        .select([
          sql<bigint>`row_number() over (order by ${order})`.as("n"),
          sql<bigint | number>`case when ${eb.and(conditions)} then 1 else 0 end`.as("met"),
        ])
        .as("looked"),
    )
    .selectAll()
    .where(sql<boolean>`met = 1 or n = ${sql.lit(stepSize)}`)
    .orderBy(order);
}

function positionOf({ start_time: major, id: minor }: SummaryRow): Position {
  return { major, minor };
}

/**
 * Searches anomalies by start, latest first.
 * @throws {InvalidArgument}
 */
export async function searchAnomalies(
  { database, elapsed }: Context,
  tenant: string,
  filter: AnomalyFilter,
  request: PageRequest,
): Promise<Page<SummaryRow>> {
  const limit = pageLimit(request);
  const page = (rows: SummaryRow[]) => toPage(rows, limit, positionOf, (row) => row);
  const [by, ...also] = indexed(filter);
  const conditions = [...also, ...others(tenant, filter)];
  const started = elapsed();
  const found: SummaryRow[] = [];
  for (let position = parsePosition(request); ; ) {
    const next = following(database.read, tenant, filter, by, position);
    if (conditions.length === 0) return page(await next.limit(limit + 1).execute());
    const rows = await met(database.read, next, conditions)
      .limit(limit + 2 - found.length)
      .execute();
    found.push(...rows.filter((row) => Number(row.met) === 1));
    const last = rows.find(({ n }) => n === BigInt(stepSize));
    if (last === undefined || found.length > limit) return page(found);
    position = positionOf(last);
    if (elapsed() - started >= maxMs) return { items: found, next: cursorOf(position) };
  }
}
