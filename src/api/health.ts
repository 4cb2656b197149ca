import type { Registry } from "prom-client";
import { z } from "zod";
import type { Versions } from "../telemetry/version.ts";
import type { App } from "./app.ts";
import { problems } from "./openapi.ts";

/** A part of the process that must work for the whole to. */
export interface Component {
  name: string;
  ready: boolean;
  /** It works, but not as it should. */
  degraded?: boolean;
  /** Why, in any case. */
  reason: string;
}

export interface HealthOptions {
  registry: Registry;
  versions: Versions;
  readiness(): Component[];
}

const readiness = z.object({
  status: z.enum(["ready", "degraded", "not ready"]),
  components: z.array(
    z.object({ name: z.string(), ready: z.boolean(), degraded: z.boolean(), reason: z.string() }),
  ),
});

/** Open to all: probes carry no key. No tenant is named here. */
export function healthRoutes(app: App, options: HealthOptions): void {
  const { registry, versions } = options;
  const tags = ["process"];
  app.get(
    "/healthz",
    {
      schema: {
        tags,
        summary: "Whether the process answers",
        response: { 200: z.object({ status: z.literal("ok") }).describe("It does"), ...problems() },
      },
    },
    () => ({ status: "ok" as const }),
  );
  app.get(
    "/readyz",
    {
      schema: {
        tags,
        summary: "Whether each part works, and why not",
        description: "200 while data are taken, also where that is `degraded`: the reason says by what.",
        response: {
          200: readiness.describe("Data are taken"),
          503: readiness.describe("Something must work first"),
          ...problems(),
        },
      },
    },
    (_request, reply) => {
      const components = options.readiness().map((each) => ({ degraded: false, ...each }));
      const ready = components.every((component) => component.ready);
      const degraded = components.some((component) => component.degraded);
      reply.code(ready ? 200 : 503);
      const status = !ready ? "not ready" : degraded ? "degraded" : "ready";
      return { status: status as z.output<typeof readiness>["status"], components };
    },
  );
  app.get(
    "/metrics",
    {
      schema: {
        tags,
        summary: "Metrics for Prometheus",
        response: {
          200: { description: "Prometheus text", content: { "text/plain": { schema: z.string() } } },
          ...problems(),
        },
      },
      // Text as it is; the schema is for readers.
      serializerCompiler: () => String,
    },
    async (_request, reply) => reply.type(registry.contentType).send(await registry.metrics()),
  );
  app.get(
    "/v1/version",
    {
      schema: {
        tags,
        summary: "Versions of the program, Node and the codecs",
        response: {
          200: z
            .object({ version: z.string(), node: z.string(), codecs: z.record(z.string(), z.string()) })
            .describe("Versions"),
          ...problems(),
        },
      },
    },
    () => ({ ...versions, codecs: { ...versions.codecs } }),
  );
}
