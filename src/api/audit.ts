import { z } from "zod";
import type { Store } from "../store/index.ts";
import type { App } from "./app.ts";
import { examples } from "./examples.ts";
import { guarded, problems } from "./openapi.ts";
import { pageSchema, paging } from "./representation.ts";

const entrySchema = z
  .object({
    seq: z.number().int().positive().describe("From 1, without gaps"),
    time: z.string().describe("RFC 3339 in UTC"),
    actor: z.string().describe("A key's prefix, a token's subject, a user of the command line"),
    action: z.string().describe("Such as `anomaly.resolved` or `key.created`"),
    target: z.string().describe("An ID"),
    detail: z.record(z.string(), z.unknown()),
    previous_hash: z.string(),
    hash: z.string().describe("SHA-256 of the hash before it and the entry's canonical JSON, hexadecimal"),
  })
  .meta({
    id: "AuditEntry",
    description: "A change, chained to the one before it",
    examples: [examples.auditEntry],
  });

export function auditRoutes(app: App, { store }: { store: Store }): void {
  app.get(
    "/v1/audit",
    {
      config: { scope: "admin" },
      schema: {
        tags: ["tenant"],
        security: [{ bearer: [] }],
        operationId: "listAuditEntries",
        summary: "List the audit log, newest first",
        querystring: z.strictObject(paging),
        response: {
          200: pageSchema(entrySchema, "Entries, newest first", examples.auditEntry),
          ...problems(...guarded, 503),
        },
      },
    },
    async ({ query, principal }) => {
      const page = await store.audit.list(principal.tenant, query);
      return {
        ...page,
        items: page.items.map(({ seq, time, actor, action, target, detail, previousHash, hash }) => ({
          seq,
          time,
          actor,
          action,
          target,
          detail,
          previous_hash: previousHash,
          hash,
        })),
      };
    },
  );
}
