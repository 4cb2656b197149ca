import { z } from "zod";
import { channelName, signalName, signalNames, streamStates, toSignal } from "../anomaly/names.ts";
import { examples } from "../json/examples.ts";
import { finite, safeCount, signalSchema } from "../json/report.ts";
import { formatMs, formatNanos } from "../json/time.ts";
import type { RatedPoint, Store, Stream } from "../store/index.ts";
import type { App } from "./app.ts";
import { guarded, problems } from "./openapi.ts";
import { ApiError } from "./problem.ts";
import { id, noParameters, oneOrMore } from "./query.ts";
import { pageSchema, paging } from "./representation.ts";

/** The number of anomalies whose scores a stream shows. */
const shownScores = 100;

const nanos = z.string().describe("RFC 3339 in UTC, with nanoseconds");
const ms = z.string().describe("RFC 3339 in UTC, with milliseconds");
const count = z.number().int().nonnegative();

const streamShape = {
  id: z.string(),
  key: z.string().describe("The key as it is displayed, such as `logs service.name=checkout`"),
  signal: signalSchema,
  service: z.string(),
  state: z
    .enum(streamStates)
    .describe(
      "`learning`: records are not judged yet. `watching`: records are judged. `shelved`: set aside to make room for other " +
        "streams; resumes with its baseline when records arrive again. `evicted`: removed to make room; its baseline is " +
        "lost. `limited`: the tenant exceeds `limits.streams`; records pass unjudged. " +
        "`excluded`: a policy says that it is not judged",
    ),
  progress: z.number().min(0).max(1).describe("Progress of learning; 1 when it is complete"),
  baseline_since: nanos
    .nullable()
    .describe("Event time at which learning was complete; null until then, or if unknown"),
  baseline_age_seconds: z
    .number()
    .nonnegative()
    .nullable()
    .describe("Event time from `baseline_since` to `last_seen`; null if the former is"),
  first_seen: nanos,
  last_seen: nanos,
  records: count,
  records_per_second: z
    .number()
    .nullable()
    .describe("Average rate from `first_seen` to `last_seen`; null if they are equal"),
  recent_records_per_second: z
    .number()
    .nonnegative()
    .describe("Arrival rate over the latest five to ten minutes, delayed by some seconds"),
  flagged: count.describe("Total number of flagged records and ticks"),
  withheld: count.describe("Total number of alarms that were withheld because the stream's budget was spent"),
  anomalies: count.describe("Number of stored anomalies"),
};
const streamSchema = z.object(streamShape).meta({
  id: "Stream",
  description: "A sequence of records that share a key",
  examples: [examples.stream],
});

const pointSchema = z
  .object({
    time: ms.describe("When the five minutes began, by the store's clock"),
    records: count,
    records_per_second: z.number().nonnegative(),
    flagged: count,
    score: z
      .number()
      .nullable()
      .describe("Highest score of all channels, relative to the score that 1 % exceeded while learning"),
    channel: z.string().describe("The channel of the highest score"),
    p_value: z.number().nullable().describe("Smallest p-value"),
  })
  .meta({ id: "StreamPoint", description: "Statistics of a stream over five minutes" });

const streamDetailSchema = z
  .object({
    ...streamShape,
    history: z
      .array(pointSchema)
      .describe("Points of the last day, oldest first; there is no point for five minutes without records"),
    scores: z
      .array(
        z.object({
          anomaly: z.string(),
          time: nanos,
          channel: z.string(),
          score: z.number().nullable(),
          limit: z.number().nullable(),
        }),
      )
      .describe("Scores of the latest anomalies, oldest first"),
  })
  .meta({
    id: "StreamDetail",
    description: "A stream with its history and the scores of its latest anomalies",
    examples: [examples.streamDetail],
  });

export type StreamJson = z.output<typeof streamSchema>;
export type StreamDetailJson = z.output<typeof streamDetailSchema>;

const secondsBetween = (from: bigint, until: bigint) => Number(until - from) / 1e9;

function streamJson(stream: Stream): StreamJson {
  const { baselineAt, firstSeen, lastSeen } = stream;
  const seconds = secondsBetween(firstSeen, lastSeen);
  return {
    id: stream.id,
    key: stream.key,
    signal: signalName(stream.signal),
    service: stream.service,
    state: stream.state,
    progress: stream.progress,
    baseline_since: baselineAt === undefined ? null : formatNanos(baselineAt),
    baseline_age_seconds: baselineAt === undefined ? null : Math.max(0, secondsBetween(baselineAt, lastSeen)),
    first_seen: formatNanos(firstSeen),
    last_seen: formatNanos(lastSeen),
    records: safeCount(stream.records),
    records_per_second: seconds > 0 ? Number(stream.records) / seconds : null,
    recent_records_per_second: stream.recentRate,
    flagged: safeCount(stream.flagged),
    withheld: safeCount(stream.withheld),
    anomalies: safeCount(stream.anomalies),
  };
}

function pointJson(point: RatedPoint): z.output<typeof pointSchema> {
  return {
    time: formatMs(point.time),
    records: safeCount(point.records),
    records_per_second: point.rate,
    flagged: safeCount(point.flagged),
    score: finite(point.score),
    channel: channelName(point.channel),
    p_value: finite(point.pValue),
  };
}

export function streamRoutes(app: App, { store }: { store: Store }): void {
  const tags = ["streams"];
  const security = [{ bearer: [] }];
  app.get(
    "/v1/streams",
    {
      config: { scope: "read" },
      schema: {
        tags,
        security,
        operationId: "listStreams",
        summary: "List streams, newest first",
        querystring: z.strictObject({
          signal: oneOrMore(z.enum(signalNames)),
          service: z.string().max(256).optional(),
          state: oneOrMore(z.enum(streamStates)),
          ...paging,
        }),
        response: {
          200: pageSchema(streamSchema, "Streams, newest first", examples.stream),
          ...problems(...guarded, 503),
        },
      },
    },
    async ({ query, principal }) => {
      const { signal, service, state } = query;
      const filter = {
        ...(signal && { signal: signal.map(toSignal) }),
        ...(service !== undefined && { service }),
        ...(state && { state }),
      };
      const page = await store.streams.list(principal.tenant, filter, query);
      return { ...page, items: page.items.map(streamJson) };
    },
  );
  app.get(
    "/v1/streams/:id",
    {
      config: { scope: "read" },
      schema: {
        tags,
        security,
        operationId: "getStream",
        summary: "A stream with its history and the scores of its latest anomalies",
        params: z.object({ id }),
        querystring: noParameters,
        response: { 200: streamDetailSchema.describe("The stream"), ...problems(...guarded, 404, 503) },
      },
    },
    async ({ params, principal }) => {
      const stream = await store.streams.get(principal.tenant, params.id);
      if (stream === undefined) throw new ApiError(404, "there is no stream with this id");
      const latest = await store.anomalies.list(
        principal.tenant,
        { streamId: stream.id },
        { limit: shownScores },
      );
      const scores = latest.items.toReversed().flatMap(({ id: anomaly, strongest }) => {
        if (strongest === undefined) return [];
        const { timeUnixNano, channel, score, limit } = strongest.message;
        return [
          {
            anomaly,
            time: formatNanos(timeUnixNano),
            channel: channelName(channel),
            score: finite(score),
            limit: finite(limit),
          },
        ];
      });
      const history = await store.streams.history(principal.tenant, stream);
      return { ...streamJson(stream), history: history.map(pointJson), scores };
    },
  );
}
