import type { Registry } from "prom-client";
import { z } from "zod";
import type { Access } from "../access/access.ts";
import { examples } from "../json/examples.ts";
import type { Versions } from "../version.ts";
import type { App } from "./app.ts";
import { senderOf } from "./guard.ts";
import { problems } from "./openapi.ts";

/** A part of the process that the whole depends on. */
export interface Component {
  name: string;
  ready: boolean;
  /** The component works, but not as it should. */
  degraded?: boolean;
  /** The reason for the state, whatever it is. */
  reason: string;
}

export interface HealthOptions {
  registry: Registry;
  versions: Versions;
  readiness(): Component[];
  /** Whether the engine works; false if only a restart would help. */
  alive(): boolean;
  access: Access;
  /** Whether authentication is disabled. */
  open: boolean;
}

const liveness = z.object({ status: z.enum(["ok", "stuck"]) });

export function livenessOf(alive: boolean): z.output<typeof liveness> {
  return { status: alive ? "ok" : "stuck" };
}

const readiness = z.object({
  status: z.enum(["ready", "degraded", "not ready"]),
  components: z.array(
    z.object({
      name: z.string(),
      ready: z.boolean(),
      degraded: z.boolean(),
      reason: z
        .string()
        .optional()
        .describe("Only for callers with the scope `read`, since it may contain addresses and paths"),
    }),
  ),
});
export type Readiness = z.output<typeof readiness>;

/** @param reasons whether the caller may see the reasons */
export function readinessOf(components: readonly Component[], reasons: boolean): Readiness {
  const ready = components.every((component) => component.ready);
  const degraded = components.some((component) => component.degraded);
  return {
    status: !ready ? "not ready" : degraded ? "degraded" : "ready",
    components: components.map(({ name, ready, degraded = false, reason }) => ({
      name,
      ready,
      degraded,
      ...(reasons && { reason }),
    })),
  };
}

/** Returns whether data is accepted, even if a component is degraded. */
export function isServing({ status }: Readiness): boolean {
  return status !== "not ready";
}

/** Routes that are open to everyone, since probes send no key. They name no tenant, and no address without a key. */
export function healthRoutes(app: App, options: HealthOptions): void {
  const { registry, versions, access, open } = options;
  const tags = ["process"];
  app.get(
    "/healthz",
    {
      config: { boundedAnswer: true },
      schema: {
        tags,
        security: [],
        operationId: "getHealth",
        summary: "Whether the process responds and its engine works",
        response: {
          200: liveness.meta({
            description: "The process responds and its engine works",
            examples: [examples.health],
          }),
          503: liveness.meta({
            description: "The engine is stuck: restart the process",
            examples: [examples.stuck],
          }),
          ...problems(),
        },
      },
    },
    (_request, reply) => {
      const found = livenessOf(options.alive());
      reply.code(found.status === "ok" ? 200 : 503);
      return found;
    },
  );
  app.get(
    "/readyz",
    {
      config: { boundedAnswer: true },
      schema: {
        tags,
        security: [{}, { bearer: [] }],
        operationId: "getReadiness",
        summary: "Whether each component works, and why not",
        description:
          "200 while data is accepted, also if the state is `degraded`. Only callers with the scope `read` see reasons.",
        response: {
          200: readiness.meta({ description: "Data is accepted", examples: [examples.ready] }),
          503: readiness.meta({
            description: "Data is not accepted; the components contain the reasons",
            examples: [examples.notReady],
          }),
          ...problems(),
        },
      },
    },
    async (request, reply) => {
      const reasons = open || (await access.admit(senderOf(request), "read").then(Boolean, () => false));
      const found = readinessOf(options.readiness(), reasons);
      return reply.code(isServing(found) ? 200 : 503).send(found);
    },
  );
  app.get(
    "/metrics",
    {
      schema: {
        tags,
        security: [],
        operationId: "getMetrics",
        summary: "Metrics for Prometheus",
        response: {
          200: {
            description: "Metrics in the text format of Prometheus",
            content: { "text/plain": { schema: z.string().meta({ examples: [examples.metrics] }) } },
          },
          ...problems(503),
        },
      },
      // The text is sent unchanged; the schema is for readers.
      serializerCompiler: () => String,
    },
    async (_request, reply) => reply.type(registry.contentType).send(await registry.metrics()),
  );
  app.get(
    "/v1/version",
    {
      schema: {
        tags,
        security: [],
        operationId: "getVersion",
        summary: "Versions of the program, Node and the codecs",
        response: {
          200: z
            .object({ version: z.string(), node: z.string(), codecs: z.record(z.string(), z.string()) })
            .meta({ description: "Versions", examples: [examples.version] }),
          ...problems(503),
        },
      },
    },
    () => ({ ...versions, codecs: { ...versions.codecs } }),
  );
}
