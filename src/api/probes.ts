/**
 * Health and readiness on a listener of their own, so that nobody who reaches the API's port can keep probes out. It tells
 * names and states alone, and needs no key.
 */
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { parseListen } from "../config/address.ts";
import { limitConnections } from "../receive/connections.ts";
import { listenError } from "../receive/listen.ts";
import { type HealthOptions, isServing, livenessOf, readinessOf } from "./health.ts";

export interface Probes {
  /** host:port as bound. */
  address: string;
  close(): Promise<void>;
}

const limits = { connections: 64, headerBytes: 4 * 2 ** 10, requestMs: 5_000, idleMs: 15_000 };

/** @throws {Error} that names the address and the remedy where it cannot be bound. */
export async function startProbes(
  endpoint: string,
  { readiness, alive }: Pick<HealthOptions, "readiness" | "alive">,
): Promise<Probes> {
  const answerTo = ({ url = "", method = "" }: IncomingMessage): { status: number; body: object } => {
    if (method !== "GET" && method !== "HEAD") return { status: 405, body: { status: "use GET" } };
    switch (url.split("?", 1)[0]) {
      case "/healthz": {
        const body = livenessOf(alive());
        return { status: body.status === "ok" ? 200 : 503, body };
      }
      case "/readyz": {
        const body = readinessOf(readiness(), false);
        return { status: isServing(body) ? 200 : 503, body };
      }
      default:
        return { status: 404, body: { status: "there are /healthz and /readyz" } };
    }
  };
  const server = createServer(
    {
      maxHeaderSize: limits.headerBytes,
      headersTimeout: limits.requestMs,
      requestTimeout: limits.requestMs,
      connectionsCheckingInterval: 1_000,
      keepAliveTimeout: limits.idleMs,
    },
    (request, response) => {
      const { status, body } = answerTo(request);
      const headers = { "content-type": "application/json", "cache-control": "no-store" };
      response.writeHead(status, headers).end(JSON.stringify(body));
    },
  );
  server.setTimeout(limits.idleMs);
  limitConnections(server, limits.connections);
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error) => reject(listenError("health.endpoint", endpoint, error)));
    server.listen(parseListen(endpoint), resolve);
  });
  const { port } = server.address() as AddressInfo;
  return {
    address: `${endpoint.slice(0, endpoint.lastIndexOf(":"))}:${port}`,
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}
