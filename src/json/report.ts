/** A report of an anomaly as JSON. */
import { z } from "zod";
import { channelName, channelNames, severityName, severityNames, signalNames } from "../anomaly/names.ts";
import { toHex } from "../base/hex.ts";
import { type Anomaly, State } from "../gen/driftlock/v1/anomaly_pb.js";
import { examples } from "./examples.ts";
import { formatNanos } from "./time.ts";

export const nanos = z.string().describe("RFC 3339 in UTC, with nanoseconds");
export const ms = z.string().describe("RFC 3339 in UTC, with milliseconds");
const nullableNumber = z.number().nullable();
export const count = z.number().int().nonnegative();
export const signalSchema = z.enum([...signalNames, "unspecified"]);

export const reportSchema = z
  .object({
    channel: z.enum([...channelNames, "unspecified"]),
    severity: z.enum([...severityNames, "unspecified"]),
    time: nanos.describe("Event time of the reported record, or the end of the reported tick"),
    occurrence: count.describe("Number of flagged verdicts of the anomaly so far"),
    score: nullableNumber.describe("Score in the channel's own unit; higher is more anomalous"),
    limit: nullableNumber.describe("The stream's alarm limit on the score"),
    p_value: nullableNumber.describe("Probability of a score at least this high in normal data"),
    margin: nullableNumber.describe("How many times rarer the verdict is than it must be to be flagged"),
    news: z
      .boolean()
      .describe(
        "Whether the report shows what no earlier one did: another channel, another finding or a higher severity",
      ),
    silenced_by: z
      .string()
      .nullable()
      .describe(
        "The silence that applied to the report, so that nobody was notified of it; null if none did",
      ),
    withheld: z
      .object({
        count: count.describe("Number of alarms that were withheld"),
        channel: z.enum([...channelNames, "unspecified"]),
        score: nullableNumber.describe(
          "Score of the strangest of them, as a multiple of the score that one in a hundred exceeds",
        ),
        time: nanos.describe("Event time of the strangest of them"),
      })
      .nullable()
      .describe(
        "What the budgets of the stream and its resource group withheld since the stream's previous alarm; null if nothing was",
      ),
    instance: z
      .string()
      .nullable()
      .describe(
        "The instance of the service whose metric it is, such as `service.instance.id=checkout-1`; null if the stream is that of all instances",
      ),
    value: nullableNumber.describe(
      "The number that the report is about, such as a metric's value or a duration; null if it is about none. `expected` has what is usual, in the same unit",
    ),
    unit: z
      .string()
      .describe(
        "Its unit by UCUM, such as `ns`, `{record}`, `1` for shares, or the metric's own; empty if it has none or none is known",
      ),
    surprise_bits: nullableNumber.describe("Bits that the record costs, given the baseline"),
    baseline_bits: nullableNumber.describe("Bits that the stream's records usually cost"),
    field: z.string().describe("The field that contributes most to the score; empty if none stands out"),
    field_costs: z
      .array(z.object({ field: z.string(), bits: z.number() }))
      .describe(
        "For the channel `content`: the fields that are new to the stream and what they cost, the costliest first; what matches of the baseline cost belongs to none",
      ),
    explanation: z.string(),
    trace_id: z.string().describe("In hexadecimal; empty if there is none"),
    span_id: z.string().describe("In hexadecimal; empty if there is none"),
    record: z
      .object({
        text: z.string(),
        novel: z
          .array(z.object({ start: count, end: count }))
          .describe("Ranges of the text, in UTF-8 bytes, that match nothing in the baseline"),
      })
      .nullable(),
    members: z
      .array(
        z.object({
          stream: z.string(),
          channel: z.enum([...channelNames, "unspecified"]),
          score: nullableNumber.describe("Score in the channel's own unit"),
          p_value: nullableNumber.describe("Probability of a score at least this high in normal data"),
          distance: nullableNumber.describe(
            "How far it is from what is usual: in standard deviations for a metric's value, in bits of rarity for others",
          ),
          time: nanos,
          instance: z.string().nullable().describe("The instance of the service, as in `instance`"),
        }),
      )
      .describe(
        "For the channel `group`: the streams of the resource group that were unusual in the same minute, the most unusual first",
      ),
    expected: z
      .object({
        nearest: z.string().describe("The most similar text in the baseline"),
        next: z
          .array(z.string())
          .describe("The templates or spans that usually come next, most likely first"),
        low: nullableNumber,
        high: nullableNumber,
      })
      .nullable(),
    window: z
      .object({
        records: count,
        raw_bytes: count,
        codec: z.string(),
        compression_ratio: nullableNumber,
        delta_bits: nullableNumber,
        entropy: nullableNumber,
        ncd: nullableNumber,
        ncd_size_matched: nullableNumber,
        p_value: nullableNumber.describe("P-value of the permutation test; null if it was not run"),
        permutations: count,
      })
      .nullable()
      .describe("Metrics of the window that ends with the record, compared with the baseline"),
  })
  .meta({ id: "Report", description: "One report of an anomaly", examples: [examples.report] });

