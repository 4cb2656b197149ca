/** The schemas of anomalies as JSON. They load nothing of Node.js, because verification in browsers needs them. */
import { z } from "zod";
import { channelNames, severityNames, stateNames } from "../anomaly/names.ts";
import { examples } from "./examples.ts";
import { count, ms, nanos, reportSchema, signalSchema } from "./report.ts";

const anomalyShape = {
  id: z.string(),
  stream: z.string().describe("The stream's key, such as `logs service.name=checkout`"),
  stream_id: z.string(),
  service: z.string(),
  signal: signalSchema,
  channels: z.array(z.enum([...channelNames, "unspecified"])),
  severity: z.enum([...severityNames, "unspecified"]).describe("The highest severity of all reports"),
  state: z
    .enum(stateNames)
    .describe("`open`, or `ended` if nothing was flagged for the quiet period, until the anomaly is triaged"),
  start_time: nanos.describe("Event time of the first flagged verdict"),
  end_time: nanos.describe("Event time of the latest flagged verdict"),
  occurrences: count.describe("Number of flagged verdicts"),
  recorded_at: ms,
  changed_at: ms,
  incident: z
    .string()
    .nullable()
    .describe("The incident that it is part of; null if there is none, and in live events"),
  report: reportSchema
    .nullable()
    .describe("The gravest report, and of these the rarest; in live events, the newest"),
};

export const anomalySchema = z.object(anomalyShape).meta({
  id: "Anomaly",
  description: "A group of consecutive flagged verdicts of one stream",
  examples: [examples.anomaly],
});

/** What a line of a list shows. Its members are those of an anomaly. */
export const compactAnomalySchema = z
  .object({
    id: anomalyShape.id,
    stream: anomalyShape.stream,
    service: anomalyShape.service,
    signal: anomalyShape.signal,
    channels: anomalyShape.channels,
    severity: anomalyShape.severity,
    state: anomalyShape.state,
    start_time: anomalyShape.start_time,
    end_time: anomalyShape.end_time,
    occurrences: anomalyShape.occurrences,
    incident: anomalyShape.incident,
    report: reportSchema
      .pick({ score: true, limit: true, margin: true, explanation: true })
      .nullable()
      .describe("Of the gravest report, and of these the rarest"),
  })
  .meta({
    id: "CompactAnomaly",
    description: "An anomaly as a line of a list shows it",
    examples: [examples.compactAnomaly],
  });

const excerptText = z.object({
  lines: z.array(z.string()).describe("One record per line, oldest first: the latest ones, up to 64 KiB"),
  left_out: count.describe("Number of earlier lines that are left out"),
});

export const anomalyDetailSchema = z
  .object({
    ...anomalyShape,
    first: reportSchema.nullable(),
    examples: z
      .array(reportSchema)
      .describe("Up to five reports with distinct records, among them those of news"),
    events: z
      .array(z.object({ state: z.enum(stateNames), author: z.string(), time: ms, note: z.string() }))
      .describe("The triage events, oldest first"),
    excerpts: z
      .object({
        baseline: z.string().describe("Base64 of an OpenZL frame: lines of text, oldest first"),
        window: z.string().describe("Base64 of an OpenZL frame: lines of text, oldest first"),
      })
      .nullable()
      .describe("The texts that the metrics of the first report's window were computed from"),
    excerpt_texts: z
      .object({ baseline: excerptText, window: excerptText })
      .nullable()
      .describe(
        "The same excerpts as texts, masked as everything that is stored; null if they cannot be read",
      ),
    settings: z
      .array(z.object({ hash: z.string(), body: z.unknown() }))
      .describe("Configuration, versions and seed that the reports were computed with"),
  })
  .meta({
    id: "AnomalyDetail",
    description: "An anomaly with everything that is stored about it",
    examples: [examples.anomalyDetail],
  });

export type CompactAnomalyJson = z.output<typeof compactAnomalySchema>;
export type AnomalyDetailJson = z.output<typeof anomalyDetailSchema>;
export type AnomalyJson = z.output<typeof anomalySchema>;
