import { z } from "zod";
import { maxPolicies, tenantPolicy } from "../config/schema/policy.ts";
import { examples } from "../json/examples.ts";
import { formatMs } from "../json/time.ts";
import type { Store, StoredPolicies } from "../store/index.ts";
import type { App } from "./app.ts";
import { guarded, problems } from "./openapi.ts";
import { noParameters } from "./query.ts";

export interface PolicyOptions {
  store: Store;
  /** Called after the policies or silences of a tenant were stored. Resolves once they are in effect. */
  onRules(tenant: string): Promise<void>;
}

const list = z
  .array(tenantPolicy)
  .max(maxPolicies)
  .describe(
    "The first policy whose `match` fits a stream decides. They come before those of the configuration",
  );

const bodySchema = z.strictObject({ policies: list }).meta({ examples: [examples.policies] });

const policiesSchema = z
  .object({
    policies: list,
    author: z.string().nullable().describe("Who set them; null if nobody has"),
    changed_at: z.string().nullable().describe("RFC 3339 in UTC; null if nobody has set any"),
  })
  .meta({
    id: "Policies",
    description: "What matters, per stream: docs/guides/policies.md explains the keys",
    examples: [{ ...examples.policies, author: "dlk_0123456789abcdef", changed_at: examples.time }],
  });

function toJson(stored: StoredPolicies | undefined): z.output<typeof policiesSchema> {
  if (stored === undefined) return { policies: [], author: null, changed_at: null };
  return { policies: stored.policies, author: stored.author, changed_at: formatMs(stored.changedAt) };
}

export function policyRoutes(app: App, { store, onRules }: PolicyOptions): void {
  const tags = ["policies"];
  const security = [{ bearer: [] }];
  app.get(
    "/v1/policies",
    {
      config: { scope: "read" },
      schema: {
        tags,
        security,
        operationId: "getPolicies",
        summary: "The tenant's policies",
        description: "Policies of the configuration (`detect.policies`) are not listed.",
        querystring: noParameters,
        response: { 200: policiesSchema.describe("The policies"), ...problems(...guarded, 503) },
      },
    },
    async ({ principal }) => toJson(await store.policies.get(principal.tenant)),
  );
  app.put(
    "/v1/policies",
    {
      config: { scope: "admin" },
      schema: {
        tags,
        security,
        operationId: "replacePolicies",
        summary: "Replace the tenant's policies",
        description:
          "They are in effect when the response arrives; other processes that share the store follow within 10 s. An entry " +
          "is appended to the audit log.",
        querystring: noParameters,
        body: bodySchema,
        response: {
          200: policiesSchema.describe("The policies as they are now"),
          ...problems(...guarded, 413, 415, 503),
        },
      },
    },
    async ({ principal, body }) => {
      const stored = await store.policies.replace(principal.tenant, body.policies, principal.subject);
      await onRules(principal.tenant);
      return toJson(stored);
    },
  );
}
