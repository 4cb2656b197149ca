/** Protects browsers: by headers of every answer, and against other origins and DNS rebinding. */
import type { FastifyInstance, FastifyRequest } from "fastify";
import { isLoopback } from "../base/address.ts";
import { ApiError } from "./problem.ts";

const headers = {
  "cache-control": "no-store",
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
  "cross-origin-resource-policy": "same-origin",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
};

const corsMethods = "GET, HEAD, POST, PUT, PATCH, DELETE";
const corsHeaders = "authorization, content-type, content-encoding, idempotency-key, last-event-id";
const corsExposed = "link, retry-after, idempotency-replayed";

export interface SecurityOptions {
  /** Origins, besides our own, whose pages may read answers. */
  corsOrigins: readonly string[];
  /** Whether authentication is disabled. Then a page must not reach the API by a name of its own (DNS rebinding). */
  open: boolean;
}

function hostOf(authority: string): string {
  return authority
    .replace(/:\d+$/, "")
    .replace(/^\[|\]$/g, "")
    .toLowerCase();
}

/** Whether a page of the API's own origin sends the request; undefined if no browser does, as far as can be told. */
function isOwnPage({ headers }: FastifyRequest): boolean | undefined {
  // Behind a proxy the host may differ from the one in the page's address, and the browser knows better.
  if (headers["sec-fetch-site"] === "same-origin") return true;
  if (headers.origin === undefined) return headers["sec-fetch-site"] === undefined ? undefined : false;
  return URL.parse(headers.origin)?.host === headers.host;
}

/** @throws {ApiError} if a page of another origin sends the request. */
export function refuseOtherPages(request: FastifyRequest): void {
  if (isOwnPage(request) === false) {
    throw new ApiError(403, "only pages of this API's own origin may use sessions");
  }
}

/** @throws {ApiError} unless a page of the API's own origin sends the request. */
export function requireOwnPage(request: FastifyRequest): void {
  if (isOwnPage(request) !== true) {
    throw new ApiError(
      403,
      "a session may change something from pages of this API's own origin alone; use an API key",
    );
  }
}

export function secure(app: FastifyInstance, { corsOrigins, open }: SecurityOptions): void {
  app.addHook("onRequest", async (request, reply) => {
    reply.headers(headers);
    const { origin } = request.headers;
    const [host = "", ...more] = request.raw.headersDistinct.host ?? [];
    if (more.length > 0 || (host === "" && request.raw.httpVersion === "1.1")) {
      throw new ApiError(400, "header host must be there once");
    }
    if (open && !isLoopback(hostOf(host))) {
      throw new ApiError(
        421,
        `the host ${host} is not this machine's own; without auth.enabled the API answers to localhost alone`,
      );
    }
    if (corsOrigins.length > 0) reply.header("vary", "origin");
    if (origin === undefined) return;
    if (corsOrigins.includes(origin)) {
      reply.headers({
        "access-control-allow-origin": origin,
        "access-control-expose-headers": corsExposed,
        "cross-origin-resource-policy": "cross-origin",
      });
      if (request.method === "OPTIONS" && request.headers["access-control-request-method"] !== undefined) {
        reply.headers({
          "access-control-allow-methods": corsMethods,
          "access-control-allow-headers": corsHeaders,
          "access-control-max-age": "600",
        });
        return reply.code(204).send();
      }
    } else if (request.ws && URL.parse(origin)?.host !== host) {
      // Browsers enforce the same-origin policy everywhere but here.
      throw new ApiError(403, `pages of ${origin} may not connect; name it in api.cors_origins`);
    }
  });
}
