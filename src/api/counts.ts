/** Counts of anomalies by lane, time and severity, as the API returns them. */
import { z } from "zod";
import { channelName, type severityNames, signalName, toSeverity } from "../anomaly/names.ts";
import { examples } from "../json/examples.ts";
import { formatNanos } from "../json/time.ts";
import { type AnomalyCounts, type BucketCount, type Lane, lanes } from "../store/index.ts";

const count = z.number().int().nonnegative();
const nanos = z.string().describe("RFC 3339 in UTC, with nanoseconds");

const counts = z
  .array(
    z.object({
      bucket: count.describe("The number of the bucket, from 0"),
      low: count,
      medium: count,
      high: count,
      critical: count,
    }),
  )
  .describe("The anomalies that began in each bucket, by severity; buckets without any are left out");

export const countsSchema = z
  .object({
    by: z.enum(lanes),
    from: nanos,
    until: nanos,
    bucket_seconds: z.number().positive().describe("The length of a bucket"),
    lanes: z
      .array(
        z.object({
          lane: z.string().describe("A value for the filter that `by` names"),
          total: count,
          counts,
        }),
      )
      .describe(
        "Those with the most anomalies, most first. By `channel`, an anomaly counts for each of its channels",
      ),
    others: z
      .object({ lanes: count.describe("How many they are"), total: count, counts })
      .describe("All other lanes together"),
    counted_from: nanos
      .nullable()
      .describe("null if everything was counted; else anomalies that began before this time were not"),
  })
  .meta({
    id: "AnomalyCounts",
    description: "Anomalies by lane, time and severity",
    examples: [examples.counts],
  });

function bucketJson({ bucket, severities }: BucketCount) {
  const of = (name: (typeof severityNames)[number]) => severities[toSeverity(name)]!;
  // Reports of other versions may name no severity.
  return {
    bucket,
    low: of("low") + severities[0]!,
    medium: of("medium"),
    high: of("high"),
    critical: of("critical"),
  };
}

/** Returns a lane as the filter of the same name takes it. */
function laneName(by: Lane, lane: string): string {
  if (by === "channel") return channelName(Number(lane));
  return by === "signal" ? signalName(Number(lane)) : lane;
}

export function countsJson(by: Lane, counted: AnomalyCounts): z.output<typeof countsSchema> {
  const { from, until, width, countedFrom, others } = counted;
  return {
    by,
    from: formatNanos(from),
    until: formatNanos(until),
    bucket_seconds: Number(width) / 1e9,
    lanes: counted.lanes.map(({ lane, total, counts: each }) => ({
      lane: laneName(by, lane),
      total,
      counts: each.map(bucketJson),
    })),
    others: { ...others, counts: others.counts.map(bucketJson) },
    counted_from: countedFrom === undefined ? null : formatNanos(countedFrom),
  };
}
