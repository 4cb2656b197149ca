import { z } from "zod";
import { renderPdf } from "../evidence/pdf/index.ts";
import type { EvidenceQueue } from "../evidence/queue.ts";
import { EvidenceRefused } from "../evidence/refused.ts";
import { examples } from "../json/examples.ts";
import { formatMs } from "../json/time.ts";
import type { Store, StoredBundle } from "../store/index.ts";
import type { App } from "./app.ts";
import { keepOpen } from "./keep-open.ts";
import { guarded, problems } from "./openapi.ts";
import { pdfFile } from "./pdf.ts";
import { ApiError } from "./problem.ts";
import { id, noParameters } from "./query.ts";
import { pageSchema, paging } from "./representation.ts";

export interface EvidenceOptions {
  store: Store;
  evidence: Pick<EvidenceQueue, "create">;
}

const bundleSchema = z
  .object({
    id: z.string(),
    anomaly: z.string().nullable().describe("The ID of the anomaly that the bundle is about"),
    incident: z.string().nullable().describe("The ID of the incident that the bundle is about"),
    author: z.string(),
    created_at: z.string().describe("RFC 3339 in UTC"),
    size: z.number().int().nonnegative().describe("Size in bytes"),
    sha256: z.string().describe("SHA-256 of the bundle's bytes, in hexadecimal"),
  })
  .meta({ id: "EvidenceBundle", description: "A bundle of evidence", examples: [examples.bundle] });

export type BundleJson = z.output<typeof bundleSchema>;

const subjectSchema = z
  .strictObject({
    anomaly: id.optional().describe("The ID of the anomaly"),
    incident: id.optional().describe("The ID of the incident, whose anomalies are contained"),
    note: z.string().max(4_096).optional().describe("Why it is made; it is kept in the audit log"),
  })
  .refine(
    ({ anomaly, incident }) => (anomaly === undefined) !== (incident === undefined),
    "must name either an anomaly or an incident",
  )
  .meta({ examples: [{ incident: examples.incident.id }] });

const unknownBundle = () => new ApiError(404, "there is no bundle with this id");
const bundleType = "application/json";
const pdfType = "application/pdf";

const toJson = (bundle: StoredBundle): BundleJson => ({
  id: bundle.id,
  anomaly: bundle.anomalyId ?? null,
  incident: bundle.incidentId ?? null,
  author: bundle.author,
  created_at: formatMs(bundle.createdAt),
  size: bundle.size,
  sha256: bundle.sha256,
});

/** Whether a PDF is accepted rather than JSON. */
function wantsPdf(accept: string | undefined): boolean {
  const types = (accept ?? "").split(",").map((part) => part.split(";", 1)[0]!.trim().toLowerCase());
  return types.includes(pdfType) && !types.includes(bundleType);
}

