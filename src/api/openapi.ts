/** The OpenAPI 3.1 document, made of the routes' own schemas, and a page to read it. */
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
  401: "No valid API key or token",
  403: "The key or token lacks the scope",
  404: "There is no such thing in this tenant",
  406: "None of the accepted types can be given",
  408: "The body did not come, or too slowly",
  409: "In conflict with what is there",
  413: "The body is too large",
  415: "The body's type or encoding is not understood",
  422: "The request is well-formed, and cannot be done",
  429: "Over the tenant's limits; `Retry-After` says when to come back",
  503: "Not now; try again",
};

/** The problems that a route answers with, besides those that any may. */
export function problems(...statuses: number[]): Record<string, ReturnType<typeof asProblem>> {
  return Object.fromEntries([
    ...statuses.map((status) => [status, asProblem(described[status]!)]),
    ["default", asProblem("Any other problem")],
  ]);
}

/** Of routes that ask who is calling. */
export const guarded = [401, 403, 429] as const;

const toDocument = createJsonSchemaTransformObject({});

type Schemas = Record<string, object>;

/** Each schema is made as it is sent and as it is received, though most are one of the two alone. */
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

/** Before the routes. */
export async function describeRoutes(app: FastifyInstance, version: string): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: "3.1.0",
      info: {
        title: "Driftlock",
        version,
        description:
          "Anomalies in OpenTelemetry data, found by compression and explained. Everything is bound to the tenant of " +
          "the API key or token. Times are RFC 3339 in UTC, with nanoseconds. Errors are problem details (RFC 9457).",
        license: { name: "Apache-2.0", identifier: "Apache-2.0" } as { name: string },
      },
      components: {
        securitySchemes: {
          bearer: {
            type: "http",
            scheme: "bearer",
            description: "An API key (`dlk_…`) or an OIDC access token",
          },
        },
      },
      tags: [
        { name: "anomalies", description: "What was found, and what people make of it" },
        { name: "live", description: "Anomalies as they are found" },
        { name: "streams", description: "What is watched" },
        { name: "events", description: "Records by plain JSON" },
        { name: "tenant", description: "Usage and evidence" },
        { name: "process", description: "Health, metrics, versions" },
      ],
    },
    transform: createJsonSchemaTransform({}),
    transformObject: (document) => withoutUnused(toDocument(document) as never),
  });
}

/** After the routes. */
export function serveDescription(app: FastifyInstance): void {
  let page: string | undefined;
  app.get("/openapi.json", { schema: { hide: true } }, () => app.swagger());
  app.get("/docs", { schema: { hide: true } }, (_request, reply) => {
    page ??= docsPage(app.swagger() as never);
    reply.header("content-security-policy", docsPolicy);
    return reply.type("text/html; charset=utf-8").send(page);
  });
}
