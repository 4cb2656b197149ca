import { severityName } from "../anomaly/names.ts";
import { type Incident, IncidentState } from "../gen/driftlock/v1/incidents_pb.js";
import type { Logger } from "./log.ts";

const states = {
  [IncidentState.OPEN]: "open",
  [IncidentState.ENDED]: "ended",
  [IncidentState.MERGED]: "merged",
};

/** Returns a function that writes incidents of which people are notified to the log: that one has begun, and that it is over. */
export function incidentLog(log: Logger): (incident: Incident) => void {
  /** Those that are open. */
  const logged = new Set<string>();
  return (incident) => {
    const { id, tenant, state, services, sentence, ranking, mergedInto } = incident;
    const key = `${tenant}\0${id}`;
    if (state === IncidentState.OPEN) {
      if (incident.minor || logged.has(key)) return;
      logged.add(key);
    } else if (!logged.delete(key)) return;
    const fields = {
      id,
      tenant,
      state: states[state],
      severity: severityName(incident.severity),
      services,
      sentence,
      cause: ranking[0]?.service,
      ...(mergedInto !== "" && { merged_into: mergedInto }),
    };
    log.info({ incident: fields }, "incident");
  };
}
