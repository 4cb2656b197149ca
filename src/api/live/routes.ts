import type { FastifyRequest } from "fastify";
import type { Logger } from "pino";
import { z } from "zod";
import { channelNames, incidentStates, severityNames, signalNames } from "../../anomaly/names.ts";
import { peerOf } from "../../base/peer.ts";
import type { AnomalyJson } from "../../json/anomaly-schema.ts";
import { examples } from "../../json/examples.ts";
import type { IncidentJson } from "../../json/incident-schema.ts";
import type { ExportError } from "../../otlp/protocol.ts";
import type { Store } from "../../store/index.ts";
import type { App } from "../app.ts";
import { type Guard, senderOf } from "../guard.ts";
import { guarded, problems } from "../openapi.ts";
import { ApiError } from "../problem.ts";
import { id, oneOrMore } from "../query.ts";
import type { LiveItem } from "./event.ts";
import type { LiveHub, Reader } from "./hub.ts";
import { Replay, type Source } from "./replay.ts";
import { socketReader } from "./socket.ts";
import { anomalySource, incidentSource } from "./sources.ts";
import { sseReader } from "./sse.ts";

const anomalyPath = "/v1/stream/anomalies";
const incidentPath = "/v1/stream/incidents";
/** The paths at which WebSockets may connect. */
export const livePaths: readonly string[] = [anomalyPath, incidentPath];

export interface LiveOptions extends Guard {
  hub: LiveHub<AnomalyJson>;
  incidentHub: LiveHub<IncidentJson>;
  store: Store;
  log: Logger;
  /** How often readers are authenticated again: keys are revoked, and tokens expire. */
  recheckMs?: number;
}

const lastEventId = z
  .string()
  .max(128)
  .optional()
  .describe("Alternative for clients that cannot send the header Last-Event-ID");

const anomalyFilters = z.strictObject({
  stream_id: id.optional(),
  service: z.string().max(256).optional(),
  signal: oneOrMore(z.enum(signalNames)),
  channel: oneOrMore(z.enum(channelNames)),
  severity: oneOrMore(z.enum(severityNames)),
  last_event_id: lastEventId,
});

const incidentFilters = z.strictObject({
  service: z.string().max(256).optional(),
  severity: oneOrMore(z.enum(severityNames)),
  state: oneOrMore(z.enum(incidentStates)),
  minor: z.enum(["true", "false"]).optional(),
  last_event_id: lastEventId,
});

const among = (wanted: readonly string[] | undefined, value: string) => wanted?.includes(value) ?? true;

function anomaliesLike(query: z.output<typeof anomalyFilters>): Reader<AnomalyJson>["accepts"] {
  const { stream_id, service, signal, channel, severity } = query;
  const all = [stream_id, service, signal, channel, severity];
  if (all.every((each) => each === undefined)) return undefined;
  return (item) =>
    (stream_id === undefined || item.stream_id === stream_id) &&
    (service === undefined || item.service === service) &&
    among(signal, item.signal) &&
    among(severity, item.severity) &&
    item.channels.some((each) => among(channel, each));
}

function incidentsLike(query: z.output<typeof incidentFilters>): Reader<IncidentJson>["accepts"] {
  const { service, severity, state, minor } = query;
  const all = [service, severity, state, minor];
  if (all.every((each) => each === undefined)) return undefined;
  return (item) =>
    (service === undefined || item.services.includes(service)) &&
    among(severity, item.severity) &&
    among(state, item.state) &&
    (minor === undefined || item.minor === (minor === "true"));
}

const defaultRecheckMs = 60_000;
const retryAfter = { "retry-after": "10" };

const delivery =
  "`gap` (events are missing before the next one: list what they are about) and `dropped` (the reason why the connection " +
  "ends). A client that reconnects with `Last-Event-ID` receives the events that it missed, also after a restart: what " +
  "this process no longer holds is read from the store, each item once and in its current state. Comments and pings are " +
  'sent every 15 s. In a WebSocket an event is a JSON text `{"id", "event", "data"}`, and the close frame contains the ' +
  "reason why the connection ends; browsers pass their key in the subprotocols `driftlock` and `bearer.KEY`.";

/** A route that streams events. */
interface LiveRoute<T extends LiveItem, F extends z.ZodType<{ last_event_id?: string | undefined }>> {
  path: string;
  hub: LiveHub<T>;
  source: Source<T>;
  filters: F;
  acceptsOf(query: z.output<F>): Reader<T>["accepts"];
  operationId: string;
  summary: string;
  description: string;
  example: string;
}

