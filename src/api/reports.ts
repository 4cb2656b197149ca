/** Reports of an incident to authorities: what is filled in, when each is due, and what people enter. */
import { z } from "zod";
import type { Json } from "../base/canonical.ts";
import { renderReportPdf } from "../evidence/pdf/index.ts";
import {
  applyPatch,
  type Entered,
  enteredSchema,
  fieldKinds,
  fieldTypes,
  moments,
  nothingEntered,
  patchSchema,
  type Reporting,
  timesSchema,
} from "../evidence/reports/index.ts";
import { examples } from "../json/examples.ts";
import { incidentDetailJson } from "../json/incident.ts";
import { formatMs } from "../json/time.ts";
import type { EnteredReports, IncidentDetail, Store } from "../store/index.ts";
import type { App } from "./app.ts";
import { guarded, problems } from "./openapi.ts";
import { pdfFile } from "./pdf.ts";
import { ApiError } from "./problem.ts";
import { id, noParameters } from "./query.ts";

export interface ReportOptions {
  store: Store;
  /** Loads the templates, once. */
  reporting: () => Promise<Reporting>;
}

const templateId = z
  .string()
  .max(64)
  .regex(/^[a-z0-9-]+$/)
  .meta({ description: "The id of a template", examples: ["dora-initial"] });

const dueSchema = z.object({
  state: z
    .enum(["submitted", "due", "overdue", "waiting", "none"])
    .describe("`waiting`: nobody has entered what it counts from. `none`: the duty names no time"),
  at: z.string().optional().describe("RFC 3339 in UTC"),
  reasons: z.array(z.string()).describe("How it is counted, in sentences"),
  missing: z.array(z.string()).describe("The moments, and the reports whose submission it counts from"),
});

const valueSchema = z.union([z.string(), z.array(z.string())]);

const templateShape = {
  template: z.string(),
  version: z.number().int(),
  duty: z.string(),
  title: z.string(),
  source: z.object({ name: z.string(), url: z.string().optional(), date: z.string() }),
  disclaimer: z.string(),
  applies: z.array(z.object({ from: z.string(), to: z.string() })),
  due: dueSchema,
};

const reportsSchema = z
  .object({
    incident: z.string(),
    moments: z.partialRecord(z.enum(moments), z.string()),
    submissions: z.record(z.string(), z.array(z.string())),
    fields: enteredSchema.shape.fields.unwrap(),
    author: z.string().nullable().describe("Who changed what is entered last; null if nobody has"),
    changed_at: z.string().nullable(),
    reports: z.array(z.object(templateShape)).describe("All reports, by the ids of their templates"),
  })
  .meta({
    id: "IncidentReports",
    description: "The reports of an incident, and what people entered about them",
    examples: [examples.incidentReports],
  });

const reportSchema = z
  .object({
    ...templateShape,
    incident: z.string(),
    sections: z.array(
      z.object({
        title: z.string(),
        fields: z.array(
          z.object({
            number: z.string(),
            name: z.string(),
            asks: z.string(),
            kind: z
              .enum(fieldKinds)
              .describe("Who fills it in; a person confirms what is `drafted` and fills in what is `open`"),
            type: z.enum(fieldTypes).describe("What a person may enter"),
            moment: z
              .enum(moments)
              .optional()
              .describe("The moment that it states, which is entered as such"),
            choices: z.array(z.string()).optional().describe("The words among which people choose"),
            value: valueSchema.nullable().describe("Null if it is blank"),
            blank: z.string().nullable().describe("Why it is blank"),
            entered: z
              .object({
                author: z.string(),
                at: z.string(),
                instead_of: valueSchema.nullable().describe("What is filled in if no person enters anything"),
              })
              .nullable()
              .describe("Who entered the value, and when; null if no person did"),
          }),
        ),
      }),
    ),
  })
  .meta({
    id: "IncidentReport",
    description: "A report to an authority, as far as it can be filled in. It is no legal advice",
    examples: [examples.incidentReport],
  });

export type IncidentReportsJson = z.output<typeof reportsSchema>;
export type IncidentReportJson = z.output<typeof reportSchema>;

const timesBody = timesSchema.meta({ examples: [examples.enteredReports] });
const patchBody = patchSchema.meta({ examples: [examples.enteredPatch] });
const formats = ["json", "structure", "pdf"] as const;
const unknownIncident = () => new ApiError(404, "there is no incident with this id");

const enteredFrom = (stored: Json | undefined): Entered =>
  stored === undefined ? nothingEntered : enteredSchema.parse(stored);

/** Says what is wrong with a body, each fault by its place. */
function refusal(faults: readonly { place: string; detail: string }[]): ApiError {
  const [first] = faults;
  const fields = faults.map(({ place, detail }) => ({ in: "body" as const, field: place, detail }));
  return new ApiError(400, `body ${first!.place}: ${first!.detail}`, {}, fields);
}

