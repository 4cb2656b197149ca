import type { FastifyRequest } from "fastify";
import type { Logger } from "pino";
import { z } from "zod";
import { channelNames, severityNames, signalNames } from "../../anomaly/names.ts";
import { peerOf } from "../../base/peer.ts";
import type { ExportError } from "../../otlp/protocol.ts";
import type { Store } from "../../store/index.ts";
import type { App } from "../app.ts";
import { examples } from "../examples.ts";
import { type Guard, senderOf } from "../guard.ts";
import { guarded, problems } from "../openapi.ts";
import { ApiError } from "../problem.ts";
import { id, oneOrMore } from "../query.ts";
import type { LiveHub, Reader } from "./hub.ts";
import { Replay } from "./replay.ts";
import { socketReader } from "./socket.ts";
import { sseReader } from "./sse.ts";

export const livePath = "/v1/stream/anomalies";

export interface LiveOptions extends Guard {
  hub: LiveHub;
  store: Store;
  log: Logger;
  /** How often readers are authenticated again: keys are revoked, and tokens expire. */
  recheckMs?: number;
}

const filters = z.strictObject({
  stream_id: id.optional(),
  service: z.string().max(256).optional(),
  signal: oneOrMore(z.enum(signalNames)),
  channel: oneOrMore(z.enum(channelNames)),
  severity: oneOrMore(z.enum(severityNames)),
  last_event_id: z
    .string()
    .max(128)
    .optional()
    .describe("Alternative for clients that cannot send the header Last-Event-ID"),
});
type Filters = z.output<typeof filters>;

function acceptsOf(query: Filters): Reader["accepts"] {
  const { stream_id, service, signal, channel, severity } = query;
  const all = [stream_id, service, signal, channel, severity];
  if (all.every((each) => each === undefined)) return undefined;
  const among = (wanted: readonly string[] | undefined, value: string) => wanted?.includes(value) ?? true;
  return (item) =>
    (stream_id === undefined || item.stream_id === stream_id) &&
    (service === undefined || item.service === service) &&
    among(signal, item.signal) &&
    among(severity, item.severity) &&
    item.channels.some((each) => among(channel, each));
}

const defaultRecheckMs = 60_000;
const retryAfter = { "retry-after": "10" };

export function liveRoutes(
  app: App,
  { hub, store, access, log, recheckMs = defaultRecheckMs }: LiveOptions,
): void {
  const replay = new Replay(store, log);
  /** Subscribes the reader until its connection closes. */
  const listen = (
    request: FastifyRequest,
    connection: { once(event: "close", listener: () => void): unknown },
    reader: Reader,
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
    url: livePath,
    exposeHeadRoute: false,
    config: { scope: "read", boundedAnswer: true },
    schema: {
      tags: ["live"],
      security: [{ bearer: [] }],
      operationId: "streamAnomalies",
      summary: "Stream anomalies as they are found, by server-sent events or WebSocket",
      description:
        "Events are `anomaly` (a report) and `judgement` (a triage), both with the anomaly as data, `gap` (events are missing " +
        "before the next one: list the anomalies) and `dropped` (the reason why the connection ends). A client that " +
        "reconnects with `Last-Event-ID` receives the events that it missed, also after a restart: anomalies whose events " +
        "this process no longer holds are read from the store, each once and in its current state. Comments and pings are " +
        'sent every 15 s. In a WebSocket an event is a JSON text `{"id", "event", "data"}`, and the close frame contains the ' +
        "reason why the connection ends; browsers pass their key in the subprotocols `driftlock` and `bearer.KEY`.",
      querystring: filters,
      response: {
        200: {
          description: "Events, until either side closes the connection",
          content: { "text/event-stream": { schema: z.string().meta({ examples: [examples.events] }) } },
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
        accepts: acceptsOf(query),
      });
      listen(request, reply.raw, reader, lastIdOf(request));
    },
    wsHandler: (socket, request) => {
      const query = request.query as Filters;
      const reader = socketReader(socket, request.raw.socket, {
        tenant: request.principal.tenant,
        peer: peerOf(request.raw.socket.remoteAddress),
        accepts: acceptsOf(query),
      });
      listen(request, socket, reader, lastIdOf({ headers: request.headers, query }));
    },
  });
}
