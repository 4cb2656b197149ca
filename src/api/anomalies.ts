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
import { excerptTexts } from "../evidence/excerpts.ts";
import { anomalyDetailJson, anomalyJson, compactAnomalyJson } from "../json/anomaly.ts";
import {
  type AnomalyDetailJson,
  anomalyDetailSchema,
  anomalySchema,
  compactAnomalySchema,
} from "../json/anomaly-schema.ts";
import { examples } from "../json/examples.ts";
import { parseNanos } from "../json/time.ts";
import {
  type AnomalyDetail,
  type AnomalyFilter,
  type AnomalyPatch,
  lanes,
  type Store,
} from "../store/index.ts";
import type { App } from "./app.ts";
import { anomalyColumns } from "./columns.ts";
import { countsJson, countsSchema } from "./counts.ts";
import { guarded, problems } from "./openapi.ts";
import { ApiError } from "./problem.ts";
import { id, noParameters, oneOrMore, time } from "./query.ts";
import { formatOf, formats, pageContent, paging, sendPage } from "./representation.ts";

export interface AnomalyOptions {
  store: Store;
  /** Called after the triage of an anomaly was stored. */
  onJudgement(anomaly: AnomalyDetail, patch: AnomalyPatch): void;
}

const filters = {
  from: time.optional().describe("Returns anomalies that started at this time or later"),
  until: time.optional().describe("Returns anomalies that started before this time"),
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
    .describe("Text to find in an explanation or a record, ignoring case"),
};

const list = z.strictObject({
  ...filters,
  ...paging,
  format: z.enum(formats).optional().describe("Format of the response; overrides the Accept header"),
  view: z
    .enum(["full", "compact"])
    .default("full")
    .describe("`compact` leaves out what a line of a list does not show. CSV is the same in both"),
});

const summary = z.strictObject({
  ...filters,
  by: z.enum(lanes).default("service").describe("What the anomalies are divided by"),
  buckets: z.coerce
    .number()
    .int()
    .min(1)
    .max(500)
    .default(60)
    .meta({ description: "Number of parts that the range is divided into", examples: [60] }),
  top: z.coerce
    .number()
    .int()
    .min(1)
    .max(100)
    .default(20)
    .meta({
      description: "Number of lanes, those with the most anomalies; others are counted together",
      examples: [20],
    }),
});

const relatedSchema = z
  .object({
    same_trace: z
      .array(compactAnomalySchema)
      .describe("Anomalies with a report of the same trace, by their start; at most 20"),
    same_time: z
      .array(compactAnomalySchema)
      .describe("Anomalies that began within five minutes of it, the closest first; at most 20"),
  })
  .meta({
    id: "RelatedAnomalies",
    description: "Anomalies that may have to do with another one",
    examples: [examples.related],
  });

function toFilter(query: z.output<z.ZodObject<typeof filters>>): AnomalyFilter {
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
        "`accepted`: this is the new normal. `false`: this was not an anomaly, and the stream's limit adapts to it",
      ),
    note: z.string().max(4_096).optional(),
  })
  .meta({ examples: [examples.triage] });

/** The largest excerpt that is read, in bytes, and how many of its bytes are shown. */
const maxExcerptBytes = 4 * 2 ** 20;
const maxShownBytes = 64 * 2 ** 10;

/** Excerpts that cannot be read are left out: they only explain. */
async function detailOf(found: AnomalyDetail): Promise<AnomalyDetailJson> {
  const texts = await excerptTexts(found, maxExcerptBytes).catch(() => null);
  return anomalyDetailJson(
    found,
    texts && { baseline: latestLines(texts.baseline), window: latestLines(texts.window) },
  );
}

/** The latest lines of a text that together have at most so many bytes. */
function latestLines(text: string): { lines: string[]; left_out: number } {
  const all = text.split("\n").filter((line) => line !== "");
  let bytes = 0;
  let from = all.length;
  for (; from > 0; from--) {
    bytes += Buffer.byteLength(all[from - 1]!) + 1;
    if (bytes > maxShownBytes) break;
  }
  return { lines: all.slice(from), left_out: from };
}

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
        summary: "List anomalies by their start, latest first",
        description:
          "An anomaly must match all filters; a filter that is given several times matches any of its values. Pages are " +
          "stable: anomalies that are added meanwhile do not shift them.",
        querystring: list,
        response: {
          200: pageContent(
            z.union([anomalySchema, compactAnomalySchema]),
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
      if (query.view === "compact" && format !== "csv") {
        return sendPage(request, reply, format, { ...page, items: page.items.map(compactAnomalyJson) }, {});
      }
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
    "/v1/anomalies/summary",
    {
      config: { scope: "read" },
      schema: {
        tags,
        security,
        operationId: "summarizeAnomalies",
        summary: "Count anomalies by lane, time and severity",
        description:
          "The filters are those of the list. If `from` or `until` is missing, the range begins with the tenant's first anomaly, " +
          "or ends with its last one. Counting begins with the latest and ends after about a second: `counted_from` then says " +
          "which anomalies were not counted.",
        querystring: summary,
        response: { 200: countsSchema.describe("The counts"), ...problems(...guarded, 503) },
      },
    },
    async ({ query, principal }) =>
      countsJson(query.by, await store.anomalies.counts(principal.tenant, toFilter(query), query)),
  );
  app.get(
    "/v1/anomalies/:id/related",
    {
      config: { scope: "read" },
      schema: {
        tags,
        security,
        operationId: "listRelatedAnomalies",
        summary: "Anomalies of the same traces, and of about the same time",
        params: z.object({ id }),
        querystring: noParameters,
        response: {
          200: relatedSchema.describe("The other anomalies"),
          ...problems(...guarded, 404, 503),
        },
      },
    },
    async ({ params, principal }) => {
      const found = await store.anomalies.related(principal.tenant, params.id);
      if (found === undefined) throw unknown();
      return {
        same_trace: found.sameTrace.map(compactAnomalyJson),
        same_time: found.sameTime.map(compactAnomalyJson),
      };
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
        summary: "An anomaly with everything that is stored about it",
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
      return detailOf(found);
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
        summary: "Acknowledge or resolve an anomaly, accept it as the new normal, or mark it as false",
        description: "The caller is recorded as the author, and an entry is appended to the audit log.",
        params: z.object({ id }),
        querystring: noParameters,
        body: triage,
        response: {
          200: anomalyDetailSchema.describe("The changed anomaly"),
          ...problems(...guarded, 404, 413, 415, 503),
        },
      },
    },
    async ({ params, principal, body }) => {
      const patch = { state: body.state, note: body.note ?? "", author: principal.subject };
      const found = await store.anomalies.patch(principal.tenant, params.id, patch);
      if (found === undefined) throw unknown();
      onJudgement(found, patch);
      return detailOf(found);
    },
  );
}
