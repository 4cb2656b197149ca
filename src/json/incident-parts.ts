/** Parts of incidents as JSON. They load nothing of Node.js, because verification in browsers needs them. */
import type { z } from "zod";
import { channelName, severityName, signalName } from "../anomaly/names.ts";
import { toHex } from "../base/hex.ts";
import type {
  Candidate,
  Change,
  EdgeFigures,
  Figures,
  IncidentMember,
} from "../gen/driftlock/v1/incidents_pb.js";
import {
  type CandidateJson,
  type changeSchema,
  type IncidentDetailJson,
  joinNames,
} from "./incident-schema.ts";
import { finite, safeCount } from "./report.ts";
import { formatNanos } from "./time.ts";

export const candidateJson = (candidate: Candidate): CandidateJson => ({
  service: candidate.service,
  host: candidate.host || null,
  instance: candidate.instance || null,
  operation: candidate.operation || null,
  seconds: candidate.seconds,
  failures: candidate.failures,
  reasons: candidate.reasons,
});

export function memberJson(
  member: IncidentMember,
): Omit<IncidentDetailJson["evidence"][number], "stream_id"> {
  return {
    stream: member.stream,
    signal: signalName(member.signal),
    channel: channelName(member.channel),
    service: member.serviceName,
    instance: member.instance || null,
    host: member.host || null,
    severity: severityName(member.severity),
    join: joinNames[member.join] ?? "first",
    joined_by: member.joinedBy || null,
    start_time: formatNanos(member.startTimeUnixNano),
    end_time: formatNanos(member.endTimeUnixNano),
    flagged: safeCount(member.flagged),
    margin: finite(member.margin),
    p_value: finite(member.pValue),
    anomalies: member.anomalyIds,
    traces: member.traceIds.map(toHex),
  };
}

const figuresJson = (figures: Figures | undefined) => ({
  count: figures?.count ?? 0,
  seconds: figures?.seconds ?? 0,
  failures: figures?.failures ?? 0,
});

export function edgeJson(edge: EdgeFigures): IncidentDetailJson["graph"][number] {
  return {
    caller: edge.caller,
    operation: edge.operation,
    callee: edge.callee,
    callee_operation: edge.calleeOperation,
    now: figuresJson(edge.now),
    usual: figuresJson(edge.usual),
  };
}

export function changeJson(change: Change): z.output<typeof changeSchema> {
  return {
    id: change.id,
    time: formatNanos(change.timeUnixNano),
    service: change.serviceName || null,
    attribute: change.attribute || null,
    value: change.value || null,
    previous: change.previous || null,
    title: change.title || null,
    link: change.link || null,
  };
}
