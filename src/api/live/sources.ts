/** The stores that returning readers receive from what they missed. */

import { anomalyJson } from "../../json/anomaly.ts";
import type { AnomalyJson } from "../../json/anomaly-schema.ts";
import { incidentJson } from "../../json/incident.ts";
import type { IncidentJson } from "../../json/incident-schema.ts";
import type { Store } from "../../store/index.ts";
import type { Source } from "./replay.ts";

export function anomalySource({
  anomalies,
  writer,
}: Pick<Store, "anomalies" | "writer">): Source<AnomalyJson> {
  return {
    name: "anomaly",
    plural: "anomalies",
    async changedSince(tenant, from, limit) {
      const items = await anomalies.changedSince(tenant, from, limit);
      return items.map((item) => ({ changedAt: item.changedAt, data: anomalyJson(item) }));
    },
    flush: () => writer.flush(),
    hasDropped: () => writer.state().dropped > 0,
  };
}

export function incidentSource({
  incidents,
  incidentWriter: writer,
}: Pick<Store, "incidents" | "incidentWriter">): Source<IncidentJson> {
  return {
    name: "incident",
    plural: "incidents",
    async changedSince(tenant, from, limit) {
      const items = await incidents.changedSince(tenant, from, limit);
      return items.map((item) => ({ changedAt: item.changedAt, data: incidentJson(item) }));
    },
    flush: () => writer.flush(),
    hasDropped: () => writer.state().dropped > 0,
  };
}
