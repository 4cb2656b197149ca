import { z } from "zod";
import {
  channelNames,
  dispositions,
  severityNames,
  signalNames,
  stateNames,
  toChannel,
  toSeverity,
  toSignal,
} from "../anomaly/names.ts";
import type { AnomalyDetail, AnomalyFilter, AnomalyPatch, Store } from "../store/index.ts";
import {
  anomalyColumns,
  anomalyDetailJson,
  anomalyDetailSchema,
  anomalyJson,
  anomalySchema,
} from "./anomaly.ts";
import type { App } from "./app.ts";
import { examples } from "./examples.ts";
import { guarded, problems } from "./openapi.ts";
import { ApiError } from "./problem.ts";
import { id, noParameters, oneOrMore, time } from "./query.ts";
import { formatOf, formats, pageContent, paging, sendPage } from "./representation.ts";
import { parseNanos } from "./time.ts";

export interface AnomalyOptions {
  store: Store;
  /** Called after the triage of an anomaly was stored. */
  onJudgement(anomaly: AnomalyDetail, patch: AnomalyPatch): void;
}

const filters = z.strictObject({
  from: time.optional().describe("Started at this time or after"),
  until: time.optional().describe("Started before this time"),
  stream: z.string().min(1).max(1_024).optional().describe("The stream's key"),
  stream_id: id.optional(),
  service: z.string().max(256).optional(),
  signal: oneOrMore(z.enum(signalNames)),
  channel: oneOrMore(z.enum(channelNames)),
  severity: oneOrMore(z.enum(severityNames)),
  state: oneOrMore(z.enum(stateNames)),
  text: z
    .string()
    .min(1)
    .max(256)
    .optional()
    .describe("In an explanation or a record, whatever the case of its letters"),
  ...paging,
  format: z.enum(formats).optional().describe("Goes before the Accept header"),
});

function toFilter(query: z.output<typeof filters>): AnomalyFilter {
  const { from, until, stream, stream_id: streamId, service, signal, channel, severity, state, text } = query;
  return {
    ...(from && { from: parseNanos(from) }),
    ...(until && { until: parseNanos(until) }),
    ...(stream && { stream }),
    ...(streamId && { streamId }),
    ...(service !== undefined && { service }),
    ...(signal && { signal: signal.map(toSignal) }),
    ...(channel && { channel: channel.map(toChannel) }),
    ...(severity && { severity: severity.map(toSeverity) }),
    ...(state && { state }),
    ...(text && { text }),
  };
}

const triage = z
  .strictObject({
    state: z
      .enum(dispositions)
      .describe(
        "`accepted`: this is the new normal. `false`: it was not an anomaly, and the stream's limit adapts to it",
      ),
    note: z.string().max(4_096).optional(),
  })
  .meta({ examples: [examples.triage] });

const unknown = () => new ApiError(404, "there is no anomaly with this id");

export function anomalyRoutes(app: App, { store, onJudgement }: AnomalyOptions): void {
  const tags = ["anomalies"];
  const security = [{ bearer: [] }];
  app.get(
    "/v1/anomalies",
    {
      config: { scope: "read" },
      schema: {
        tags,
        security,
        operationId: "listAnomalies",
        summary: "List anomalies, the latest started first",
        description:
          "Filters narrow together; a filter that is given several times takes any of its values. Pages are stable: what " +
          "comes in meanwhile moves nothing.",
        querystring: filters,
        response: {
          200: pageContent(
            anomalySchema,
            "Anomalies, the latest started first",
            examples.anomaly,
            Object.keys(anomalyColumns),
          ),
          ...problems(...guarded, 406, 503),
        },
      },
    },
    async (request, reply) => {
      const { query, principal } = request;
      const format = formatOf(request, query.format);
      const page = await store.anomalies.list(principal.tenant, toFilter(query), query);
      return sendPage(
        request,
        reply,
        format,
        { ...page, items: page.items.map(anomalyJson) },
        anomalyColumns,
      );
    },
  );
  app.get(
    "/v1/anomalies/:id",
    {
      config: { scope: "read" },
      schema: {
        tags,
        security,
        operationId: "getAnomaly",
        summary: "An anomaly with all that is kept of it",
        params: z.object({ id }),
        querystring: noParameters,
        response: {
          200: anomalyDetailSchema.describe("The anomaly"),
          ...problems(...guarded, 404, 503),
        },
      },
    },
    async ({ params, principal }) => {
      const found = await store.anomalies.get(principal.tenant, params.id);
      if (found === undefined) throw unknown();
      return anomalyDetailJson(found);
    },
  );
  app.patch(
    "/v1/anomalies/:id",
    {
      config: { scope: "admin" },
      schema: {
        tags,
        security,
        operationId: "triageAnomaly",
        summary: "Acknowledge, resolve, accept as the new normal, or mark as false",
        description: "The caller is the author; the audit log has an entry of it.",
        params: z.object({ id }),
        querystring: noParameters,
        body: triage,
        response: {
          200: anomalyDetailSchema.describe("The anomaly as it is now"),
          ...problems(...guarded, 404, 413, 415, 503),
        },
      },
    },
    async ({ params, principal, body }) => {
      const patch = { state: body.state, note: body.note ?? "", author: principal.subject };
      const found = await store.anomalies.patch(principal.tenant, params.id, patch);
      if (found === undefined) throw unknown();
      onJudgement(found, patch);
      return anomalyDetailJson(found);
    },
  );
}
