import { z } from "zod";
import { incidentStates, incidentVerdicts, severityNames, toSeverity } from "../anomaly/names.ts";
import { anomalyJson } from "../json/anomaly.ts";
import { examples } from "../json/examples.ts";
import { incidentDetailJson, incidentJson } from "../json/incident.ts";
import { incidentDetailSchema, incidentSchema } from "../json/incident-schema.ts";
import { parseNanos } from "../json/time.ts";
import type { IncidentDetail, IncidentFilter, IncidentPatch, Store } from "../store/index.ts";
import type { App } from "./app.ts";
import { incidentColumns } from "./columns.ts";
import { guarded, problems } from "./openapi.ts";
import { ApiError } from "./problem.ts";
import { id, noParameters, oneOrMore, time } from "./query.ts";
import { formatOf, formats, pageContent, paging, sendPage } from "./representation.ts";

export interface IncidentOptions {
  store: Store;
  /** Called after a person's decision about an incident was stored. */
  onIncidentJudgement(incident: IncidentDetail, patch: IncidentPatch): void;
}

/** The number of anomalies that an incident is returned with. */
const shownAnomalies = 50;

const filters = z.strictObject({
  from: time.optional().describe("Returns incidents that started at this time or later"),
  until: time.optional().describe("Returns incidents that started before this time"),
  service: z.string().max(256).optional().describe("A service that the incident includes"),
  severity: oneOrMore(z.enum(severityNames)),
  state: oneOrMore(z.enum(incidentStates)),
  minor: z
    .enum(["true", "false"])
    .optional()
    .describe("Whether the incident notifies nobody; by default both are returned"),
  ...paging,
  format: z.enum(formats).optional().describe("Format of the response; overrides the Accept header"),
});

function toFilter(query: z.output<typeof filters>): IncidentFilter {
  const { from, until, service, severity, state, minor } = query;
  return {
    ...(from && { from: parseNanos(from) }),
    ...(until && { until: parseNanos(until) }),
    ...(service !== undefined && { service }),
    ...(severity && { severity: severity.map(toSeverity) }),
    ...(state && { state }),
    ...(minor && { minor: minor === "true" }),
  };
}

const judgement = z
  .strictObject({
    state: z
      .enum(incidentVerdicts)
      .nullable()
      .describe(
        "`false`: this was no incident, and the limits of all its streams adapt. `expected`: incidents like it are minor until " +
          "`until`. null withdraws the decision, although what streams have learned from it stays",
      ),
    until: time.optional().describe("For `expected`, which requires it: in the future, and within a year"),
    note: z.string().max(4_096).optional(),
  })
  .superRefine(({ state, until }, context) => {
    if ((state === "expected") === (until !== undefined)) return;
    const message = state === "expected" ? "is missing: `expected` requires it" : "is for `expected` alone";
    context.addIssue({ code: "custom", path: ["until"], message, input: until });
  })
  .meta({ examples: [examples.incidentJudgement] });

function toPatch({ state, until, note = "" }: z.output<typeof judgement>, author: string): IncidentPatch {
  if (state === "expected") return { state, until: Date.parse(until!), note, author };
  return { state: state ?? "withdrawn", note, author };
}

const unknown = () => new ApiError(404, "there is no incident with this id");

export function incidentRoutes(app: App, { store, onIncidentJudgement }: IncidentOptions): void {
  const tags = ["incidents"];
  const security = [{ bearer: [] }];
  const toJson = async (tenant: string, detail: IncidentDetail) => {
    const anomalies = await store.anomalies.some(tenant, detail.anomalyIds, shownAnomalies);
    return incidentDetailJson(detail, anomalies.map(anomalyJson));
  };
  app.get(
    "/v1/incidents",
    {
      config: { scope: "read" },
      schema: {
        tags,
        security,
        operationId: "listIncidents",
        summary: "List incidents by their start, latest first",
        description:
          "An incident must match all filters; a filter that is given several times matches any of its values. Pages are " +
          "stable: incidents that are added meanwhile do not shift them.",
        querystring: filters,
        response: {
          200: pageContent(
            incidentSchema,
            "Incidents, the latest started first",
            examples.incident,
            Object.keys(incidentColumns),
          ),
          ...problems(...guarded, 406, 503),
        },
      },
    },
    async (request, reply) => {
      const { query, principal } = request;
      const format = formatOf(request, query.format);
      const page = await store.incidents.list(principal.tenant, toFilter(query), query);
      return sendPage(
        request,
        reply,
        format,
        { ...page, items: page.items.map(incidentJson) },
        incidentColumns,
      );
    },
  );
  app.get(
    "/v1/incidents/:id",
    {
      config: { scope: "read" },
      schema: {
        tags,
        security,
        operationId: "getIncident",
        summary: "An incident with everything that is stored about it",
        description:
          "An incident that is part of another one has the state `merged`, and `merged_into` names the other.",
        params: z.object({ id }),
        querystring: noParameters,
        response: {
          200: incidentDetailSchema.describe("The incident"),
          ...problems(...guarded, 404, 503),
        },
      },
    },
    async ({ params, principal }) => {
      const found = await store.incidents.get(principal.tenant, params.id);
      if (found === undefined) throw unknown();
      return toJson(principal.tenant, found);
    },
  );
  app.patch(
    "/v1/incidents/:id",
    {
      config: { scope: "admin" },
      schema: {
        tags,
        security,
        operationId: "judgeIncident",
        summary: "Acknowledge or resolve an incident, expect more like it, or mark it as false",
        description: "The caller is recorded as the author, and an entry is appended to the audit log.",
        params: z.object({ id }),
        querystring: noParameters,
        body: judgement,
        response: {
          200: incidentDetailSchema.describe("The changed incident"),
          ...problems(...guarded, 404, 409, 413, 415, 503),
        },
      },
    },
    async ({ params, principal, body }) => {
      const { tenant, subject } = principal;
      const before = await store.incidents.get(tenant, params.id);
      if (before === undefined) throw unknown();
      if (before.state === "merged") {
        throw new ApiError(
          409,
          `the incident is part of ${before.message.mergedInto}; decide about that one`,
        );
      }
      const patch = toPatch(body, subject);
      const found = await store.incidents.patch(tenant, params.id, patch);
      if (found === undefined) throw unknown();
      onIncidentJudgement(found, patch);
      return toJson(tenant, found);
    },
  );
}