export type ReportJson = z.output<typeof reportSchema>;

/** Returns null for infinite numbers, which JSON does not have. */
export function finite(value: number | undefined): number | null {
  return value !== undefined && Number.isFinite(value) ? value : null;
}

export function safeCount(value: bigint): number {
  return Math.min(Number(value), Number.MAX_SAFE_INTEGER);
}

export function reportJson(report: Anomaly): ReportJson {
  const { record, expected, window } = report;
  // The end of an anomaly is no verdict.
  const ofVerdict = (value: number) => (report.state === State.ENDED ? null : finite(value));
  return {
    channel: channelName(report.channel),
    severity: severityName(report.severity),
    time: formatNanos(report.timeUnixNano),
    occurrence: safeCount(report.occurrence),
    score: ofVerdict(report.score),
    limit: ofVerdict(report.limit),
    p_value: ofVerdict(report.pValue),
    margin: ofVerdict(report.margin),
    news: report.news,
    silenced_by: report.silencedBy || null,
    withheld: report.withheld
      ? {
          count: safeCount(report.withheld.count),
          channel: channelName(report.withheld.channel),
          score: finite(report.withheld.score),
          time: formatNanos(report.withheld.timeUnixNano),
        }
      : null,
    instance: report.instance || null,
    value: finite(report.value),
    unit: report.unit,
    surprise_bits: ofVerdict(report.surpriseBits),
    baseline_bits: ofVerdict(report.baselineBits),
    field: report.field,
    field_costs: report.fieldCosts.map(({ field, bits }) => ({ field, bits })),
    explanation: report.explanation,
    trace_id: toHex(report.traceId),
    span_id: toHex(report.spanId),
    record: record
      ? { text: record.text, novel: record.novel.map(({ start, end }) => ({ start, end })) }
      : null,
    members: report.members.map((member) => ({
      stream: member.stream,
      channel: channelName(member.channel),
      score: finite(member.score),
      p_value: finite(member.pValue),
      distance: finite(member.distance),
      time: formatNanos(member.timeUnixNano),
      instance: member.instance || null,
    })),
    expected: expected
      ? {
          nearest: expected.nearest,
          next: expected.next,
          low: finite(expected.low),
          high: finite(expected.high),
        }
      : null,
    window: window
      ? {
          records: window.records,
          raw_bytes: safeCount(window.rawBytes),
          codec: window.codec,
          compression_ratio: finite(window.compressionRatio),
          delta_bits: finite(window.deltaBits),
          entropy: finite(window.entropy),
          ncd: finite(window.ncd),
          ncd_size_matched: finite(window.ncdSizeMatched),
          p_value: finite(window.pValue),
          permutations: window.permutations,
        }
      : null,
  };
}
