/** The HTTP API. */

import websocket from "@fastify/websocket";
import fastify, { type FastifyReply } from "fastify";
import { serializerCompiler } from "fastify-type-provider-zod";
import type { Logger } from "pino";
import { listenError, parseListen } from "../base/address.ts";
import { type Connections, limitConnections } from "../base/connections.ts";
import { PendingResponses } from "../base/pending-responses.ts";
import { printableJson } from "../base/printable.ts";
import type { Config } from "../config/schema.ts";
import { type AnomalyOptions, anomalyRoutes } from "./anomalies.ts";
import { limitAnswers } from "./answers.ts";
import type { App } from "./app.ts";
import { auditRoutes } from "./audit.ts";
import { answerWithProblems } from "./errors.ts";
import { type EventOptions, eventRoutes } from "./events/routes.ts";
import { evidenceRoutes } from "./evidence.ts";
import { validatorCompiler } from "./faults.ts";
import { type Guard, guardRoutes } from "./guard.ts";
import { type HealthOptions, healthRoutes } from "./health.ts";
import type { LiveHub } from "./live/hub.ts";
import { livePath, liveRoutes } from "./live/routes.ts";
import { describeRoutes, serveDescription } from "./openapi.ts";
import { problem, sendProblem } from "./problem.ts";
import { secure } from "./security.ts";
import { streamRoutes } from "./streams.ts";
import { refuseHandshake, refuseUnparsed } from "./unparsed.ts";
import { usageRoutes } from "./usage.ts";

export type { Component } from "./health.ts";

export interface ApiOptions extends HealthOptions, AnomalyOptions, EventOptions, Guard {
  config: Pick<Config["api"], "endpoint" | "cors_origins">;
  /** Nobody has to say who they are. */
  open: boolean;
  hub: LiveHub;
  /** Between two looks at who listens. */
  recheckMs?: number;
  /** From a request's first byte to its last. */
  requestMs?: number;
  /** For a connection on which nothing moves. */
  idleMs?: number;
  /** The most that are open, those who listen among them. */
  connections?: number;
  /** The most that answers hold until their callers have taken them. */
  answerBytes?: number;
  log: Logger;
}

export interface Api {
  /** host:port as bound. */
  address: string;
  connections: Pick<Connections, "size" | "counts">;
  close(): Promise<void>;
}

const limits = {
  bodyBytes: 16 * 2 ** 10,
  headerBytes: 16 * 2 ** 10,
  headers: 100,
  connections: 4_096,
  answerBytes: 64 * 2 ** 20,
  requestMs: 30_000,
  idleMs: 60_000,
  closeMs: 1_000,
  /** Of a message that a WebSocket's client sends; none is expected. */
  messageBytes: 1_024,
};

async function build(options: ApiOptions): Promise<{ app: App; connections: Connections }> {
  const { requestMs = limits.requestMs, idleMs = limits.idleMs } = options;
  const pending = new PendingResponses();
  const app: App = fastify({
    bodyLimit: limits.bodyBytes,
    requestTimeout: requestMs,
    connectionTimeout: idleMs,
    keepAliveTimeout: limits.idleMs,
    http: {
      maxHeaderSize: limits.headerBytes,
      // Fastify sets `requestTimeout` alone, and Node exchanges the two where that for the headers, 60 s, is the longer one.
      headersTimeout: requestMs,
      requestTimeout: requestMs,
      connectionsCheckingInterval: Math.min(requestMs, 1_000),
      // Its absence is a problem like others: see security.ts.
      requireHostHeader: false,
      // What asks for anything else, HTTP/2 without TLS for instance, is answered by HTTP/1.1.
      shouldUpgradeCallback: ({ method, url, headers }) =>
        method === "GET" &&
        headers.upgrade?.toLowerCase() === "websocket" &&
        url!.split("?", 1)[0] === livePath,
    },
    routerOptions: { maxParamLength: 100 },
    forceCloseConnections: "idle",
    return503OnClosing: false,
    clientErrorHandler: refuseUnparsed({ headerBytes: limits.headerBytes, requestMs }, pending),
    frameworkErrors: (_error, _request, reply) =>
      sendProblem(reply as FastifyReply, problem(400, "the path is malformed")),
  });
  app.server.on("request", (_request, response) => pending.add(response));
  const connections = limitConnections(app.server, options.connections ?? limits.connections);
  app.server.maxHeadersCount = limits.headers;
  // Such as Node does not know are left unheeded.
  app.server.on("checkExpectation", (request, response) => app.server.emit("request", request, response));
  app.setValidatorCompiler(validatorCompiler);
  app.setSerializerCompiler(serializerCompiler);
  app.addHook("onRequest", ({ raw }, _reply, done) => {
    // What had been read of a connection that was closed meanwhile, such as for too many requests, goes no further.
    if (!raw.socket.destroyed) done();
  });
  app.addHook("onSend", async (_request, reply, payload) => {
    const isJson = typeof payload === "string" && String(reply.getHeader("content-type")).includes("json");
    return isJson ? printableJson(payload) : payload;
  });
  app.removeContentTypeParser("text/plain");
  await app.register(websocket, {
    options: {
      maxPayload: limits.messageBytes,
      perMessageDeflate: false,
      // See socket.ts.
      autoPong: false,
      handleProtocols: (offered) => offered.has("driftlock") && "driftlock",
    },
  });
  app.websocketServer.on("wsClientError", refuseHandshake);
  await describeRoutes(app, options.versions.version);
  secure(app, { corsOrigins: options.config.cors_origins, open: options.open });
  guardRoutes(app, options);
  limitAnswers(app, options.answerBytes ?? limits.answerBytes);
  answerWithProblems(app, options.log);
  healthRoutes(app, options);
  anomalyRoutes(app, options);
  streamRoutes(app, options);
  evidenceRoutes(app, options);
  auditRoutes(app, options);
  usageRoutes(app, options);
  liveRoutes(app, options);
  eventRoutes(app, options);
  serveDescription(app);
  return { app, connections };
}

/**
 * Starts the API.
 * @throws {Error} that names the address and the remedy where it cannot be bound.
 */
export async function startApi(options: ApiOptions): Promise<Api> {
  const { app, connections } = await build(options);
  const { endpoint } = options.config;
  try {
    await app.listen(parseListen(endpoint));
  } catch (cause) {
    throw listenError("api.endpoint", endpoint, cause as NodeJS.ErrnoException);
  }
  const bound = app.server.address();
  const port = typeof bound === "object" && bound !== null ? bound.port : 0;
  return {
    address: `${endpoint.slice(0, endpoint.lastIndexOf(":"))}:${port}`,
    connections,
    async close() {
      options.hub.close();
      // A client that does not end its request must not hold the process.
      const cut = setTimeout(() => app.server.closeAllConnections(), limits.closeMs);
      await app.close();
      clearTimeout(cut);
    },
  };
}
