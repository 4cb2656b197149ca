/**
 * Sessions of browsers: a page exchanges an API key for a cookie that no script can read. Changes with a cookie are
 * accepted from pages of the API's own origin alone.
 */
import type { FastifyReply, FastifyRequest } from "fastify";
import { z } from "zod";
import type { Access } from "../access/access.ts";
import type { Limiter } from "../access/limits.ts";
import type { Principal } from "../access/principal.ts";
import { type Store, scopes } from "../store/index.ts";
import type { App } from "./app.ts";
import { examples } from "./examples.ts";
import { guarded, problems } from "./openapi.ts";
import { noParameters } from "./query.ts";
import { refuseOtherPages } from "./security.ts";
import { formatMs } from "./time.ts";

const plainName = "driftlock_session";
/** Browsers keep a cookie with this prefix only if it came over TLS, for this host and all of its paths. */
const secureName = `__Host-${plainName}`;

/** Returns the secret in the caller's cookie. */
export function sessionOf({ headers }: Pick<FastifyRequest, "headers">): string | undefined {
  const cookies = new Map(
    (headers.cookie ?? "").split(";").map((pair): [string, string] => {
      const [name = "", value = ""] = pair.trim().split("=", 2);
      return [name, value];
    }),
  );
  return cookies.get(secureName) ?? cookies.get(plainName);
}

/** Whether the page has come over TLS, even if a proxy passes its requests on without. */
function overTls({ headers, protocol }: FastifyRequest): boolean {
  return (
    protocol === "https" ||
    headers.origin?.startsWith("https:") === true ||
    headers["x-forwarded-proto"] === "https"
  );
}

function setCookie(request: FastifyRequest, reply: FastifyReply, value: string, seconds: number): void {
  const secure = overTls(request);
  reply.header(
    "set-cookie",
    `${secure ? secureName : plainName}=${value}; Path=/; Max-Age=${seconds}; HttpOnly; SameSite=Strict${secure ? "; Secure" : ""}`,
  );
}

const login = z
  .strictObject({ key: z.string().min(1).max(1_024).describe("An API key (`dlk_…`) with the scope `read`") })
  .meta({ examples: [examples.login] });

const sessionSchema = z
  .object({
    tenant: z.string(),
    subject: z.string().describe("The caller's name in the audit log"),
    scopes: z.array(z.enum(scopes)),
    expires_at: z
      .string()
      .nullable()
      .describe("RFC 3339 in UTC; null if the caller has no session, but a key, a token or no need of one"),
  })
  .meta({ id: "Session", description: "Who calls, and what they may do", examples: [examples.session] });

function sessionJson({ tenant, subject, scopes: granted, expiresAt }: Principal) {
  return {
    tenant,
    subject,
    scopes: scopes.filter((scope) => granted.has(scope)),
    expires_at: expiresAt === undefined ? null : formatMs(expiresAt),
  };
}

export interface SessionOptions {
  access: Access;
  limiter: Limiter;
  store: Pick<Store, "sessions">;
}

export function sessionRoutes(app: App, { access, limiter, store }: SessionOptions): void {
  const tags = ["session"];
  app.post(
    "/v1/session",
    {
      schema: {
        tags,
        security: [],
        operationId: "logIn",
        summary: "Exchange an API key for a session",
        description:
          "Sets a cookie that no script can read (`HttpOnly`, `SameSite=Strict`, and `Secure` if the page came over TLS). " +
          "It stands for the key for 12 hours, and ends with it. Changes with a cookie are accepted from pages of the API's own origin alone.",
        querystring: noParameters,
        body: login,
        response: {
          201: sessionSchema.describe("The session has begun"),
          ...problems(...guarded, 413, 415, 503),
        },
      },
    },
    async (request, reply) => {
      refuseOtherPages(request);
      const { identity, principal } = await access.admitKey(request.body.key, "read");
      limiter.admitQuery(principal.tenant);
      const { secret, expiresAt, lifetimeMs } = await store.sessions.create(identity);
      setCookie(request, reply, secret, Math.floor(lifetimeMs / 1_000));
      return reply.code(201).send(sessionJson({ ...principal, expiresAt }));
    },
  );
  app.get(
    "/v1/session",
    {
      config: { scope: "read" },
      schema: {
        tags,
        security: [{ bearer: [] }],
        operationId: "getSession",
        summary: "Who calls, and what they may do",
        querystring: noParameters,
        response: { 200: sessionSchema.describe("The caller"), ...problems(...guarded, 503) },
      },
    },
    async ({ principal }) => sessionJson(principal),
  );
  app.delete(
    "/v1/session",
    {
      schema: {
        tags,
        security: [],
        operationId: "logOut",
        summary: "End the session",
        description: "Answers in the same way if there is none.",
        querystring: noParameters,
        response: { 204: z.null().describe("The session is over"), ...problems(403, 503) },
      },
    },
    async (request, reply) => {
      refuseOtherPages(request);
      const secret = sessionOf(request);
      if (secret !== undefined) await store.sessions.end(secret);
      setCookie(request, reply, "", 0);
      return reply.code(204).send(null);
    },
  );
}
