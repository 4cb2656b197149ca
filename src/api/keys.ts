import { z } from "zod";
import { examples } from "../json/examples.ts";
import { formatMs } from "../json/time.ts";
import { type ApiKey, type MadeKey, type Store, scopes } from "../store/index.ts";
import type { App } from "./app.ts";
import { guarded, problems } from "./openapi.ts";
import { ApiError } from "./problem.ts";
import { id, noParameters, time } from "./query.ts";
import { pageSchema, paging } from "./representation.ts";

const maxDays = 36_500;
const maxGraceHours = 24 * 365;

export const keySchema = z
  .object({
    id: z.string(),
    prefix: z.string().describe("The beginning of the key, which is its name in the audit log"),
    name: z.string().describe("What the key is for"),
    scopes: z.array(z.enum(scopes)),
    state: z.enum(["valid", "expired", "revoked"]),
    created_by: z.string(),
    created_at: z.string().describe("RFC 3339 in UTC, as all times here"),
    expires_at: z.string().nullable().describe("Null if it does not expire"),
    revoked_at: z.string().nullable(),
    last_used_at: z.string().nullable().describe("Accurate to about a minute"),
  })
  .meta({ id: "Key", description: "An API key, without its secret", examples: [examples.key] });

export const madeSchema = z
  .object({ secret: z.string().describe("The whole key, which is not shown again"), key: keySchema })
  .meta({ examples: [{ secret: examples.login.key, key: examples.key }] });

const newKey = z
  .strictObject({
    name: z.string().min(1).max(128).describe("What the key is for"),
    scopes: z.array(z.enum(scopes)).min(1).max(scopes.length),
    expires_at: time
      .nullable()
      .describe("When it expires, at most a hundred years ahead; null if it does not"),
  })
  .meta({ examples: [{ name: "edge-collector", scopes: ["ingest"], expires_at: "2027-01-31T12:00:00Z" }] });

const rotation = z
  .strictObject({
    grace_hours: z
      .number()
      .int()
      .min(0)
      .max(maxGraceHours)
      .default(24)
      .describe("How long the old key stays valid, unless it expires earlier"),
  })
  .meta({ examples: [{ grace_hours: 24 }] });

function expiryOf(text: string | null, now: number): number | undefined {
  if (text === null) return undefined;
  const at = Date.parse(text);
  if (at > now && at <= now + maxDays * 86_400_000) return at;
  throw new ApiError(400, "expires_at: must be in the future, and within a hundred years; or null");
}

export function keyRoutes(app: App, { store }: { store: Pick<Store, "keys"> }): void {
  const tags = ["tenant"];
  const security = [{ bearer: [] }];
  const config = { scope: "admin" } as const;
  const { keys } = store;
  const unknown = () => new ApiError(404, "there is no key with this id");
  const stateOf = ({ revokedAt, expiresAt }: ApiKey) => {
    if (revokedAt !== undefined) return "revoked";
    return expiresAt !== undefined && expiresAt <= keys.now() ? "expired" : "valid";
  };
  const toJson = (key: ApiKey): z.output<typeof keySchema> => ({
    id: key.id,
    prefix: key.prefix,
    name: key.name,
    scopes: key.scopes,
    state: stateOf(key),
    created_by: key.createdBy,
    created_at: formatMs(key.createdAt),
    expires_at: key.expiresAt === undefined ? null : formatMs(key.expiresAt),
    revoked_at: key.revokedAt === undefined ? null : formatMs(key.revokedAt),
    last_used_at: key.lastUsedAt === undefined ? null : formatMs(key.lastUsedAt),
  });
  const madeJson = ({ secret, key }: MadeKey) => ({ secret, key: toJson(key) });

  app.get(
    "/v1/keys",
    {
      config,
      schema: {
        tags,
        security,
        operationId: "listKeys",
        summary: "List API keys, newest first",
        description: "Those that have expired or were revoked are listed as well.",
        querystring: z.strictObject(paging),
        response: {
          200: pageSchema(keySchema, "Keys, newest first", examples.key),
          ...problems(...guarded, 503),
        },
      },
    },
    async ({ query, principal }) => {
      const page = await keys.list(principal.tenant, query);
      return { ...page, items: page.items.map(toJson) };
    },
  );
  app.post(
    "/v1/keys",
    {
      config,
      schema: {
        tags,
        security,
        operationId: "createKey",
        summary: "Create an API key of the tenant",
        description: "The answer has the key, which is shown once. An entry is appended to the audit log.",
        querystring: noParameters,
        body: newKey,
        response: {
          201: madeSchema.describe("The key"),
          ...problems(400, ...guarded, 413, 415, 503),
        },
      },
    },
    async ({ principal, body }, reply) => {
      const { name, expires_at } = body;
      const expiresAt = expiryOf(expires_at, keys.now());
      const granted = scopes.filter((scope) => body.scopes.includes(scope));
      const made = await keys.create(
        principal.tenant,
        { name, scopes: granted, ...(expiresAt !== undefined && { expiresAt }) },
        principal.subject,
      );
      return reply.code(201).send(madeJson(made));
    },
  );
  app.post(
    "/v1/keys/:id/rotate",
    {
      config,
      schema: {
        tags,
        security,
        operationId: "rotateKey",
        summary: "Replace an API key",
        description:
          "Creates a key with the same name, scopes and lifetime. Both are valid for the time of grace. Entries are appended to the audit log.",
        params: z.object({ id }),
        querystring: noParameters,
        body: rotation,
        response: {
          201: madeSchema.describe("The new key"),
          ...problems(400, ...guarded, 404, 413, 415, 503),
        },
      },
    },
    async ({ params, principal, body }, reply) => {
      const graceMs = body.grace_hours * 3_600_000;
      const made = await keys.rotate(principal.tenant, params.id, graceMs, principal.subject);
      if (made === undefined) throw unknown();
      return reply.code(201).send(madeJson(made));
    },
  );
  app.delete(
    "/v1/keys/:id",
    {
      config,
      schema: {
        tags,
        security,
        operationId: "revokeKey",
        summary: "Revoke an API key",
        description:
          "It takes effect within seconds, also for the sessions that stand for it. It stays in the list. An entry is appended to the audit log.",
        params: z.object({ id }),
        querystring: noParameters,
        response: { 200: keySchema.describe("The key"), ...problems(...guarded, 404, 503) },
      },
    },
    async ({ params, principal }) => {
      const key = await keys.revoke(principal.tenant, params.id, principal.subject);
      if (key === undefined) throw unknown();
      return toJson(key);
    },
  );
}
