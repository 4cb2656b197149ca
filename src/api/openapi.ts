/** The OpenAPI 3.1 document, which is generated from the routes' schemas, and a page that shows it. */
import swagger from "@fastify/swagger";
import type { FastifyInstance } from "fastify";
import { createJsonSchemaTransform, createJsonSchemaTransformObject } from "fastify-type-provider-zod";
import { docsPage, docsPolicy } from "./docs-page.ts";
import { problemSchema, problemType } from "./problem.ts";

const asProblem = (description: string) => ({
  description,
  content: { [problemType]: { schema: problemSchema } },
});

const described: Readonly<Record<number, string>> = {
  400: "The request is malformed; `errors` name the fields",
  401: "There is no valid API key or token",
  403: "The key or token lacks the scope",
  404: "The tenant has nothing with this id",
  406: "None of the accepted types is supported",
  408: "The request was not received completely in time",
  409: "The request conflicts with one that is in progress",
  413: "The body is too large",
  415: "The body's type or encoding is not supported",
  421: "The host is not this machine's own, and `auth.enabled` is false",
  422: "The request is well-formed but cannot be processed",
  429: "The tenant's limits are exceeded; send the request again after `Retry-After`",
  431: "The headers are too large, or too many",
  500: "The request failed; Driftlock's log has the reason",
  501: "The downstream does not support the request",
  503: "Temporarily unavailable; send the request again later, after `Retry-After` if it is set",
};

/** The problems that every route may answer with. */
const common = [400, 408, 421, 431, 500] as const;

/** The problems that a route answers with, besides the common ones. */
export function problems(...statuses: number[]): Record<string, ReturnType<typeof asProblem>> {
  return Object.fromEntries(
    [...new Set([...common, ...statuses])].map((status) => [status, asProblem(described[status]!)]),
  );
}

/** The problems of routes that authenticate their callers. */
export const guarded = [401, 403, 429] as const;

const toDocument = createJsonSchemaTransformObject({});

type Schemas = Record<string, object>;

/**
 * Removes unused schemas: each schema is generated for input and for output, although most are used for only one of
 * them.
 */
function withoutUnused<T extends { paths: object; components: { schemas: Schemas } }>(document: T): T {
  const { schemas } = document.components;
  const used: Schemas = {};
  const use = (part: object) => {
    for (const [, name] of JSON.stringify(part).matchAll(/"#\/components\/schemas\/(\w+)"/g)) {
      if (Object.hasOwn(used, name!)) continue;
      used[name!] = schemas[name!]!;
      use(schemas[name!]!);
    }
  };
  use(document.paths);
  return { ...document, components: { ...document.components, schemas: used } };
}

/** Declares that a session does wherever a key does. */
function withSessions<T extends { paths: object }>(document: T): T {
  for (const methods of Object.values(document.paths)) {
    for (const operation of Object.values<{ security?: object[] }>(methods)) {
      if (operation.security?.some((scheme) => "bearer" in scheme)) {
        operation.security = [...operation.security, { session: [] }];
      }
    }
  }
  return document;
}

/** Must be called before the routes are added. */
export async function describeRoutes(app: FastifyInstance, version: string): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: "3.1.0",
      info: {
        title: "Driftlock",
        version,
        description:
          "Anomalies in OpenTelemetry data, found by compression and explained. All data belongs to the tenant of the " +
          "API key or token. Times are RFC 3339 in UTC, with nanoseconds. Errors are problem details (RFC 9457).",
        license: { name: "Apache-2.0", identifier: "Apache-2.0" } as { name: string },
      },
      servers: [{ url: "/", description: "This process" }],
      components: {
        securitySchemes: {
          bearer: {
            type: "http",
            scheme: "bearer",
            description: "An API key (`dlk_…`) or an OIDC access token",
          },
          session: {
            type: "apiKey",
            in: "cookie",
            name: "driftlock_session",
            description:
              "The cookie of a session; its name begins with `__Host-` if the page came over TLS, and ends with `_` and the port of the address if that has one",
          },
        },
      },
      tags: [
        { name: "incidents", description: "Incidents, decisions about them, and changes" },
        { name: "session", description: "Sessions of browsers" },
        { name: "anomalies", description: "Anomalies, and their triage" },
        { name: "live", description: "Incidents and anomalies as they are reported" },
        { name: "services", description: "Services, and who calls whom" },
        { name: "streams", description: "Streams and their statistics" },
        { name: "policies", description: "What is judged, and what nobody needs to hear of" },
        { name: "events", description: "Log records as plain JSON" },
        { name: "llm", description: "Calls of language models" },
        { name: "tenant", description: "Usage, evidence and the audit log" },
        { name: "process", description: "Health, metrics, versions" },
      ],
    },
    transform: createJsonSchemaTransform({}),
    transformObject: (document) => withSessions(withoutUnused(toDocument(document) as never)),
  });
}

/** Must be called after the routes were added. */
export function serveDescription(app: FastifyInstance): void {
  let page: string | undefined;
  app.get("/openapi.json", { schema: { hide: true } }, () => app.swagger());
  app.get("/docs", { schema: { hide: true } }, (_request, reply) => {
    page ??= docsPage(app.swagger() as never);
    reply.header("content-security-policy", docsPolicy);
    return reply.type("text/html; charset=utf-8").send(page);
  });
}
