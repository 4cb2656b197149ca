/**
 * Sessions of browsers: a page exchanges an API key, or the code of an OpenID Connect issuer, for a cookie that no script can read. Changes with a cookie are
 * accepted from pages of the API's own origin alone.
 */
import type { FastifyReply, FastifyRequest } from "fastify";
import { z } from "zod";
import { type Access, permitted } from "../access/access.ts";
import type { Limiter } from "../access/limits.ts";
import type { LoginProof } from "../access/login.ts";
import type { Principal } from "../access/principal.ts";
import { examples } from "../json/examples.ts";
import { formatMs } from "../json/time.ts";
import { type Store, scopes } from "../store/index.ts";
import type { App } from "./app.ts";
import { guarded, problems } from "./openapi.ts";
import { ApiError } from "./problem.ts";
import { noParameters } from "./query.ts";
import { refuseOtherPages } from "./security.ts";

/** A session, and what a browser keeps while its user logs in at the issuer. */
type Cookie = "session" | "login";

/** How long a login at the issuer may take. */
const loginSeconds = 600;
/** The least time that a person stays logged in, however soon the issuer's token ends. */
const personMs = 3_600_000;

/**
 * Returns a cookie's name. Browsers send a host's cookies to all of its ports, so each port has its own. They keep one with the
 * prefix `__Host-` only if it came over TLS, for this host and all of its paths.
 */
function nameOf(cookie: Cookie, { headers }: Pick<FastifyRequest, "headers">, secure: boolean): string {
  const [, port] = /:(\d+)$/.exec(headers.host ?? "") ?? [];
  return `${secure ? "__Host-" : ""}driftlock_${cookie}${port === undefined ? "" : `_${port}`}`;
}

function readCookie(request: Pick<FastifyRequest, "headers">, cookie: Cookie): string | undefined {
  const cookies = new Map(
    (request.headers.cookie ?? "").split(";").map((pair): [string, string] => {
      const [name = "", value = ""] = pair.trim().split("=", 2);
      return [name, value];
    }),
  );
  return cookies.get(nameOf(cookie, request, true)) ?? cookies.get(nameOf(cookie, request, false));
}

/** Returns the secret in the caller's cookie. */
export function sessionOf(request: Pick<FastifyRequest, "headers">): string | undefined {
  return readCookie(request, "session");
}

/** Whether the page has come over TLS, even if a proxy passes its requests on without. */
function overTls({ headers, protocol }: FastifyRequest): boolean {
  return (
    protocol === "https" ||
    headers.origin?.startsWith("https:") === true ||
    headers["x-forwarded-proto"] === "https"
  );
}

function setCookie(
  request: FastifyRequest,
  reply: FastifyReply,
  cookie: Cookie,
  value: string,
  seconds: number,
): void {
  const secure = overTls(request);
  const name = nameOf(cookie, request, secure);
  reply.header(
    "set-cookie",
    `${name}=${value}; Path=/; Max-Age=${seconds}; HttpOnly; SameSite=Strict${secure ? "; Secure" : ""}`,
  );
}

const redirectUri = z
  .url({ protocol: /^https?$/ })
  .max(2_048)
  .describe("The address to which the issuer sends the browser: the dashboard's own, and `login`");

const keyLogin = z
  .strictObject({ key: z.string().min(1).max(1_024).describe("An API key (`dlk_…`) with the scope `read`") })
  .meta({ examples: [examples.login] });

const codeLogin = z
  .strictObject({
    code: z.string().min(1).max(4_096).describe("What the issuer has added to the address, as the others"),
    state: z.string().min(1).max(256),
    iss: z.string().min(1).max(2_048).optional(),
    redirect_uri: redirectUri,
  })
  .meta({ description: "The answer of the issuer to a login that `POST /v1/login` has begun" });

const login = z.union([keyLogin, codeLogin]).meta({ examples: [examples.login] });

export const waysSchema = z
  .object({
    oidc: z
      .object({ issuer: z.string() })
      .nullable()
      .describe("The issuer at which people log in; null if they cannot"),
  })
  .meta({ description: "How people log in, besides by a key", examples: [{ oidc: null }] });

const proofParts = /^([\w-]{1,128})\.([\w-]{1,128})\.([\w-]{43,128})$/;