export function evidenceRoutes(app: App, { store, evidence }: EvidenceOptions): void {
  const tags = ["tenant"];
  const security = [{ bearer: [] }];
  app.get(
    "/v1/evidence",
    {
      config: { scope: "read" },
      schema: {
        tags,
        security,
        operationId: "listEvidence",
        summary: "List evidence bundles, newest first",
        querystring: z.strictObject({
          ...paging,
          about: id.optional().describe("The ID of an anomaly or an incident"),
          author: z.string().max(256).optional().describe("Who made the bundle"),
        }),
        response: {
          200: pageSchema(bundleSchema, "Bundles, newest first", examples.bundle),
          ...problems(...guarded, 503),
        },
      },
    },
    async ({ query, principal }) => {
      const { about, author, ...paged } = query;
      const filter = { ...(about !== undefined && { about }), ...(author !== undefined && { author }) };
      const page = await store.evidence.list(principal.tenant, paged, filter);
      return { ...page, items: page.items.map(toJson) };
    },
  );
  app.post(
    "/v1/evidence",
    {
      // While it waits for other bundles, it takes no turn at the store from other requests.
      config: { scope: "admin", boundedAnswer: true },
      schema: {
        tags,
        security,
        operationId: "createEvidence",
        summary: "Make a signed bundle of evidence about an anomaly or an incident",
        description:
          "The bundle holds all that is stored about its subject. The caller is recorded as the author, and an entry is " +
          "appended to the audit log. Bundles are made one after another, for authors in turn; many at one per two seconds at most.",
        querystring: noParameters,
        body: subjectSchema,
        response: {
          201: bundleSchema.describe("The new bundle; `Location` names its file"),
          ...problems(...guarded, 404, 413, 415, 422, 503),
        },
      },
    },
    async (request, reply) => {
      const { principal, body } = request;
      // Other bundles may be made before this one.
      const gone = keepOpen(request, reply);
      const subject = body.anomaly === undefined ? { incident: body.incident! } : { anomaly: body.anomaly };
      let made: StoredBundle | undefined;
      try {
        made = await evidence.create(principal.tenant, subject, principal.subject, {
          note: body.note,
          gone,
        });
      } catch (error) {
        if (!(error instanceof EvidenceRefused)) throw error;
        if (error.temporary) throw new ApiError(503, error.message, { "retry-after": "1" });
        throw new ApiError(422, error.message);
      }
      if (made === undefined) {
        const kind = "anomaly" in subject ? "anomaly" : "incident";
        throw new ApiError(404, `there is no ${kind} with this id`);
      }
      return reply.code(201).header("location", `/v1/evidence/${made.id}`).send(toJson(made));
    },
  );
  app.delete(
    "/v1/evidence/:id",
    {
      config: { scope: "admin" },
      schema: {
        tags,
        security,
        operationId: "deleteEvidence",
        summary: "Delete an evidence bundle",
        description:
          "Its anomaly is no longer kept because of it. An entry with the digest of the bundle is appended to the audit log.",
        params: z.object({ id }),
        querystring: noParameters,
        response: { 200: bundleSchema.describe("The deleted bundle"), ...problems(...guarded, 404, 503) },
      },
    },
    async ({ params, principal }) => {
      const deleted = await store.evidence.delete(principal.tenant, params.id, principal.subject);
      if (deleted === undefined) throw unknownBundle();
      return toJson(deleted);
    },
  );
  app.get(
    "/v1/evidence/:id",
    {
      // It holds entries of the audit log, and what a stream has learned with the key of its hashes.
      config: { scope: "admin" },
      schema: {
        tags,
        security,
        operationId: "getEvidence",
        summary: "The file of an evidence bundle",
        description:
          "The bytes are those that were signed. `driftlock verify` checks them. With `Accept: application/pdf` or " +
          "`format=pdf`, the bundle is rendered as PDF, with the file embedded.",
        params: z.object({ id }),
        querystring: z.strictObject({
          format: z.enum(["json", "pdf"]).optional().describe("Overrides the Accept header"),
        }),
        response: {
          200: {
            description: "The bundle",
            content: {
              [bundleType]: { schema: z.unknown().meta({ examples: [{ format: "driftlock-evidence/1" }] }) },
              [pdfType]: { schema: z.string().meta({ examples: ["%PDF-1.7"] }) },
            },
          },
          ...problems(...guarded, 404, 503),
        },
      },
    },
    async ({ params, principal, query, headers }, reply) => {
      const bytes = await store.evidence.bytes(principal.tenant, params.id);
      if (bytes === undefined) throw unknownBundle();
      const name = `evidence-${params.id}`;
      reply.header("vary", "accept");
      if (query.format === "pdf" || (query.format === undefined && wantsPdf(headers.accept))) {
        const render = () => renderPdf(Buffer.from(bytes).toString());
        return reply.send((await pdfFile(reply, name, render)) as never);
      }
      // Bytes are sent as they are; text would be escaped for display.
      return reply
        .type(bundleType)
        .header("content-disposition", `attachment; filename="${name}.json"`)
        .send(Buffer.from(bytes) as never);
    },
  );
}
