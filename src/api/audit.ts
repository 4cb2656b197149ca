import { z } from "zod";
import { examples } from "../json/examples.ts";
import type { Store } from "../store/index.ts";
import type { App } from "./app.ts";
import { guarded, problems } from "./openapi.ts";
import { pageSchema, paging } from "./representation.ts";

const entrySchema = z
  .object({
    seq: z.number().int().positive().describe("Number of the entry in its log: from 1, without gaps"),
    time: z.string().describe("RFC 3339 in UTC"),
    actor: z.string().describe("The author: a key's prefix, a token's subject or a user of the command line"),
    action: z.string().describe("The kind of change, such as `anomaly.resolved` or `key.created`"),
    target: z.string().describe("The ID of what was changed"),
    detail: z.record(z.string(), z.unknown()),
    previous_hash: z.string(),
    hash: z
      .string()
      .describe("SHA-256 of the previous entry's hash and this entry's canonical JSON, in hexadecimal"),
  })
  .meta({
    id: "AuditEntry",
    description: "An entry of the audit log, chained to the previous one",
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
