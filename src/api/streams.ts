import { z } from "zod";
import type { Store, Stream } from "../store/index.ts";
import {
  channelName,
  finite,
  safeCount,
  signalName,
  signalNames,
  signalSchema,
  toSignal,
} from "./anomaly.ts";
import type { App } from "./app.ts";
import { components, guarded, problems } from "./openapi.ts";
import { ApiError } from "./problem.ts";
import { id, oneOrMore } from "./query.ts";
import { pageSchema, paging } from "./representation.ts";
import { formatNanos } from "./time.ts";

const states = ["learning", "watching", "evicted"] as const;
/** Anomalies whose scores a stream shows. */
const shownScores = 100;

const nanos = z.string().describe("RFC 3339 in UTC, with nanoseconds");
const count = z.number().int().nonnegative();

const streamShape = {
  id: z.string(),
  key: z.string().describe("As shown to people, such as `logs service.name=checkout`"),
  signal: signalSchema,
  service: z.string(),
  state: z.enum(states).describe("`learning`: not judged yet. `evicted`: given up for other streams"),
  first_seen: nanos,
  last_seen: nanos,
  records: count,
  records_per_second: z
    .number()
    .nullable()
    .describe("Between first and last seen; null where that is no time"),
  anomalies: count.describe("Stored now"),
};
const streamSchema = z.object(streamShape).meta({ description: "Records that share a key" });
components.add(streamSchema, { id: "Stream" });

const streamDetailSchema = z
  .object({
    ...streamShape,
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
      .describe("Of the latest anomalies, oldest first"),
  })
  .meta({ description: "A stream with the scores of its latest anomalies" });
components.add(streamDetailSchema, { id: "StreamDetail" });

function streamJson(stream: Stream): z.output<typeof streamSchema> {
  const seconds = Number(stream.lastSeen - stream.firstSeen) / 1e9;
  return {
    id: stream.id,
    key: stream.key,
    signal: signalName(stream.signal),
    service: stream.service,
    state: stream.state,
    first_seen: formatNanos(stream.firstSeen),
    last_seen: formatNanos(stream.lastSeen),
    records: safeCount(stream.records),
    records_per_second: seconds > 0 ? Number(stream.records) / seconds : null,
    anomalies: safeCount(stream.anomalies),
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
        summary: "List streams, the latest seen first",
        querystring: z.strictObject({
          signal: oneOrMore(z.enum(signalNames)),
          service: z.string().max(256).optional(),
          state: oneOrMore(z.enum(states)),
          ...paging,
        }),
        response: { 200: pageSchema(streamSchema), ...problems(400, ...guarded, 503) },
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
        summary: "A stream and the scores of its latest anomalies",
        params: z.object({ id }),
        response: { 200: streamDetailSchema, ...problems(400, ...guarded, 404, 503) },
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
        const { timeUnixNano, channel, score, limit } = strongest.anomaly;
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
      return { ...streamJson(stream), scores };
    },
  );
}