export function liveRoutes(app: App, options: LiveOptions): void {
  const { store } = options;
  liveRoute(app, options, {
    path: anomalyPath,
    hub: options.hub,
    source: anomalySource(store),
    filters: anomalyFilters,
    acceptsOf: anomaliesLike,
    operationId: "streamAnomalies",
    summary: "Stream anomalies as they are found, by server-sent events or WebSocket",
    description: `Events are \`anomaly\` (a report) and \`judgement\` (a triage), both with the anomaly as data, ${delivery}`,
    example: examples.events,
  });
  liveRoute(app, options, {
    path: incidentPath,
    hub: options.incidentHub,
    source: incidentSource(store),
    filters: incidentFilters,
    acceptsOf: incidentsLike,
    operationId: "streamIncidents",
    summary: "Stream incidents as they begin, grow and end, by server-sent events or WebSocket",
    description:
      "Events are `incident` (it has begun, grown, ended or become part of another one; it is stored) and `judgement` (a person's " +
      `decision), both with the incident as data, ${delivery}`,
    example: examples.incidentEvents,
  });
}

function liveRoute<T extends LiveItem, F extends z.ZodType<{ last_event_id?: string | undefined }>>(
  app: App,
  { access, log, recheckMs = defaultRecheckMs }: LiveOptions,
  { path, hub, source, filters, acceptsOf, operationId, summary, description, example }: LiveRoute<T, F>,
): void {
  type Filters = z.output<F>;
  const replay = new Replay(source, log);
  /** Subscribes the reader until its connection closes. */
  const listen = (
    request: FastifyRequest,
    connection: { once(event: "close", listener: () => void): unknown },
    reader: Reader<T>,
    lastId: string | undefined,
  ) => {
    // The reader may have gone while its key was verified, and no later event would report it.
    if (request.raw.socket.destroyed) return;
    const { returning, end } = hub.subscribe(reader, lastId);
    const gone = new AbortController();
    if (returning !== undefined) void replay.run(reader, returning, gone.signal);
    const sender = senderOf(request);
    const recheck = setInterval(() => {
      access.admit(sender, "read").catch((error: ExportError) => {
        // What cannot be verified at present is verified again later.
        if (error.retryAfterMs === undefined) reader.drop("refused", error.message);
      });
    }, recheckMs).unref();
    connection.once("close", () => {
      clearInterval(recheck);
      gone.abort();
      end();
    });
  };
  const lastIdOf = ({ headers, query }: { headers: FastifyRequest["headers"]; query: Filters }) => {
    const header = headers["last-event-id"];
    return typeof header === "string" && header !== "" ? header : query.last_event_id;
  };

  app.route({
    method: "GET",
    url: path,
    exposeHeadRoute: false,
    config: { scope: "read", boundedAnswer: true },
    schema: {
      tags: ["live"],
      security: [{ bearer: [] }],
      operationId,
      summary,
      description,
      querystring: filters,
      response: {
        200: {
          description: "Events, until either side closes the connection",
          content: { "text/event-stream": { schema: z.string().meta({ examples: [example] }) } },
        },
        ...problems(...guarded, 503),
      },
    },
    preHandler: async ({ principal, raw }) => {
      const refusal = hub.refusal(principal.tenant, peerOf(raw.socket.remoteAddress));
      if (refusal !== undefined) throw new ApiError(503, refusal, retryAfter);
    },
    handler: (request, reply) => {
      const { query, principal } = request;
      reply.hijack();
      const reader = sseReader(reply.raw, reply.getHeaders(), {
        tenant: principal.tenant,
        peer: peerOf(request.raw.socket.remoteAddress),
        accepts: acceptsOf(query as Filters),
      });
      listen(request, reply.raw, reader, lastIdOf({ headers: request.headers, query: query as Filters }));
    },
    wsHandler: (socket, request) => {
      const query = request.query as Filters;
      const reader = socketReader(socket, request.raw.socket, {
        tenant: request.principal.tenant,
        peer: peerOf(request.raw.socket.remoteAddress),
        accepts: acceptsOf(query as Filters),
      });
      listen(request, socket, reader, lastIdOf({ headers: request.headers, query }));
    },
  });
}
