import type { AnomalySink } from "../../anomaly/report.ts";
import { steadyClock } from "../../base/clock.ts";
import type { Anomaly } from "../../gen/driftlock/v1/anomaly_pb.js";
import { anomalyJson, liveAnomalyJson } from "../../json/anomaly.ts";
import type { AnomalyJson } from "../../json/anomaly-schema.ts";
import { incidentJson } from "../../json/incident.ts";
import type { IncidentJson } from "../../json/incident-schema.ts";
import type { AnomalySummary, IncidentSummary } from "../../store/index.ts";
import type { LiveHub } from "./hub.ts";

/** The approximate size of an anomaly's fields without its texts. */
const fixedSize = 1_024;

function sizeOf({ explanation, record, stream }: Anomaly): number {
  return fixedSize + 2 * (explanation.length + stream.length + (record?.text.length ?? 0));
}

/** Publishes each report as a live event. */
export function liveSink(hub: LiveHub<AnomalyJson>): AnomalySink {
  return ({ message }) => {
    // The excerpts are the largest part and are not sent.
    const { excerpts, ...report } = message;
    const found = steadyClock.now();
    hub.publish(message.tenant, {
      name: "anomaly",
      id: message.id,
      make: () => liveAnomalyJson(report, found),
      size: sizeOf(message),
    });
  };
}

/** Publishes an anomaly that was reported or judged, as it is stored now. */
export function publishAnomaly(
  hub: LiveHub<AnomalyJson>,
  name: "anomaly" | "judgement",
  anomaly: AnomalySummary,
): void {
  const json = anomalyJson(anomaly);
  hub.publish(anomaly.tenant, {
    name,
    id: anomaly.id,
    make: () => json,
    size: 2 * JSON.stringify(json).length,
  });
}

/** Publishes an incident that was formed anew or judged, as it is stored now. */
export function publishIncident(
  hub: LiveHub<IncidentJson>,
  name: "incident" | "judgement",
  incident: IncidentSummary,
): void {
  const json = incidentJson(incident);
  const { id, tenant } = incident.message;
  hub.publish(tenant, { name, id, make: () => json, size: 2 * JSON.stringify(json).length });
}
