/** Driftlock within Express, Connect, and all that calls such middleware. */
import "../base/require-node.ts";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Driftlock } from "./driftlock.ts";
import { pushAnswered } from "./http-span.ts";
import { sharedDriftlock } from "./shared.ts";

export { Driftlock } from "./driftlock.ts";
export { sharedDriftlock } from "./shared.ts";

/** What a router adds to a request. */
interface Routed extends IncomingMessage {
  originalUrl?: string;
  baseUrl?: string;
  route?: { path?: unknown };
}

/** Middleware as `app.use` takes it. */
export type Middleware = (
  request: IncomingMessage,
  response: ServerResponse,
  next: (error?: unknown) => void,
) => void;

/**
 * Returns middleware that pushes a span for each answered request: its method, route, status, and how long it took. Use it before all
 * other middleware.
 * @param driftlock the instance that judges; by default one that all parts of the SDK share
 */
export function driftlockMiddleware(driftlock: Driftlock = sharedDriftlock()): Middleware {
  return (request, response, next) => {
    const start = performance.now();
    const { baseUrl = "", originalUrl = request.url ?? "" } = request as Routed;
    response.once("close", () => {
      // The router has found the route meanwhile.
      const { route, baseUrl: mounted = baseUrl, method = "GET" } = request as Routed;
      pushAnswered(driftlock, {
        method,
        route: typeof route?.path === "string" ? mounted + route.path : undefined,
        url: originalUrl,
        status: response.statusCode,
        duration: performance.now() - start,
        traceparent: request.headers.traceparent,
        error: response.writableFinished ? undefined : "aborted",
      });
    });
    next();
  };
}
