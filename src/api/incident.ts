/** Incidents as the API returns them. */
import { z } from "zod";
import {
  channelName,
  channelNames,
  incidentStates,
  incidentVerdicts,
  severityName,
  severityNames,
  signalName,
} from "../anomaly/names.ts";
import {
  type Candidate,
  type Change,
  type EdgeFigures,
  type Figures,
  type IncidentMember,
  Join,
} from "../gen/driftlock/v1/incidents_pb.js";
import { type IncidentDetail, type IncidentSummary, streamId } from "../store/index.ts";
import { type AnomalyJson, anomalySchema, finite, safeCount, signalSchema } from "./anomaly.ts";
import { examples } from "./examples.ts";
import type { Columns } from "./representation.ts";
import { formatMs, formatNanos } from "./time.ts";

const nanos = z.string().describe("RFC 3339 in UTC, with nanoseconds");
const ms = z.string().describe("RFC 3339 in UTC, with milliseconds");
const count = z.number().int().nonnegative();
const severity = z.enum([...severityNames, "unspecified"]);
const joinNames = ["first", "trace", "resource", "service", "neighbour", "change", "host"] as const;

const candidateSchema = z.object({
  service: z.string().describe("A service, or a peer such as a database by the name that its callers use"),
  host: z.string().nullable(),
  instance: z.string().nullable(),
  operation: z.string().nullable().describe("The operation that has most of the excess"),
  seconds: z.number().describe("Own time beyond what is usual, in seconds"),
  failures: z.number().describe("Failures beyond what is usual that no callee explains"),
  reasons: z.array(z.string()).describe("Why it stands here, in sentences without a full stop"),
});

const figuresSchema = z.object({
  count: z.number(),
  seconds: z.number(),
  failures: z.number(),
});

export const changeSchema = z
  .object({
    id: z.string(),
    time: nanos,
    service: z.string().nullable().describe("Null if it concerns no single service"),
    attribute: z.string().nullable().describe("The resource attribute that has a new value"),
    value: z.string().nullable(),
    previous: z.string().nullable(),
    title: z
      .string()
      .nullable()
      .describe("What a person or a pipeline says; null if it was seen in telemetry"),
    link: z.string().nullable(),
  })
  .meta({
    id: "Change",
    description:
      "A value of a resource attribute that was seen for the first time, or a change that was posted",
    examples: [examples.change],
  });

const incidentShape = {
  id: z
    .string()
    .describe("32 hexadecimal digits. An id stays valid if the incident turns out to be part of another"),
  state: z
    .enum(incidentStates)
    .describe(
      "`open`, `ended`, or `merged` if it is part of another incident; what a person decided replaces `open` and `ended`",
    ),
  severity,
  minor: z
    .boolean()
    .describe("Whether it notifies nobody: the budget of incidents is spent, or it is expected"),
  sentence: z.string().describe("What is unusual, where, and what the cause seems to be"),
  services: z.array(z.string()).describe("Its services, those of the cause first"),
  cause: candidateSchema.nullable().describe("The likeliest cause; null if there is none"),
  undecided: z.string().nullable().describe("Why the ranking cannot tell; null if it can"),
  start_time: nanos.describe("Event time of its first evidence"),
  end_time: nanos.describe("Event time of its latest evidence"),
  reported_time: nanos.describe("Event time at which it became an incident"),
  score: z.number().nullable().describe("Decimal logarithm of how rare it is by the tenant's own ticks"),
  p_value: z.number().nullable().describe("Probability of as much evidence by chance"),
  members: count.describe("Number of streams and channels that contributed"),
  fingerprint: z.string().describe("Identifies incidents of the same services with the same findings"),
  merged_into: z.string().nullable().describe("The incident that it is part of"),
  expected_by: z.string().nullable().describe("The incident whose expectation it falls under"),
  expected_until: ms.nullable().describe("Until when a person expects more like it"),
  silenced_by: z
    .string()
    .nullable()
    .describe("The silence that applies to all its members, so that nobody is notified; null if none does"),
  revision: count.describe("Increases with each report"),
  recorded_at: ms,
  changed_at: ms,
};

export const incidentSchema = z.object(incidentShape).meta({
  id: "Incident",
  description: "Evidence that belongs together, with its likeliest cause",
  examples: [examples.incident],
});

