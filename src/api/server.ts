/** The HTTP API. */

import websocket from "@fastify/websocket";
import fastify, { type FastifyReply } from "fastify";
import { serializerCompiler } from "fastify-type-provider-zod";
import { listenError, parseListen } from "../base/address.ts";
import { type Connections, limitConnections } from "../base/connections.ts";
import { PendingResponses } from "../base/pending-responses.ts";
import { printableJson } from "../base/printable.ts";
import type { Config } from "../config/schema.ts";
import { type AnomalyOptions, anomalyRoutes } from "./anomalies.ts";
import { limitAnswers } from "./answers.ts";
import type { App } from "./app.ts";
import { auditRoutes } from "./audit.ts";
import { type BillingOptions, billingRoutes } from "./billing.ts";
import { type ChangeOptions, changeRoutes } from "./changes.ts";
import { builtDashboard, pageAnswerer, readDashboard, serveDashboard } from "./dashboard.ts";
import { answerWithProblems } from "./errors.ts";
import { type EvidenceOptions, evidenceRoutes } from "./evidence.ts";
import { guardRoutes } from "./guard.ts";
import { type HealthOptions, healthRoutes } from "./health.ts";
import { type IncidentOptions, incidentRoutes } from "./incidents.ts";
import { type IngestOptions, ingestRoutes } from "./ingest/routes.ts";
import { keyRoutes } from "./keys.ts";
import { type LiveOptions, livePaths, liveRoutes } from "./live/routes.ts";
import { llmRoutes } from "./llm.ts";
import { notableRoutes } from "./notable.ts";
import { type NotificationOptions, notificationRoutes } from "./notifications.ts";
import { describeRoutes, serveDescription } from "./openapi.ts";
import { policyRoutes } from "./policies.ts";
import { problem, sendProblem } from "./problem.ts";
import { type ReportOptions, reportRoutes } from "./reports.ts";
import { secure } from "./security.ts";
import { type ServiceOptions, serviceRoutes } from "./services.ts";
import { sessionRoutes } from "./session.ts";
import { type SilenceOptions, silenceRoutes } from "./silences.ts";
import { streamRoutes } from "./streams.ts";
import { refuseHandshake, refuseUnparsed } from "./unparsed.ts";
import { usageRoutes } from "./usage.ts";
import { validatorCompiler } from "./validation.ts";

export type { Component } from "./health.ts";

export interface ApiOptions
  extends HealthOptions,
    AnomalyOptions,
    IncidentOptions,
    ReportOptions,
    ChangeOptions,
    ServiceOptions,
    IngestOptions,
    EvidenceOptions,
    SilenceOptions,
    NotificationOptions,
    BillingOptions,
    LiveOptions {
  config: Pick<Config["api"], "endpoint" | "cors_origins">;
  /** Whether authentication is disabled. */
  open: boolean;
  /** The folder of the built dashboard. If it has none, none is served. */
  dashboard?: string;
  /** The time from a request's first byte to its last, in milliseconds. */
  requestMs?: number;
  /** How long a connection may be idle, in milliseconds. */
  idleMs?: number;
  /** Maximum number of open connections, including live readers. */
  connections?: number;
  /** Maximum bytes of answers that were not read yet. */
  answerBytes?: number;
}

export interface Api {
  /** The address that is bound, as host:port. */
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
  /** Maximum size of a message from a WebSocket client; none is expected. */
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
      // Fastify only sets `requestTimeout`, and Node swaps the two if the headers' timeout of 60 s is the longer one.
      headersTimeout: requestMs,
      requestTimeout: requestMs,
      connectionsCheckingInterval: Math.min(requestMs, 1_000),
      // A missing host is answered like other problems: see security.ts.
      requireHostHeader: false,
      // Requests to upgrade to anything else, such as HTTP/2 without TLS, are answered by HTTP/1.1.
      shouldUpgradeCallback: ({ method, url, headers }) =>
        method === "GET" &&
        headers.upgrade?.toLowerCase() === "websocket" &&
        livePaths.includes(url!.split("?", 1)[0]!),
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
  // Expectations that Node does not know are ignored.
  app.server.on("checkExpectation", (request, response) => app.server.emit("request", request, response));
  app.setValidatorCompiler(validatorCompiler);
  app.setSerializerCompiler(serializerCompiler);
  app.addHook("onRequest", ({ raw }, _reply, done) => {
    // Requests of a connection that was closed meanwhile, such as for too many requests, are ignored.
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
  const dashboard = await readDashboard(options.dashboard ?? builtDashboard);
  answerWithProblems(app, options.log, dashboard && pageAnswerer(dashboard));
  if (dashboard) serveDashboard(app, dashboard);
  healthRoutes(app, options);
  incidentRoutes(app, options);
  reportRoutes(app, options);
  changeRoutes(app, options);
  serviceRoutes(app, options);
  sessionRoutes(app, options);
  anomalyRoutes(app, options);
  notableRoutes(app, options);
  streamRoutes(app, options);
  policyRoutes(app, options);
  silenceRoutes(app, options);
  evidenceRoutes(app, options);
  keyRoutes(app, options);
  notificationRoutes(app, options);
  auditRoutes(app, options);
  usageRoutes(app, options);
  billingRoutes(app, options);
  liveRoutes(app, options);
  ingestRoutes(app, options);
  llmRoutes(app, options);
  serveDescription(app);
  return { app, connections };
}

/**
 * Starts the API.
 * @throws {Error} with the address and the remedy if it cannot be bound.
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
      options.incidentHub.close();
      // A client that does not complete its request must not delay the end of the process.
      const cut = setTimeout(() => app.server.closeAllConnections(), limits.closeMs);
      await app.close();
      clearTimeout(cut);
    },
  };
}
