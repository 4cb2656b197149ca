/** Incidents as the API returns them. */
import { channelName, severityName } from "../anomaly/names.ts";
import { streamId } from "../anomaly/stream-id.ts";
import { type Change, Join } from "../gen/driftlock/v1/incidents_pb.js";
import type { IncidentDetail, IncidentSummary } from "../store/index.ts";
import type { AnomalyJson } from "./anomaly-schema.ts";
import { candidateJson, changeJson, edgeJson, memberJson } from "./incident-parts.ts";
import type { IncidentDetailJson, IncidentJson } from "./incident-schema.ts";
import { finite } from "./report.ts";
import { formatMs, formatNanos } from "./time.ts";

export function incidentJson({ message, ...stored }: IncidentSummary): IncidentJson {
  const { ranking } = message;
  return {
    id: message.id,
    state: stored.state,
    severity: severityName(message.severity),
    minor: message.minor,
    sentence: message.sentence,
    services: message.services,
    cause: ranking[0] === undefined ? null : candidateJson(ranking[0]),
    undecided: message.undecided || null,
    start_time: formatNanos(message.startTimeUnixNano),
    end_time: formatNanos(message.endTimeUnixNano),
    reported_time: formatNanos(message.reportedTimeUnixNano),
    score: finite(message.score),
    p_value: finite(message.pValue),
    members: stored.members,
    fingerprint: message.fingerprint,
    merged_into: message.mergedInto || null,
    expected_by: message.expectedBy || null,
    expected_until: stored.expectedUntil === undefined ? null : formatMs(stored.expectedUntil),
    silenced_by: message.silencedBy || null,
    revision: message.revision,
    recorded_at: formatMs(stored.recordedAt),
    changed_at: formatMs(stored.changedAt),
  };
}

/** @param anomalies those of its anomalies that are shown */
export function incidentDetailJson(detail: IncidentDetail, anomalies: AnomalyJson[]): IncidentDetailJson {
  const { message, events, anomalyIds } = detail;
  return {
    ...incidentJson(detail),
    ranking: message.ranking.map(candidateJson),
    evidence: message.members.map((member) => ({
      ...memberJson(member),
      stream_id: streamId(member.stream),
    })),
    graph: message.graph.map(edgeJson),
    changes: message.changes.map(changeJson),
    seen_before: message.seenBefore,
    timeline: timelineOf(detail),
    events: events.map(({ state, until, author, time, note }) => ({
      state,
      until: until === undefined ? null : formatMs(until),
      author,
      time: formatMs(time),
      note,
    })),
    anomaly_ids: anomalyIds,
    anomalies,
  };
}

const joined: Readonly<Record<Join, string>> = {
  [Join.FIRST]: "",
  [Join.TRACE]: ", in the same trace",
  [Join.RESOURCE]: ", of the same resource",
  [Join.SERVICE]: ", of the same service",
  [Join.NEIGHBOUR]: ", next to it in the service graph",
  [Join.CHANGE]: ", after the same change",
  [Join.HOST]: ", on the same host",
};

export function changeText({ serviceName, title, attribute, value, previous }: Change): string {
  const what = title || `${attribute} is ${value}${previous ? ` instead of ${previous}` : ""}`;
  return serviceName ? `${serviceName}: ${what}` : what;
}

function timelineOf({ message, state, events }: IncidentDetail): IncidentDetailJson["timeline"] {
  type Entry = { at: bigint; kind: IncidentDetailJson["timeline"][number]["kind"]; text: string };
  const entries: Entry[] = [
    ...message.changes.map((change) => ({
      at: change.timeUnixNano,
      kind: "change" as const,
      text: changeText(change),
    })),
    ...message.members.map((member) => ({
      at: member.startTimeUnixNano,
      kind: "evidence" as const,
      text: `${member.stream} is unusual by ${channelName(member.channel)}${joined[member.join] ?? ""}`,
    })),
    { at: message.reportedTimeUnixNano, kind: "reported", text: "The evidence becomes an incident" },
    ...(state === "open"
      ? []
      : [{ at: message.endTimeUnixNano, kind: "ended" as const, text: "The latest evidence" }]),
    ...events.map(({ state, author, time, note }) => ({
      at: BigInt(time) * 1_000_000n,
      kind: "judgement" as const,
      text: `${state} by ${author}${note === "" ? "" : `: ${note}`}`,
    })),
  ];
  return entries
    .sort((a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : 0))
    .map(({ at, kind, text }) => ({ time: formatNanos(at), kind, text }));
}