function proofOf(request: FastifyRequest): LoginProof {
  const [, state, nonce, verifier] = proofParts.exec(readCookie(request, "login") ?? "") ?? [];
  if (verifier === undefined) {
    throw new ApiError(401, "this browser has begun no login, or more than ten minutes ago; log in again");
  }
  return { state: state!, nonce: nonce!, verifier };
}

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

const loginBegin = z
  .strictObject({ redirect_uri: redirectUri })
  .meta({ examples: [{ redirect_uri: "https://driftlock.example.com/login" }] });

const loginBegun = z
  .object({ url: z.string().describe("Where the browser goes") })
  .meta({ examples: [{ url: "https://login.example.com/authorize?client_id=driftlock" }] });

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
  const withoutOidc = () =>
    new ApiError(404, "people cannot log in at an issuer: auth.oidc.login is not set; use an API key");

  /** Returns who logs in, and when the session ends at the latest. */
  async function holderOf(
    request: FastifyRequest,
  ): Promise<{ principal: Principal; keyId?: string; endsAt: number | undefined }> {
    const body = request.body as z.output<typeof login>;
    if ("key" in body) {
      const { identity, principal } = await access.admitKey(body.key, "read");
      return { principal, keyId: identity.id, endsAt: identity.expiresAt };
    }
    if (access.oidcLogin === undefined) throw withoutOidc();
    const { code, state, iss: issuer, redirect_uri: redirectUri } = body;
    const { principal, expiresAt } = await access.oidcLogin.finish(
      { code, state, issuer, redirectUri },
      proofOf(request),
    );
    return { principal: permitted(principal, "read"), endsAt: Math.max(expiresAt, Date.now() + personMs) };
  }

  app.get(
    "/v1/login",
    {
      schema: {
        tags,
        security: [],
        operationId: "getLogin",
        summary: "How people log in",
        querystring: noParameters,
        response: { 200: waysSchema, ...problems(400) },
      },
    },
    async () => ({ oidc: access.oidcLogin === undefined ? null : { issuer: access.oidcLogin.issuer } }),
  );
  app.post(
    "/v1/login",
    {
      schema: {
        tags,
        security: [],
        operationId: "beginLogin",
        summary: "Begin a login at the issuer",
        description:
          "By the authorization code flow of OpenID Connect with PKCE. Sets a cookie that proves, for ten minutes, that the browser which comes back is this one.",
        querystring: noParameters,
        body: loginBegin,
        response: {
          201: loginBegun.describe("The login has begun"),
          ...problems(400, 403, 404, 413, 415, 503),
        },
      },
    },
    async (request, reply) => {
      refuseOtherPages(request);
      if (access.oidcLogin === undefined) throw withoutOidc();
      const { redirect_uri } = request.body;
      const { origin } = request.headers;
      if (origin !== undefined && new URL(redirect_uri).origin !== origin) {
        throw new ApiError(400, "redirect_uri: must be an address of the page that asks");
      }
      const { url, proof } = await access.oidcLogin.begin(redirect_uri);
      setCookie(request, reply, "login", `${proof.state}.${proof.nonce}.${proof.verifier}`, loginSeconds);
      return reply.code(201).send({ url });
    },
  );
  app.post(
    "/v1/session",
    {
      schema: {
        tags,
        security: [],
        operationId: "logIn",
        summary: "Exchange an API key or the issuer's code for a session",
        description:
          "Sets a cookie that no script can read (`HttpOnly`, `SameSite=Strict`, and `Secure` if the page came over TLS). " +
          "It stands for the key for 12 hours, and ends with it; or for the rights of the issuer's access token, for an hour or as long as that is valid, and 12 hours at most. " +
          "Changes with a cookie are accepted from pages of the API's own origin alone.",
        querystring: noParameters,
        body: login,
        response: {
          201: sessionSchema.describe("The session has begun"),
          ...problems(...guarded, 404, 413, 415, 503),
        },
      },
    },
    async (request, reply) => {
      refuseOtherPages(request);
      const { principal, endsAt, ...key } = await holderOf(request);
      limiter.admitQuery(principal.tenant);
      const holder = { ...principal, scopes: [...principal.scopes], ...key };
      const { secret, expiresAt, lifetimeMs } = await store.sessions.create(holder, endsAt);
      setCookie(request, reply, "session", secret, Math.floor(lifetimeMs / 1_000));
      if (!("key" in request.body)) setCookie(request, reply, "login", "", 0);
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
      setCookie(request, reply, "session", "", 0);
      return reply.code(204).send(null);
    },
  );
}
