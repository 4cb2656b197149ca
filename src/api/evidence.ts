import { z } from "zod";
import type { Store } from "../store/index.ts";
import type { App } from "./app.ts";
import { examples } from "./examples.ts";
import { guarded, problems } from "./openapi.ts";
import { pageSchema, paging } from "./representation.ts";
import { formatMs } from "./time.ts";

const bundleSchema = z.object({
  id: z.string(),
  anomaly: z.string().nullable().describe("The ID of the anomaly that the bundle is about"),
  author: z.string(),
  created_at: z.string().describe("RFC 3339 in UTC"),
  size: z.number().int().nonnegative().describe("Size in bytes"),
  sha256: z.string().describe("SHA-256 of the bundle's bytes, in hexadecimal"),
});

export function evidenceRoutes(app: App, { store }: { store: Store }): void {
  app.get(
    "/v1/evidence",
    {
      config: { scope: "read" },
      schema: {
        tags: ["tenant"],
        security: [{ bearer: [] }],
        operationId: "listEvidence",
        summary: "List evidence bundles, newest first",
        querystring: z.strictObject(paging),
        response: {
          200: pageSchema(bundleSchema, "Bundles, newest first", examples.bundle),
          ...problems(...guarded, 503),
        },
      },
    },
    async ({ query, principal }) => {
      const page = await store.evidence.list(principal.tenant, query);
      return {
        ...page,
        items: page.items.map((bundle) => ({
          id: bundle.id,
          anomaly: bundle.anomalyId ?? null,
          author: bundle.author,
          created_at: formatMs(bundle.createdAt),
          size: bundle.size,
          sha256: bundle.sha256,
        })),
      };
    },
  );
}
