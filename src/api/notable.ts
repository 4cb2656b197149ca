import { z } from "zod";
import { signalName } from "../anomaly/names.ts";
import { streamId } from "../anomaly/stream-id.ts";
import type { Anomaly } from "../gen/driftlock/v1/anomaly_pb.js";
import { examples } from "../json/examples.ts";
import { reportJson, reportSchema, signalSchema } from "../json/report.ts";
import { parseNanos } from "../json/time.ts";
import type { Store } from "../store/index.ts";
import type { App } from "./app.ts";
import { guarded, problems } from "./openapi.ts";
import { time } from "./query.ts";
import { paging } from "./representation.ts";

const notableSchema = z
  .object({
    stream: z.string(),
    stream_id: z.string(),
    service: z.string(),
    signal: signalSchema,
    report: reportSchema.describe(
      "The verdict, with the limit that it did not reach or, if a budget withheld it, exceeded; `margin` is the part of the rarity that it needed",
    ),
  })
  .meta({ id: "Notable", description: "What was strange without being flagged" });

export type NotableJson = z.output<typeof notableSchema>;

function notableJson(message: Anomaly): NotableJson {
  return {
    stream: message.stream,
    stream_id: streamId(message.stream),
    service: message.serviceName,
    signal: signalName(message.signal),
    report: reportJson(message),
  };
}

export function notableRoutes(app: App, { store }: { store: Store }): void {
  app.get(
    "/v1/notable",
    {
      config: { scope: "read" },
      schema: {
        tags: ["anomalies"],
        security: [{ bearer: [] }],
        operationId: "listNotable",
        summary: "List what came closest to being an anomaly",
        description:
          "The strangest verdict of each stream and hour that was not flagged, by how rare it is for its stream: the strangest first. Of each tenant, up to 8 streams of every sixteenth part of its resources are kept per hour.",
        querystring: z.strictObject({
          from: time.optional().describe("Returns verdicts on records of this time or later"),
          until: time.optional().describe("Returns verdicts on records before this time"),
          limit: paging.limit.meta({ description: "Number of items", examples: [20] }),
        }),
        response: {
          200: z
            .object({ items: z.array(notableSchema) })
            .meta({ description: "The strangest first", examples: [{ items: [examples.notable] }] }),
          ...problems(...guarded, 503),
        },
      },
    },
    async ({ query, principal }) => {
      const { from, until } = query;
      const found = await store.notable.list(
        principal.tenant,
        { ...(from && { from: parseNanos(from) }), ...(until && { until: parseNanos(until) }) },
        query,
      );
      return { items: found.map(notableJson) };
    },
  );
}
