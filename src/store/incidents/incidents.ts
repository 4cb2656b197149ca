import { fromBinary } from "@bufbuild/protobuf";
import { type ExpressionBuilder, sql } from "kysely";
import { type IncidentStateName, type IncidentVerdict, incidentVerdicts } from "../../anomaly/names.ts";
import type { Severity } from "../../gen/driftlock/v1/anomaly_pb.js";
import { type Incident, IncidentSchema } from "../../gen/driftlock/v1/incidents_pb.js";
import { serviceName } from "../anomalies/report.ts";
import { checkAuthor, checkId, checkTenant, checkText } from "../arguments.ts";
import { changeAudited } from "../audit.ts";
import type { Context } from "../context.ts";
import { InvalidArgument } from "../database/errors.ts";
import type { Tables } from "../database/tables.ts";
import { latestChange } from "../latest-change.ts";
import { latestFirst, type Page, type PageRequest } from "../page.ts";
import { type IncidentBatch, recordIncidents } from "./record.ts";
import { type IncidentSummary, summaryColumns, toSummary } from "./summary.ts";

/** A filter of incidents. All members must match; the values of one member are alternatives. */
export interface IncidentFilter {
  /** The range of the incident's start, in nanoseconds since 1970, excluding `until`. */
  from?: bigint;
  until?: bigint;
  service?: string;
  severity?: readonly Severity[];
  state?: readonly IncidentStateName[];
  minor?: boolean;
}

/** What a person has decided. `withdrawn` takes back what was decided before. */
export interface IncidentEvent {
  state: IncidentVerdict | "withdrawn";
  /** For `expected`: until when, in milliseconds since 1970. */
  until: number | undefined;
  author: string;
  /** The time in milliseconds since 1970. */
  time: number;
  note: string;
}

export interface IncidentDetail extends IncidentSummary {
  /** What people have decided, oldest first. */
  events: IncidentEvent[];
  /** The ids of its anomalies. */
  anomalyIds: string[];
}

export type IncidentPatch = { author: string; note?: string } & (
  | { state: Exclude<IncidentVerdict, "expected"> | "withdrawn" }
  | { state: "expected"; until: number }
);

/** An expectation that has not ended. */
export interface Expectation {
  incident: Incident;
  /** In milliseconds since 1970. */
  until: number;
}

const maxNote = 4_096;
/** The longest that more may be expected. */
const maxExpectedMs = 366 * 86_400_000;
/** The largest number of anomalies of an incident that are returned. */
const maxAnomalies = 1_000;
const maxExpectations = 10_000;

export class Incidents {
  readonly #context: Context;

  constructor(context: Context) {
    this.#context = context;
  }

  /** The machine's time, by which expectations end. */
  now(): number {
    return this.#context.now();
  }

  /**
   * Stores incidents and changes of any tenants, all or none of them. Resolves to the incidents as they are stored now.
   * @throws {InvalidArgument} if one has no tenant or no id that can be stored.
   */
  record(batch: IncidentBatch): Promise<IncidentSummary[]> {
    return recordIncidents(this.#context, batch);
  }

  /** Lists incidents by their start, latest first. */
  async list(
    tenant: string,
    filter: IncidentFilter = {},
    page: PageRequest = {},
  ): Promise<Page<IncidentSummary>> {
    checkTenant(tenant);
    const query = this.#context.database.read
      .selectFrom("incidents")
      .select([...summaryColumns, "id", "start_time"])
      .where("tenant", "=", tenant)
      .where((eb) => eb.and(conditions(eb, tenant, filter)));
    const { items, ...rest } = await latestFirst(query, "start_time", page);
    return { items: items.map(toSummary), ...rest };
  }

  /** Lists incidents that changed after a position, in the order of their changes. @param time milliseconds since 1970 */
  async changedSince(
    tenant: string,
    { time, id }: { time: number; id: string },
    limit: number,
  ): Promise<IncidentSummary[]> {
    checkTenant(tenant);
    const rows = await this.#context.database.read
      .selectFrom("incidents")
      .select(summaryColumns)
      .where("tenant", "=", tenant)
      .where(sql<boolean>`(changed_at, id) > (${BigInt(time)}, ${id})`)
      .orderBy("changed_at")
      .orderBy("id")
      .limit(limit)
      .execute();
    return rows.map(toSummary);
  }

