import { z } from "zod";
import { signalName } from "../anomaly/names.ts";
import { examples } from "../json/examples.ts";
import { safeCount, signalSchema } from "../json/report.ts";
import { formatNanos } from "../json/time.ts";
import type { Store } from "../store/index.ts";
import type { App } from "./app.ts";
import { guarded, problems } from "./openapi.ts";
import { noParameters } from "./query.ts";
import { pageSchema, paging } from "./representation.ts";
import type { Rates, ServiceGraph, Traffic } from "./service-graph.ts";

export interface ServiceOptions {
  store: Store;
  graph: ServiceGraph;
}

const nanos = z.string().describe("RFC 3339 in UTC, with nanoseconds");
const count = z.number().int().nonnegative();

const ratesSchema = z.object({
  per_second: z.number(),
  mean_seconds: z.number().nullable().describe("Null if there were none"),
  failures_per_second: z.number(),
});

const traffic = {
  now: ratesSchema.describe("Average over about five minutes"),
  usual: ratesSchema.describe("What is usual for as many spans"),
  last_seen: nanos,
};

const serviceSchema = z
  .object({
    service: z.string(),
    signals: z.array(signalSchema),
    streams: count,
    open_incidents: count.describe("Open incidents that include it and are not minor"),
    last_seen: nanos,
  })
  .meta({ id: "Service", description: "A service, by its `service.name`", examples: [examples.service] });

const graphSchema = z
  .object({
    time: nanos.nullable().describe("Event time of the latest figures; null if there are none yet"),
    services: z.array(
      z
        .object({
          service: z.string(),
          peer: z.boolean().describe("Whether only its callers send spans, as with most databases"),
          ...traffic,
        })
        .describe("Its own spans: time without that of its callees, and failures that no callee explains"),
    ),
    edges: z.array(z.object({ caller: z.string(), callee: z.string(), ...traffic })).describe("Whole calls"),
  })
  .meta({
    id: "ServiceGraph",
    description: "Who calls whom, learned from spans",
    examples: [examples.serviceGraph],
  });

function ratesJson({ count, seconds, failures }: Rates): z.output<typeof ratesSchema> {
  return {
    per_second: count,
    mean_seconds: count > 0 ? seconds / count : null,
    failures_per_second: failures,
  };
}

const trafficJson = ({ now, usual, lastSeen }: Traffic) => ({
  now: ratesJson(now),
  usual: ratesJson(usual),
  last_seen: formatNanos(lastSeen),
});

export function serviceRoutes(app: App, { store, graph }: ServiceOptions): void {
  const tags = ["services"];
  const security = [{ bearer: [] }];
  app.get(
    "/v1/services",
    {
      config: { scope: "read" },
      schema: {
        tags,
        security,
        operationId: "listServices",
        summary: "List services by name",
        description: "Streams without `service.name` are not part of it.",
        querystring: z.strictObject(paging),
        response: {
          200: pageSchema(serviceSchema, "Services, by name", examples.service),
          ...problems(...guarded, 503),
        },
      },
    },
    async ({ query, principal }) => {
      const page = await store.streams.services(principal.tenant, query);
      const open = await store.incidents.openByService(principal.tenant);
      return {
        ...page,
        items: page.items.map(({ service, signals, streams, lastSeen }) => ({
          service,
          signals: signals.map(signalName),
          streams: safeCount(streams),
          open_incidents: open.get(service) ?? 0,
          last_seen: formatNanos(lastSeen),
        })),
      };
    },
  );
  app.get(
    "/v1/services/graph",
    {
      config: { scope: "read" },
      schema: {
        tags,
        security,
        operationId: "getServiceGraph",
        summary: "Who calls whom, how often and how long, and what is usual",
        description:
          "The graph is learned from spans: calls between services, and to peers that send no spans. It is that of this process " +
          "since its start; what was not seen for an hour is left out.",
        querystring: noParameters,
        response: { 200: graphSchema.describe("The graph"), ...problems(...guarded) },
      },
    },
    async ({ principal }) => {
      const view = graph.view(principal.tenant);
      if (view === undefined) return { time: null, services: [], edges: [] };
      return {
        time: formatNanos(view.time),
        services: view.services.map(({ service, peer, ...rest }) => ({
          service,
          peer,
          ...trafficJson(rest),
        })),
        edges: view.edges.map(({ caller, callee, ...rest }) => ({ caller, callee, ...trafficJson(rest) })),
      };
    },
  );
}
