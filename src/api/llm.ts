import { z } from "zod";
import { examples } from "../json/examples.ts";
import {
  conversationDetailJson,
  conversationDetailSchema,
  conversationJson,
  conversationSchema,
} from "../json/llm.ts";
import { parseNanos } from "../json/time.ts";
import { maxConversationCalls, type Store } from "../store/index.ts";
import type { App } from "./app.ts";
import { guarded, problems } from "./openapi.ts";
import { ApiError } from "./problem.ts";
import { id, noParameters, time } from "./query.ts";
import { pageSchema, paging } from "./representation.ts";

export function llmRoutes(app: App, { store }: { store: Store }): void {
  const tags = ["llm"];
  const security = [{ bearer: [] }];
  app.get(
    "/v1/llm/conversations",
    {
      config: { scope: "read" },
      schema: {
        tags,
        security,
        operationId: "listConversations",
        summary: "List conversations with language models by their latest call, latest first",
        querystring: z.strictObject({
          from: time.optional().describe("Returns conversations whose latest call began then or later"),
          until: time.optional().describe("Returns conversations whose latest call began before"),
          service: z.string().max(256).optional(),
          agent: z.string().max(256).optional(),
          flagged: z
            .enum(["true", "false"])
            .optional()
            .describe("Returns conversations in which something was flagged, or those in which nothing was"),
          ...paging,
        }),
        response: {
          200: pageSchema(conversationSchema, "Conversations, the latest first", examples.conversation),
          ...problems(...guarded, 503),
        },
      },
    },
    async ({ query, principal }) => {
      const { from, until, service, agent, flagged } = query;
      const filter = {
        ...(from && { from: parseNanos(from) }),
        ...(until && { until: parseNanos(until) }),
        ...(service !== undefined && { service }),
        ...(agent !== undefined && { agent }),
        ...(flagged !== undefined && { flagged: flagged === "true" }),
      };
      const page = await store.llm.list(principal.tenant, filter, query);
      return { ...page, items: page.items.map(conversationJson) };
    },
  );
  app.get(
    "/v1/llm/conversations/:id",
    {
      config: { scope: "read" },
      schema: {
        tags,
        security,
        operationId: "getConversation",
        summary: "A conversation with its calls",
        description: `At most the latest ${maxConversationCalls} calls are returned. What they contain of texts depends on \`llm.capture\`.`,
        params: z.object({ id }),
        querystring: noParameters,
        response: {
          200: conversationDetailSchema.describe("The conversation"),
          ...problems(...guarded, 404, 503),
        },
      },
    },
    async ({ params, principal }) => {
      const found = await store.llm.get(principal.tenant, params.id);
      if (found === undefined) throw new ApiError(404, "there is no conversation with this id");
      return conversationDetailJson(found);
    },
  );
}
