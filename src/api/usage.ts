import { z } from "zod";
import { steadyClock } from "../base/clock.ts";
import { dayMs } from "../base/day.ts";
import { examples } from "../json/examples.ts";
import { safeCount } from "../json/report.ts";
import type { Store } from "../store/index.ts";
import type { App } from "./app.ts";
import { guarded, problems } from "./openapi.ts";

const count = z.number().int().nonnegative();
const day = z.iso.date("must be a day such as 2026-01-31").meta({ examples: [examples.day] });
const shownDays = 30;

function toDay(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10);
}

export function usageRoutes(app: App, { store }: { store: Store }): void {
  app.get(
    "/v1/usage",
    {
      config: { scope: "read" },
      schema: {
        tags: ["tenant"],
        security: [{ bearer: [] }],
        operationId: "listUsage",
        summary: "Usage per day",
        description: "Days in UTC, oldest first. Days on which nothing was sent are omitted.",
        querystring: z.strictObject({
          from: day.optional().describe(`The first day; by default ${shownDays} days before the last day`),
          to: day.optional().describe("The last day; by default today"),
        }),
        response: {
          200: z
            .object({
              items: z.array(
                z.object({
                  day: z.string(),
                  requests: count,
                  records: count,
                  bytes: count.describe("Bytes of all requests as decompressed protobuf"),
                }),
              ),
            })
            .meta({ description: "Days, oldest first", examples: [examples.usage] }),
          ...problems(...guarded, 503),
        },
      },
    },
    async ({ query, principal }) => {
      const to = query.to ?? toDay(steadyClock.now());
      const from = query.from ?? toDay(Date.parse(to) - (shownDays - 1) * dayMs);
      const days = await store.usage.list(principal.tenant, { from, to });
      return {
        items: days.map((each) => ({
          day: each.day,
          requests: safeCount(each.requests),
          records: safeCount(each.records),
          bytes: safeCount(each.bytes),
        })),
      };
    },
  );
}
