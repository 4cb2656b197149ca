/** Notifies of anomalies, each as an incident of its own. */
import { severityName } from "../anomaly/names.ts";
import type { AnomalySink } from "../anomaly/report.ts";
import { type Anomaly, State } from "../gen/driftlock/v1/anomaly_pb.js";
import type { Notice } from "./notice.ts";
import type { Notifier } from "./notifier.ts";

const msOf = (nanos: bigint) => Number(nanos / 1_000_000n);

/** What an explanation ends with, and a title need not have. */
const figures = /; (they cost|score) .*$/s;

/** @param publicUrl where people reach the API */
export function noticeOf(anomaly: Anomaly, publicUrl: string | undefined): Notice {
  const { tenant, id, stream, serviceName, explanation, startTimeUnixNano } = anomaly;
  const severity = severityName(anomaly.severity);
  const where = serviceName === "" ? stream : serviceName;
  return {
    tenant,
    incident: id,
    state: "open",
    severity: severity === "unspecified" ? "low" : severity,
    title: `${where}: ${explanation.replace(figures, "")}`,
    sentence: `${stream}: ${explanation}`,
    startsAt: msOf(startTimeUnixNano),
    services: serviceName === "" ? [] : [serviceName],
    causes: [],
    ...(publicUrl !== undefined && { link: `${publicUrl.replace(/\/+$/, "")}/v1/anomalies/${id}` }),
  };
}

/** Takes the reports that are not silenced. Those without news change nothing. */
export function anomalyNotices(notifier: Notifier, publicUrl: string | undefined): AnomalySink {
  return ({ message }) => {
    if (message.state === State.OPEN && message.news) notifier.offer(noticeOf(message, publicUrl));
  };
}

/** Takes all reports: the end of an anomaly counts, whatever is silenced meanwhile. */
export function anomalyEnds(notifier: Notifier): AnomalySink {
  return ({ message: { tenant, id, state, endTimeUnixNano } }) => {
    if (state === State.ENDED) notifier.resolve({ tenant, incident: id, endsAt: msOf(endTimeUnixNano) });
  };
}