export function reportRoutes(app: App, { store, reporting }: ReportOptions): void {
  const tags = ["incidents"];
  const security = [{ bearer: [] }];
  const now = () => formatMs(store.incidents.now());
  const enteredOf = (stored: EnteredReports | undefined) => enteredFrom(stored?.entered);
  const toJson = async (
    incident: string,
    stored: EnteredReports | undefined,
  ): Promise<z.output<typeof reportsSchema>> => {
    const entered = enteredOf(stored);
    return {
      incident,
      ...entered,
      author: stored?.author ?? null,
      changed_at: stored === undefined ? null : formatMs(stored.changedAt),
      reports: (await reporting()).list({ entered, now: now() }),
    };
  };
  const known = async (tenant: string, incident: string): Promise<IncidentDetail> => {
    const found = await store.incidents.get(tenant, incident);
    if (found === undefined) throw unknownIncident();
    return found;
  };
  app.get(
    "/v1/incidents/:id/reports",
    {
      config: { scope: "read" },
      schema: {
        tags,
        security,
        operationId: "listIncidentReports",
        summary: "The reports of an incident to authorities, and when they are due",
        params: z.object({ id }),
        querystring: noParameters,
        response: { 200: reportsSchema.describe("The reports"), ...problems(...guarded, 404, 503) },
      },
    },
    async ({ params, principal: { tenant } }) => {
      await known(tenant, params.id);
      return toJson(params.id, await store.incidentReports.get(tenant, params.id));
    },
  );
  app.put(
    "/v1/incidents/:id/reports",
    {
      config: { scope: "admin" },
      schema: {
        tags,
        security,
        operationId: "enterIncidentReports",
        summary: "Enter when the incident was noticed and classified, and when reports were submitted",
        description:
          "It replaces all times that were entered before, and leaves fields as they are. Due times count from it. The caller is recorded as the author, and an entry " +
          "is appended to the audit log.",
        params: z.object({ id }),
        querystring: noParameters,
        body: timesBody,
        response: {
          200: reportsSchema.describe("The reports as they are now"),
          ...problems(...guarded, 404, 413, 415, 503),
        },
      },
    },
    async ({ params, principal: { tenant, subject }, body }) => {
      const templates = await reporting();
      const unknown = Object.keys(body.submissions).filter((template) => !templates.has(template));
      if (unknown.length > 0) {
        const detail = "there is no such template";
        throw refusal(unknown.map((template) => ({ place: `/submissions/${template}`, detail })));
      }
      const stored = await store.incidentReports.change(tenant, params.id, subject, (before) => ({
        entered: { ...enteredFrom(before), ...body } as unknown as Json,
        detail: { entered: body as unknown as Json },
      }));
      if (stored === undefined) throw unknownIncident();
      return toJson(params.id, stored);
    },
  );
  app.patch(
    "/v1/incidents/:id/reports",
    {
      config: { scope: "admin" },
      schema: {
        tags,
        security,
        operationId: "changeIncidentReports",
        summary: "Enter fields of reports, moments and submissions",
        description:
          "What is not named stays as it is. Each field is checked by its type. A value that is filled in automatically or by the " +
          "configuration is only replaced with `replace`, and the report then shows both. What is entered for a template " +
          "holds for those that extend it as well. The caller is recorded as the author, and an entry is appended to the audit log.",
        params: z.object({ id }),
        querystring: noParameters,
        body: patchBody,
        response: {
          200: reportsSchema.describe("The reports as they are now"),
          ...problems(...guarded, 404, 413, 415, 503),
        },
      },
    },
    async ({ params, principal: { tenant, subject }, body }) => {
      const templates = await reporting();
      const incident = incidentDetailJson(await known(tenant, params.id), []);
      const stored = await store.incidentReports.change(tenant, params.id, subject, (before, at) => {
        const entered = enteredFrom(before);
        const checked = templates.check(body, { incident, entered, now: formatMs(at) });
        if ("faults" in checked) throw refusal(checked.faults);
        const { replace: _, ...changed } = checked.patch;
        return {
          entered: applyPatch(entered, checked.patch, subject, formatMs(at)) as unknown as Json,
          detail: Object.fromEntries(
            Object.entries(changed).filter(([, each]) => Object.keys(each).length > 0),
          ) as Record<string, Json>,
        };
      });
      if (stored === undefined) throw unknownIncident();
      return toJson(params.id, stored);
    },
  );
  app.get(
    "/v1/incidents/:id/reports/:template",
    {
      config: { scope: "read" },
      schema: {
        tags,
        security,
        operationId: "getIncidentReport",
        summary: "A report to an authority, as far as it can be filled in",
        description:
          "Fields that only people know are blank, and drafts are marked. `format=structure` returns the structure that the " +
          "authority reads, without what is blank, if the template has one; `format=pdf` a document to complete by hand.",
        params: z.object({ id, template: templateId }),
        querystring: z.strictObject({ format: z.enum(formats).default("json") }),
        response: {
          200: {
            description: "The report",
            content: {
              "application/json": {
                schema: z
                  .union([reportSchema, z.record(z.string(), z.unknown())])
                  .meta({ examples: [examples.incidentReport] }),
              },
              "application/pdf": { schema: z.string().meta({ examples: ["%PDF-1.7"] }) },
            },
          },
          ...problems(...guarded, 404, 422, 503),
        },
      },
    },
    async ({ params, query, principal }, reply) => {
      const { tenant, subject } = principal;
      const incident = incidentDetailJson(await known(tenant, params.id), []);
      const entered = enteredOf(await store.incidentReports.get(tenant, params.id));
      const templates = await reporting();
      const report = templates.fill(params.template, { incident, entered, now: now() });
      if (report === undefined) throw new ApiError(404, "there is no template with this id");
      if (query.format === "json") return reply.type("application/json").send(report as never);
      if (query.format === "structure") {
        const structure = templates.structure(report);
        if (structure === undefined) {
          throw new ApiError(422, `the template ${params.template} has no structure; use format=json or pdf`);
        }
        return reply.type("application/json").send(structure);
      }
      const name = `${params.template}-${params.id}`;
      return reply.send((await pdfFile(reply, name, () => renderReportPdf(report, subject, now()))) as never);
    },
  );
}
