/** Asks each caller who it is, and whether it may and is within its limits, before anything else of its request is read. */
import type { FastifyInstance, FastifyRequest } from "fastify";
import type { Access } from "../access/access.ts";
import type { Limiter } from "../access/limits.ts";
import type { Principal } from "../access/principal.ts";
import type { Sender } from "../receive/index.ts";
import type { Scope } from "../store/index.ts";

declare module "fastify" {
  interface FastifyRequest {
    /** On routes with a scope. */
    principal: Principal;
  }
  interface FastifyContextConfig {
    /** What the caller has to have; a route without it is open. */
    scope?: Scope;
  }
}

export interface Guard {
  access: Access;
  limiter: Limiter;
}

/** By which browsers, whose WebSockets carry no headers, name their key or token: a subprotocol `bearer.KEY`. */
const bearerProtocol = /(?:^|,)\s*bearer\.([^\s,]+)\s*(?:,|$)/;

export function senderOf(request: FastifyRequest): Sender {
  const { headers, socket, ws } = request;
  const protocol = ws ? bearerProtocol.exec(headers["sec-websocket-protocol"] ?? "") : null;
  return {
    peer: socket.remoteAddress,
    header: (name) =>
      name === "authorization" && protocol !== null
        ? (headers.authorization ?? `Bearer ${protocol[1]}`)
        : headers[name],
  };
}

export function guardRoutes(app: FastifyInstance, { access, limiter }: Guard): void {
  app.decorateRequest("principal", null as never);
  app.addHook("onRequest", async (request) => {
    const { scope } = request.routeOptions.config;
    if (scope === undefined) return;
    const principal = await access.admit(senderOf(request), scope);
    if (scope === "ingest") limiter.admitIngest(principal.tenant);
    else limiter.admitQuery(principal.tenant);
    request.principal = principal;
  });
}