  /** Returns when an incident of any tenant last changed, in milliseconds since 1970; 0 if that is not known. */
  latestChange(): Promise<number> {
    return latestChange(this.#context, "incidents");
  }

  async get(tenant: string, id: string): Promise<IncidentDetail | undefined> {
    checkTenant(tenant);
    checkId("id", id);
    const db = this.#context.database.read;
    const row = await db
      .selectFrom("incidents")
      .select([...summaryColumns, "message"])
      .where("tenant", "=", tenant)
      .where("id", "=", id)
      .executeTakeFirst();
    if (row === undefined) return undefined;
    const events = await db
      .selectFrom("incident_events")
      .select(["state", "until", "author", "time", "note"])
      .where("tenant", "=", tenant)
      .where("incident_id", "=", id)
      .orderBy("seq")
      .execute();
    const anomalies = await db
      .selectFrom("incident_anomalies")
      .select("anomaly_id")
      .where("tenant", "=", tenant)
      .where("incident_id", "=", id)
      .orderBy("anomaly_id")
      .limit(maxAnomalies)
      .execute();
    return {
      ...toSummary({ ...row, summary: row.message }),
      events: events.map(({ state, until, author, time, note }) => ({
        state: state as IncidentEvent["state"],
        until: until === null ? undefined : Number(until),
        author,
        time: Number(time),
        note,
      })),
      anomalyIds: anomalies.map(({ anomaly_id }) => anomaly_id),
    };
  }

  /** Returns the incidents of anomalies, by the anomalies' ids. One that became part of another does not count. */
  async ofAnomalies(tenant: string, ids: readonly string[]): Promise<Map<string, string>> {
    if (ids.length === 0) return new Map();
    const rows = await this.#context.database.read
      .selectFrom("incident_anomalies as a")
      .innerJoin("incidents as i", (join) =>
        join.onRef("i.tenant", "=", "a.tenant").onRef("i.id", "=", "a.incident_id"),
      )
      .select(["a.anomaly_id", "a.incident_id"])
      .where("a.tenant", "=", tenant)
      .where("a.anomaly_id", "in", ids)
      .where("i.formed", "!=", "merged")
      // The latest one is last, and stays in the map.
      .orderBy("i.start_time")
      .orderBy("i.id")
      .execute();
    return new Map(rows.map((row) => [row.anomaly_id, row.incident_id]));
  }

  /** Counts the open incidents of a tenant that notify, by service. */
  async openByService(tenant: string): Promise<Map<string, number>> {
    checkTenant(tenant);
    const rows = await this.#context.database.read
      .selectFrom("incidents as i")
      .innerJoin("incident_services as s", (join) =>
        join.onRef("s.tenant", "=", "i.tenant").onRef("s.incident_id", "=", "i.id"),
      )
      .select((eb) => ["s.service", eb.fn.countAll<bigint>().as("count")])
      .where("i.tenant", "=", tenant)
      .where("i.formed", "=", "open")
      .where("i.minor", "=", 0n)
      .groupBy("s.service")
      .execute();
    return new Map(rows.map(({ service, count }) => [service, Number(count)]));
  }

  /** Returns the expectations of all tenants that have not ended. */
  async expectations(): Promise<Expectation[]> {
    const rows = await this.#context.database.read
      .selectFrom("incidents")
      .select(["expected_until", "message"])
      .where("expected_until", ">", BigInt(this.#context.now()))
      .orderBy("expected_until", "desc")
      .limit(maxExpectations)
      .execute();
    return rows.map(({ expected_until, message }) => ({
      incident: fromBinary(IncidentSchema, message),
      until: Number(expected_until),
    }));
  }

  /**
   * Stores what a person has decided about an incident, with an entry in the audit log. Undefined if there is no such incident.
   * @throws {InvalidArgument}
   */
  async patch(tenant: string, id: string, patch: IncidentPatch): Promise<IncidentDetail | undefined> {
    checkTenant(tenant);
    checkId("id", id);
    const { state } = patch;
    const states = [...incidentVerdicts, "withdrawn"] as const;
    if (!states.includes(state)) throw new InvalidArgument("state", `must be one of ${states.join(", ")}`);
    const { clock, now } = this.#context;
    const until = patch.state === "expected" ? checkUntil(patch.until, now()) : null;
    const author = checkAuthor(patch.author);
    const note = checkText("note", patch.note ?? "", { max: maxNote });
    await changeAudited(this.#context, async (trx, append) => {
      const time = now();
      const changedAt = BigInt(clock.now());
      // This locks the row, which puts concurrent events in order.
      const changed = await trx
        .updateTable("incidents")
        .set({
          disposition: state === "withdrawn" ? null : state,
          expected_until: until,
          changed_at: sql`case when changed_at < ${changedAt} then ${changedAt} else changed_at end`,
        })
        .where("tenant", "=", tenant)
        .where("id", "=", id)
        .returning("id")
        .executeTakeFirst();
      if (changed === undefined) return;
      const { last } = await trx
        .selectFrom("incident_events")
        .select((eb) => eb.fn.coalesce(eb.fn.max("seq"), eb.lit(0)).as("last"))
        .where("tenant", "=", tenant)
        .where("incident_id", "=", id)
        .executeTakeFirstOrThrow();
      await trx
        .insertInto("incident_events")
        .values({ tenant, incident_id: id, seq: BigInt(last) + 1n, state, until, author, time, note })
        .execute();
      const detail = { note, ...(until !== null && { until: new Date(Number(until)).toISOString() }) };
      await append(tenant, { actor: author, action: `incident.${state}`, target: id, detail }, time);
    });
    return this.get(tenant, id);
  }
}

function checkUntil(until: number, now: number): bigint {
  if (!(until > now)) throw new InvalidArgument("until", "must be in the future");
  if (until - now > maxExpectedMs) throw new InvalidArgument("until", "must be within a year");
  return BigInt(Math.ceil(until));
}

function conditions(
  eb: ExpressionBuilder<Tables, "incidents">,
  tenant: string,
  { from, until, service, severity, state, minor }: IncidentFilter,
) {
  return [
    ...(from === undefined ? [] : [eb("start_time", ">=", from)]),
    ...(until === undefined ? [] : [eb("start_time", "<", until)]),
    ...(severity === undefined ? [] : [eb("severity", "in", severity.map(BigInt))]),
    ...(state === undefined ? [] : [eb("state", "in", [...state])]),
    ...(minor === undefined ? [] : [eb("minor", "=", minor ? 1n : 0n)]),
    ...(service === undefined
      ? []
      : [
          eb.exists(
            eb
              .selectFrom("incident_services as s")
              .select(sql`1`.as("one"))
              .where("s.tenant", "=", tenant)
              .whereRef("s.incident_id", "=", "incidents.id")
              .where("s.service", "=", serviceName(service)),
          ),
        ]),
  ];
}