export const incidentDetailSchema = z
  .object({
    ...incidentShape,
    ranking: z.array(candidateSchema).describe("Candidates for the cause, the likeliest first"),
    evidence: z
      .array(
        z.object({
          stream: z.string(),
          stream_id: z.string(),
          signal: signalSchema,
          channel: z.enum([...channelNames, "unspecified"]),
          service: z.string(),
          instance: z.string().nullable(),
          host: z.string().nullable(),
          severity,
          join: z.enum(joinNames).describe("Why it belongs to the incident"),
          joined_by: z
            .string()
            .nullable()
            .describe("The trace, service, host or change by which it does; null for the first"),
          start_time: nanos,
          end_time: nanos,
          flagged: count.describe("Number of flagged verdicts"),
          margin: z.number().nullable().describe("How many times rarer the rarest is than it must be"),
          p_value: z.number().nullable(),
          anomalies: z.array(z.string()).describe("Ids of its anomalies, the first of them"),
          traces: z.array(z.string()).describe("Ids of traces in which it shows, the first of them"),
        }),
      )
      .describe("The streams and channels that contributed"),
    graph: z
      .array(
        z.object({
          caller: z.string(),
          operation: z.string(),
          callee: z.string(),
          callee_operation: z.string(),
          now: figuresSchema.describe("The calls of the incident's latest tick, of 10 s"),
          usual: figuresSchema.describe("What is usual for as many spans of the caller"),
        }),
      )
      .describe("The calls among its services, and to those that they call"),
    changes: z.array(changeSchema).describe("Changes just before it, the latest first"),
    seen_before: z
      .array(z.string())
      .describe("Ids of earlier incidents with the same fingerprint, the latest first"),
    timeline: z
      .array(
        z.object({
          time: nanos,
          kind: z.enum(["change", "evidence", "reported", "ended", "judgement"]),
          text: z.string(),
        }),
      )
      .describe("What happened, oldest first"),
    events: z
      .array(
        z.object({
          state: z.enum([...incidentVerdicts, "withdrawn"]),
          until: ms.nullable(),
          author: z.string(),
          time: ms,
          note: z.string(),
        }),
      )
      .describe("What people have decided, oldest first"),
    anomaly_ids: z.array(z.string()).describe("Ids of its anomalies"),
    anomalies: z
      .array(anomalySchema)
      .describe("Up to 50 of its anomalies that are still stored, in order of their start"),
  })
  .meta({
    id: "IncidentDetail",
    description: "An incident with everything that is stored about it",
    examples: [examples.incidentDetail],
  });

export type IncidentJson = z.output<typeof incidentSchema>;
export type IncidentDetailJson = z.output<typeof incidentDetailSchema>;
export type CandidateJson = z.output<typeof candidateSchema>;

const candidateJson = (candidate: Candidate): CandidateJson => ({
  service: candidate.service,
  host: candidate.host || null,
  instance: candidate.instance || null,
  operation: candidate.operation || null,
  seconds: candidate.seconds,
  failures: candidate.failures,
  reasons: candidate.reasons,
});

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
    evidence: message.members.map(memberJson),
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

function memberJson(member: IncidentMember): IncidentDetailJson["evidence"][number] {
  return {
    stream: member.stream,
    stream_id: streamId(member.stream),
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
    traces: member.traceIds.map((id) => Buffer.from(id).toString("hex")),
  };
}

const figuresJson = (figures: Figures | undefined) => ({
  count: figures?.count ?? 0,
  seconds: figures?.seconds ?? 0,
  failures: figures?.failures ?? 0,
});

function edgeJson(edge: EdgeFigures): IncidentDetailJson["graph"][number] {
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

export const incidentColumns: Columns<IncidentJson> = {
  id: ({ id }) => id,
  state: ({ state }) => state,
  severity: ({ severity }) => severity,
  minor: ({ minor }) => (minor ? "true" : "false"),
  start_time: (item) => item.start_time,
  end_time: (item) => item.end_time,
  reported_time: (item) => item.reported_time,
  sentence: ({ sentence }) => sentence,
  services: ({ services }) => services.join(" "),
  cause: ({ cause }) => cause?.service ?? null,
  members: ({ members }) => members,
  score: ({ score }) => score,
  p_value: (item) => item.p_value,
  fingerprint: ({ fingerprint }) => fingerprint,
  merged_into: (item) => item.merged_into,
};
