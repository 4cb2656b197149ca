/** Authenticates and authorizes each caller and enforces its limits, before the rest of its request is read. */
import type { FastifyInstance, FastifyRequest } from "fastify";
import type { Access } from "../access/access.ts";
import type { Limiter } from "../access/limits.ts";
import type { Principal } from "../access/principal.ts";
import type { Sender } from "../receive/index.ts";
import type { Scope } from "../store/index.ts";
import { requireOwnPage } from "./security.ts";
import { sessionOf } from "./session.ts";

declare module "fastify" {
  interface FastifyRequest {
    /** The caller; set on routes with a scope. */
    principal: Principal;
  }
  interface FastifyContextConfig {
    /** The scope that the caller must have. A route without a scope is open. */
    scope?: Scope;
  }
}

export interface Guard {
  access: Access;
  limiter: Limiter;
}

/**
 * The subprotocol `bearer.KEY`, by which browsers pass their key or token, since their WebSockets cannot send headers.
 */
const bearerProtocol = /(?:^|,)\s*bearer\.([^\s,]+)\s*(?:,|$)/;

export function senderOf(request: FastifyRequest): Sender {
  const { headers, socket, ws } = request;
  const protocol = ws ? bearerProtocol.exec(headers["sec-websocket-protocol"] ?? "") : null;
  return {
    peer: socket.remoteAddress,
    session: sessionOf(request),
    header: (name) =>
      name === "authorization" && protocol !== null
        ? (headers.authorization ?? `Bearer ${protocol[1]}`)
        : headers[name],
  };
}

const reading: ReadonlySet<string> = new Set(["GET", "HEAD"]);

export function guardRoutes(app: FastifyInstance, { access, limiter }: Guard): void {
  app.decorateRequest("principal", null as never);
  app.addHook("onRequest", async (request) => {
    const { scope } = request.routeOptions.config;
    if (scope === undefined) return;
    const principal = await access.admit(senderOf(request), scope);
    if (principal.expiresAt !== undefined && !reading.has(request.method)) requireOwnPage(request);
    if (scope === "ingest") limiter.admitIngest(principal.tenant);
    else limiter.admitQuery(principal.tenant);
    request.principal = principal;
  });
}
