/** A span of an HTTP request that a service has answered, as the semantic conventions for HTTP name its parts. */
import type { Driftlock } from "./driftlock.ts";
import type { AttributesLike } from "./encoder/values.ts";

/** A request and its answer. */
export interface Answered {
  method: string;
  /** The pattern of the route, such as `/cart/:id`; undefined if there was none. */
  route: string | undefined;
  url: string;
  status: number;
  /** Milliseconds. */
  duration: number;
  /** The header `traceparent` of the request. */
  traceparent: unknown;
  /** What went wrong, such as the name of an error. */
  error?: string | undefined;
}

/** The header of W3C Trace Context. */
const traceparentPattern = /^[\da-f]{2}-([\da-f]{32})-([\da-f]{16})-[\da-f]{2}/;

/** The first status of an error of the server. */
const serverError = 500;

export function pushAnswered(driftlock: Driftlock, answered: Answered): void {
  const { method, route, url, status, duration, traceparent } = answered;
  const error = answered.error ?? (status >= serverError ? String(status) : undefined);
  const [, traceId, parentSpanId] = traceparentPattern.exec(String(traceparent)) ?? [];
  const attributes: AttributesLike = {
    "http.request.method": method,
    ...(route !== undefined && { "http.route": route }),
    "url.path": url.split("?", 1)[0],
    "http.response.status_code": status,
    ...(error !== undefined && { "error.type": error }),
  };
  driftlock.span({
    // Without a route, the path would be another name for each request.
    name: route === undefined ? method : `${method} ${route}`,
    kind: "server",
    duration,
    attributes,
    ...(error !== undefined && { error }),
    ...(traceId && { traceId }),
    ...(parentSpanId && { parentSpanId }),
  });
}
