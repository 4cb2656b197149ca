import type { AnomalySink } from "../../anomaly/report.ts";
import { steadyClock } from "../../base/clock.ts";
import type { Anomaly } from "../../gen/driftlock/v1/anomaly_pb.js";
import type { AnomalyDetail, IncidentSummary } from "../../store/index.ts";
import { type AnomalyJson, anomalyJson, liveAnomalyJson } from "../anomaly.ts";
import { type IncidentJson, incidentJson } from "../incident.ts";
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

export function publishJudgement(hub: LiveHub<AnomalyJson>, anomaly: AnomalyDetail): void {
  const json = anomalyJson(anomaly);
  hub.publish(anomaly.tenant, {
    name: "judgement",
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
