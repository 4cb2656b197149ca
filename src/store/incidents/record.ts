/** Writes incidents: the latest revision of each, its services, and the anomalies of all revisions. */
import { toBinary } from "@bufbuild/protobuf";
import { sql, type Transaction } from "kysely";
import {
  type Change,
  ChangeSchema,
  type Incident,
  IncidentSchema,
} from "../../gen/driftlock/v1/incidents_pb.js";
import { integer, serviceName } from "../anomalies/report.ts";
import { checkId, checkTenant } from "../arguments.ts";
import { ensureTenants } from "../audit-chain.ts";
import type { Context } from "../context.ts";
import type { Tables } from "../database/tables.ts";
import { abridged, formedState, type IncidentSummary, summaryColumns, toSummary } from "./summary.ts";

/** What is stored at once. */
export interface IncidentBatch {
  incidents: readonly Incident[];
  changes: readonly Change[];
}

/** The number of rows per statement. */
const rowsAtOnce = 100;

/** The anomaly ids of an incident's members. */
export function anomaliesOf({ members }: Incident): string[] {
  return [...new Set(members.flatMap(({ anomalyIds }) => anomalyIds))];
}

/** Stores all of a batch, of any tenants, or nothing. Resolves to the incidents as they are stored now. */
export async function recordIncidents(
  { database, clock }: Pick<Context, "database" | "clock">,
  { incidents, changes }: IncidentBatch,
): Promise<IncidentSummary[]> {
  const now = clock.now();
  // All writers use the same order, so that they cannot deadlock.
  const sorted = incidents.toSorted(byKey);
  return database.write.transaction().execute(async (trx) => {
    await ensureTenants(
      trx,
      new Set([...incidents, ...changes].map(({ tenant }) => checkTenant(tenant))),
      now,
    );
    const stored: IncidentSummary[] = [];
    for (const incident of sorted) stored.push(await recordIncident(trx, incident, now));
    for (const change of changes.toSorted(byKey)) await recordChange(trx, change, now);
    return stored;
  });
}

/** Stores a change unless there is one with its id. */
export async function recordChange(trx: Transaction<Tables>, change: Change, now: number): Promise<void> {
  await trx
    .insertInto("changes")
    .values({
      tenant: change.tenant,
      id: checkId("id", change.id),
      time: integer(change.timeUnixNano),
      service: serviceName(change.serviceName),
      recorded_at: now,
      message: toBinary(ChangeSchema, change),
    })
    .onConflict((conflict) => conflict.doNothing())
    .execute();
}

async function recordIncident(
  trx: Transaction<Tables>,
  incident: Incident,
  now: number,
): Promise<IncidentSummary> {
  const { tenant } = incident;
  const id = checkId("id", incident.id);
  const mergedInto = incident.mergedInto === "" ? null : checkId("merged_into", incident.mergedInto);
  const latest = {
    start_time: integer(incident.startTimeUnixNano),
    severity: BigInt(incident.severity),
    minor: incident.minor ? 1n : 0n,
    formed: formedState(incident),
    merged_into: mergedInto,
    members: BigInt(incident.members.length + incident.membersLeftOut),
    summary: toBinary(IncidentSchema, abridged(incident)),
    message: toBinary(IncidentSchema, { ...incident, basis: new Uint8Array() }),
  };
  const row = await trx
    .insertInto("incidents")
    .values({ tenant, id, ...latest, recorded_at: now, changed_at: now })
    .onConflict((conflict) =>
      conflict.columns(["tenant", "id"]).doUpdateSet({
        ...latest,
        changed_at: sql`case when excluded.changed_at > incidents.changed_at then excluded.changed_at
          else incidents.changed_at end`,
      }),
    )
    .returning(summaryColumns)
    .executeTakeFirstOrThrow();
  if (mergedInto !== null) {
    await trx
      .updateTable("incidents")
      .set({ merged_into: mergedInto })
      .where("tenant", "=", tenant)
      .where("merged_into", "=", id)
      .execute();
  }
  await recordBasis(trx, incident, now);
  await recordServices(trx, incident);
  await linkAnomalies(trx, incident);
  return toSummary(row);
}

/** Keeps the basis of the latest revision, or none if that has none. */
async function recordBasis(
  trx: Transaction<Tables>,
  { tenant, id, basis }: Incident,
  now: number,
): Promise<void> {
  if (basis.length === 0) {
    await trx
      .deleteFrom("incident_bases")
      .where("tenant", "=", tenant)
      .where("incident_id", "=", id)
      .execute();
    return;
  }
  const latest = { recorded_at: now, size: BigInt(basis.length), data: basis };
  await trx
    .insertInto("incident_bases")
    .values({ tenant, incident_id: id, ...latest })
    .onConflict((conflict) => conflict.columns(["tenant", "incident_id"]).doUpdateSet(latest))
    .execute();
}

async function recordServices(trx: Transaction<Tables>, { tenant, id, services }: Incident): Promise<void> {
  const rows = [...new Set(services.map(serviceName))].map((service) => ({
    tenant,
    incident_id: id,
    service,
  }));
  await trx
    .deleteFrom("incident_services")
    .where("tenant", "=", tenant)
    .where("incident_id", "=", id)
    .execute();
  for (let at = 0; at < rows.length; at += rowsAtOnce) {
    await trx
      .insertInto("incident_services")
      .values(rows.slice(at, at + rowsAtOnce))
      .execute();
  }
}

async function linkAnomalies(trx: Transaction<Tables>, incident: Incident): Promise<void> {
  const { tenant, id } = incident;
  const rows = anomaliesOf(incident).map((anomaly) => ({
    tenant,
    incident_id: id,
    anomaly_id: checkId("anomaly_id", anomaly),
  }));
  for (let at = 0; at < rows.length; at += rowsAtOnce) {
    await trx
      .insertInto("incident_anomalies")
      .values(rows.slice(at, at + rowsAtOnce))
      .onConflict((conflict) => conflict.doNothing())
      .execute();
  }
}

function byKey(a: { tenant: string; id: string }, b: { tenant: string; id: string }): number {
  return a.tenant < b.tenant ? -1 : a.tenant > b.tenant ? 1 : a.id < b.id ? -1 : a.id > b.id ? 1 : 0;
}
