/** Notifies of incidents that are neither minor nor silenced: that they have begun or changed, and that they are over. */
import { severityName } from "../anomaly/names.ts";
import {
  type Candidate,
  type Change,
  type Incident,
  IncidentState,
} from "../gen/driftlock/v1/incidents_pb.js";
import { type Cause, keyOf, type Notice } from "./notice.ts";
import type { Notifier } from "./notifier.ts";

const msOf = (nanos: bigint) => Number(nanos / 1_000_000n);
const maxCauses = 5;

/** @param publicUrl where people reach the API */
export function noticeOf(incident: Incident, publicUrl: string | undefined): Notice {
  const { tenant, id, services, ranking, startTimeUnixNano } = incident;
  const severity = severityName(incident.severity);
  const sentence = incident.sentence.replace(/\.$/, "");
  return {
    tenant,
    incident: id,
    state: "open",
    severity: severity === "unspecified" ? "low" : severity,
    // The cause, which a sentence names last, is listed as well.
    title: sentence.split("; ")[0]!,
    sentence,
    startsAt: msOf(startTimeUnixNano),
    services,
    causes: ranking.slice(0, maxCauses).map(causeOf),
    ...(publicUrl !== undefined && { link: `${publicUrl.replace(/\/+$/, "")}/v1/incidents/${id}` }),
  };
}

/** @param change a change that was posted */
export function changeNoticeOf({ tenant, id, title, serviceName, link, timeUnixNano }: Change): Notice {
  return {
    about: "change",
    tenant,
    incident: `change-${keyOf({ tenant, incident: id })}`,
    state: "open",
    severity: "low",
    title,
    sentence: title,
    startsAt: msOf(timeUnixNano),
    services: serviceName === "" ? [] : [serviceName],
    causes: [],
    ...(link !== "" && { link }),
  };
}

function causeOf({ service, instance, host, reasons }: Candidate): Cause {
  const where = [service, instance, host].filter((part) => part !== "");
  return { service: where.join(", "), reason: reasons.join("; ") };
}

/** Returns a function that takes each incident that has begun, grown, ended or become part of another one. */
export function incidentNotices(
  notifier: Pick<Notifier, "offer" | "resolve">,
  publicUrl: string | undefined,
): (incident: Incident) => void {
  return (incident) => {
    const { tenant, id, state, minor, silencedBy, endTimeUnixNano } = incident;
    // The end counts, whatever is silenced meanwhile.
    if (state !== IncidentState.OPEN) {
      notifier.resolve({ tenant, incident: id, endsAt: msOf(endTimeUnixNano) });
    } else if (!minor && silencedBy === "") {
      notifier.offer(noticeOf(incident, publicUrl));
    }
  };
}
