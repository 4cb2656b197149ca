import type { IncomingMessage, OutgoingHttpHeaders } from "node:http";
import type { ReceiveConfig } from "../config/schema.ts";

type CorsConfig = ReceiveConfig["http"]["cors"];

/** Request headers that pages may send without a permission of their own, as with the Collector. */
const safeHeaders = ["accept", "accept-language", "content-language", "content-type", "x-requested-with"];

/** Lets pages of other origins send by a browser (https://fetch.spec.whatwg.org/#http-cors-protocol). */
export class Cors {
  readonly #anyOrigin: boolean;
  readonly #origins: RegExp | undefined;
  readonly #headers: ReadonlySet<string>;
  readonly #maxAgeMs: number;

  constructor({ allowed_origins, allowed_headers, max_age }: CorsConfig) {
    const some = allowed_origins.filter((origin) => origin !== "*");
    this.#anyOrigin = some.length < allowed_origins.length;
    this.#origins = some.length > 0 ? new RegExp(`^(${some.map(toPattern).join("|")})$`, "i") : undefined;
    this.#headers = new Set([...safeHeaders, ...allowed_headers.map((name) => name.toLowerCase())]);
    this.#maxAgeMs = max_age;
  }

  get #enabled(): boolean {
    return this.#anyOrigin || this.#origins !== undefined;
  }

  /** For every answer, errors among them. */
  headers({ headers }: IncomingMessage): OutgoingHttpHeaders {
    if (!this.#enabled) return {};
    const { origin } = headers;
    const vary = { vary: "Origin" };
    if (origin === undefined) return vary;
    const exposed = { "access-control-expose-headers": "retry-after" };
    if (this.#origins?.test(origin)) {
      return {
        ...vary,
        ...exposed,
        "access-control-allow-origin": origin,
        "access-control-allow-credentials": "true",
      };
    }
    // Whoever lets everybody send does not thereby lend everybody its users' cookies.
    return this.#anyOrigin ? { ...vary, ...exposed, "access-control-allow-origin": "*" } : vary;
  }

  /** The browser's question before the request itself. */
  isPreflight({ method, headers }: IncomingMessage): boolean {
    const asks = headers.origin !== undefined && headers["access-control-request-method"] !== undefined;
    return this.#enabled && method === "OPTIONS" && asks;
  }

  /** What answers it. Without permission it is empty, which the browser takes as a refusal. */
  preflight(request: IncomingMessage): OutgoingHttpHeaders {
    const vary = "Origin, Access-Control-Request-Method, Access-Control-Request-Headers";
    const { "access-control-expose-headers": _, ...origin } = this.headers(request);
    const asked = (request.headers["access-control-request-headers"] ?? "")
      .split(",")
      .map((name) => name.trim().toLowerCase())
      .filter((name) => name !== "");
    const permitted =
      origin["access-control-allow-origin"] !== undefined &&
      request.headers["access-control-request-method"] === "POST" &&
      (this.#headers.has("*") || asked.every((name) => this.#headers.has(name)));
    if (!permitted) return { vary };
    return {
      ...origin,
      vary,
      "access-control-allow-methods": "POST",
      ...(asked.length > 0 && { "access-control-allow-headers": asked.join(", ") }),
      ...(this.#maxAgeMs > 0 && { "access-control-max-age": String(Math.ceil(this.#maxAgeMs / 1_000)) }),
    };
  }
}

/** An asterisk stands for any characters, as with the Collector. */
function toPattern(origin: string): string {
  return origin.replace(/[.+?^${}()|[\]\\]/g, "\\$&").replaceAll("*", "[^/]*");
}
