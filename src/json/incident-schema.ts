/** The schemas of incidents as JSON. They load nothing of Node.js, because verification in browsers needs them. */
import { z } from "zod";
import { channelNames, incidentStates, incidentVerdicts, severityNames } from "../anomaly/names.ts";
import { anomalySchema } from "./anomaly-schema.ts";
import { examples } from "./examples.ts";
import { count, ms, nanos, signalSchema } from "./report.ts";

const severity = z.enum([...severityNames, "unspecified"]);
export const joinNames = ["first", "trace", "resource", "service", "neighbour", "change", "host"] as const;

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
