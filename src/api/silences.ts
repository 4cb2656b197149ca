import { z } from "zod";
import { silenceMatch, silenceReason } from "../config/schema/silence.ts";
import { examples } from "../json/examples.ts";
import { formatMs } from "../json/time.ts";
import { type Silence, silenceState, silenceStates } from "../store/index.ts";
import type { App } from "./app.ts";
import { guarded, problems } from "./openapi.ts";
import type { PolicyOptions } from "./policies.ts";
import { ApiError } from "./problem.ts";
import { id, noParameters, time } from "./query.ts";
import { pageSchema, paging } from "./representation.ts";

const bodySchema = z
  .strictObject({
    match: silenceMatch.describe(
      "An anomaly must match all that is given; `{}` matches all. In patterns, `*` stands for any text and `?` for any character",
    ),
    starts_at: time.optional().describe("When it starts; now by default"),
    ends_at: time.describe("When it ends: in the future, and within a year"),
    reason: silenceReason,
  })
  .meta({ examples: [examples.newSilence] });

const silenceSchema = z
  .object({
    id: z.string(),
    match: silenceMatch,
    starts_at: z.string().describe("RFC 3339 in UTC, as all times here"),
    ends_at: z.string(),
    reason: z.string(),
    author: z.string(),
    created_at: z.string(),
    state: z.enum(silenceStates),
  })
  .meta({
    id: "Silence",
    description: "Anomalies that match are stored and shown as silenced, but nobody is notified of them",
    examples: [examples.silence],
  });

export interface SilenceOptions extends PolicyOptions {
  /** Returns the silences of the configuration that are for a tenant. */
  configuredSilences(tenant: string): Silence[];
}

const pageWithConfigured = pageSchema(silenceSchema, "Silences", examples.silence)
  .extend({
    configured: z
      .array(silenceSchema)
      .describe("The silences of the configuration that are for the tenant and in this state, on every page"),
  })
  .meta({
    description: "Silences, newest first",
    examples: [{ items: [examples.silence], configured: [], next: examples.cursor }],
  });

export function silenceRoutes(app: App, { store, onRules, configuredSilences }: SilenceOptions): void {
  const tags = ["policies"];
  const security = [{ bearer: [] }];
  const { silences } = store;
  const toJson = (silence: Silence): z.output<typeof silenceSchema> => ({
    id: silence.id,
    match: silence.match,
    starts_at: formatMs(silence.startsAt),
    ends_at: formatMs(silence.endsAt),
    reason: silence.reason,
    author: silence.author,
    created_at: formatMs(silence.createdAt),
    state: silenceState(silence, silences.now()),
  });
  app.get(
    "/v1/silences",
    {
      config: { scope: "read" },
      schema: {
        tags,
        security,
        operationId: "listSilences",
        summary: "List silences, newest first",
        description: "Those that have ended are kept for about 90 days.",
        querystring: z.strictObject({ state: z.enum(silenceStates).optional(), ...paging }),
        response: {
          200: pageWithConfigured,
          ...problems(...guarded, 503),
        },
      },
    },
    async ({ query, principal }) => {
      const page = await silences.list(principal.tenant, query.state, query);
      const configured = configuredSilences(principal.tenant)
        .map(toJson)
        .filter(({ state }) => query.state === undefined || state === query.state);
      return { ...page, items: page.items.map(toJson), configured };
    },
  );
  app.post(
    "/v1/silences",
    {
      config: { scope: "admin" },
      schema: {
        tags,
        security,
        operationId: "createSilence",
        summary: "Silence anomalies for a time",
        description:
          "Records are still judged, and anomalies stored. Until it ends, reports that match carry its id as `silenced_by`, and " +
          "are neither logged nor sent downstream as events. An entry is appended to the audit log.",
        querystring: noParameters,
        body: bodySchema,
        response: {
          201: silenceSchema.describe("The silence"),
          ...problems(...guarded, 413, 415, 503),
        },
      },
    },
    async ({ principal, body }, reply) => {
      const { match, starts_at, ends_at, reason } = body;
      const silence = await silences.create(principal.tenant, {
        match,
        startsAt: starts_at === undefined ? silences.now() : Date.parse(starts_at),
        endsAt: Date.parse(ends_at),
        reason,
        author: principal.subject,
      });
      await onRules(principal.tenant);
      return reply.code(201).send(toJson(silence));
    },
  );
  app.delete(
    "/v1/silences/:id",
    {
      config: { scope: "admin" },
      schema: {
        tags,
        security,
        operationId: "endSilence",
        summary: "End a silence now",
        description: "It stays in the list as ended. An entry is appended to the audit log.",
        params: z.object({ id }),
        querystring: noParameters,
        response: { 200: silenceSchema.describe("The silence"), ...problems(...guarded, 404, 503) },
      },
    },
    async ({ params, principal }) => {
      const silence = await silences.end(principal.tenant, params.id, principal.subject);
      if (silence === undefined && configuredSilences(principal.tenant).some(({ id }) => id === params.id)) {
        throw new ApiError(404, "this silence is part of the configuration (silences); change it there");
      }
      if (silence === undefined) throw new ApiError(404, "there is no silence with this id");
      await onRules(principal.tenant);
      return toJson(silence);
    },
  );
}
