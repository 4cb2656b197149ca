/** The HTTP API: health, readiness, metrics, versions. */
import type { Socket } from "node:net";
import fastify, { type FastifyInstance, type FastifyReply } from "fastify";
import type { Logger } from "pino";
import type { Registry } from "prom-client";
import type { Versions } from "../telemetry/version.ts";
import { answerWithProblems, problem, problemType, sendProblem } from "./problem.ts";

/** A part of the process that must work for the whole to. */
export interface Component {
  name: string;
  ready: boolean;
  /** Why, in either case. */
  reason: string;
}

export interface ApiOptions {
  /** host:port */
  endpoint: string;
  registry: Registry;
  versions: Versions;
  readiness(): Component[];
  log: Logger;
}

export interface Api {
  /** host:port as bound. */
  address: string;
  close(): Promise<void>;
}

const limits = {
  bodyBytes: 16 * 2 ** 10,
  headerBytes: 16 * 2 ** 10,
  headers: 100,
  connections: 256,
  requestMs: 10_000,
  idleMs: 60_000,
  closeMs: 1_000,
};

function routes(app: FastifyInstance, { registry, versions, readiness }: ApiOptions): void {
  app.get("/healthz", () => ({ status: "ok" }));
  app.get("/readyz", (_request, reply) => {
    const components = readiness();
    const ready = components.every((component) => component.ready);
    reply.code(ready ? 200 : 503);
    return { status: ready ? "ready" : "not ready", components };
  });
  app.get("/metrics", async (_request, reply) => {
    const text = await registry.metrics();
    return reply.type(registry.contentType).send(text);
  });
  app.get("/v1/version", () => versions);
}

/** What Node's parser refuses before there is a request: answered as the rest is, then closed. */
function refuse(error: Error & { code?: string }, socket: Socket): void {
  if (!socket.writable || error.code === "ECONNRESET") {
    socket.destroy();
    return;
  }
  const status = { HPE_HEADER_OVERFLOW: 431, ERR_HTTP_REQUEST_TIMEOUT: 408 }[error.code ?? ""] ?? 400;
  const body = problem(status);
  const text = JSON.stringify(body);
  socket.end(
    `HTTP/1.1 ${status} ${body.title}\r\ncontent-type: ${problemType}\r\n` +
      `content-length: ${Buffer.byteLength(text)}\r\nconnection: close\r\n\r\n${text}`,
  );
}

const remedies: Readonly<Record<string, string>> = {
  EADDRINUSE: "another process listens there; stop it or choose another port",
  EACCES: "not permitted; choose a port above 1023",
  EADDRNOTAVAIL: "no interface of this machine has that address; use 127.0.0.1",
};

/**
 * Starts the API.
 * @throws {Error} that names the address and the remedy where it cannot be bound.
 */
export async function startApi(options: ApiOptions): Promise<Api> {
  const app = fastify({
    bodyLimit: limits.bodyBytes,
    requestTimeout: limits.requestMs,
    connectionTimeout: limits.idleMs,
    keepAliveTimeout: limits.idleMs,
    http: { maxHeaderSize: limits.headerBytes },
    routerOptions: { maxParamLength: 100 },
    forceCloseConnections: "idle",
    return503OnClosing: false,
    clientErrorHandler: refuse,
    frameworkErrors: (_error, _request, reply) =>
      sendProblem(reply as FastifyReply, 400, "the path is malformed"),
  });
  app.server.maxConnections = limits.connections;
  app.server.maxHeadersCount = limits.headers;
  app.addHook("onRequest", async (_request, reply) => {
    reply.headers({ "cache-control": "no-store", "x-content-type-options": "nosniff" });
  });
  answerWithProblems(app, options.log);
  routes(app, options);

  const at = options.endpoint.lastIndexOf(":");
  const host = options.endpoint.slice(0, at);
  try {
    await app.listen({ host: host.replace(/^\[|\]$/g, ""), port: Number(options.endpoint.slice(at + 1)) });
  } catch (cause) {
    const { code = "", message } = cause as NodeJS.ErrnoException;
    const why = remedies[code] ?? message;
    throw new Error(`api.endpoint: cannot listen on ${options.endpoint}: ${why}`, { cause });
  }
  const bound = app.server.address();
  const port = typeof bound === "object" && bound !== null ? bound.port : 0;
  return {
    address: `${host}:${port}`,
    async close() {
      // A client that does not end its request must not hold the process.
      const cut = setTimeout(() => app.server.closeAllConnections(), limits.closeMs);
      await app.close();
      clearTimeout(cut);
    },
  };
}
