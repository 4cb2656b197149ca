/**
 * The thread that answers probes. It asks the event loop for the current state, and answers with the last known state if
 * the event loop is busy. Metrics wait for the event loop.
 */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { parentPort, workerData } from "node:worker_threads";
import { listenError, parseListen } from "../base/address.ts";
import { limitConnections } from "../base/connections.ts";

interface Answer {
  status: number;
  /** An object becomes JSON. */
  body: object | string;
  type?: string;
}

export type ProbeAnswers = Record<"healthz" | "readyz", Answer>;

export interface ProbeData {
  endpoint: string;
  stuckAfter: number;
  first: ProbeAnswers;
  /** The media type of metrics. */
  metricsType: string;
}

/** Messages of the thread: a request for the state or the metrics, the address at which it listens, or the reason why it cannot. */
export type ProbeMessage = "ask" | "metrics" | { address: string } | { failure: string };

const limits = { connections: 64, headerBytes: 4 * 2 ** 10, requestMs: 5_000, idleMs: 15_000 };

/** How long the thread waits for the event loop. Probes have a timeout of one second by default. */
const askMs = 300;
/** Prometheus waits for ten seconds by default. */
const metricsMs = 5_000;

const { endpoint, stuckAfter, first, metricsType } = workerData as ProbeData;
const port = parentPort!;
const tell = (message: ProbeMessage) => port.postMessage(message);

let known = first;
let knownAt = performance.now();
/** Settle what asks; all who ask at once share an answer. */
let asking: PromiseWithResolvers<void> | undefined;
let asksForMetrics: PromiseWithResolvers<string | null> | undefined;
port.on("message", (message: ProbeAnswers | { metrics: string | null }) => {
  if ("metrics" in message) {
    asksForMetrics?.resolve(message.metrics);
    asksForMetrics = undefined;
    return;
  }
  known = message;
  knownAt = performance.now();
  asking?.resolve();
  asking = undefined;
});

const stuck: ProbeAnswers = {
  healthz: { status: 503, body: { status: "stuck" } },
  readyz: { status: 503, body: { status: "not ready", components: [] } },
};

const passed = (ms: number) => sleep(ms, undefined, { ref: false });

async function currentAnswers(): Promise<ProbeAnswers> {
  if (asking === undefined) {
    asking = Promise.withResolvers();
    tell("ask");
  }
  await Promise.race([asking.promise, passed(askMs)]);
  return stuckAfter > 0 && performance.now() - knownAt >= stuckAfter ? stuck : known;
}

async function currentMetrics(): Promise<Answer> {
  if (asksForMetrics === undefined) {
    asksForMetrics = Promise.withResolvers();
    tell("metrics");
  }
  const text = await Promise.race([asksForMetrics.promise, passed(metricsMs)]);
  if (typeof text === "string") return { status: 200, body: text, type: metricsType };
  return { status: 503, body: { status: "the process is busy" } };
}

async function answerTo(method: string, path: string | undefined): Promise<Answer> {
  if (method !== "GET" && method !== "HEAD") return { status: 405, body: { status: "use GET" } };
  if (path === "/healthz") return (await currentAnswers()).healthz;
  if (path === "/readyz") return (await currentAnswers()).readyz;
  if (path === "/metrics") return currentMetrics();
  return { status: 404, body: { status: "there are /healthz, /readyz and /metrics" } };
}

const server = createServer(
  {
    maxHeaderSize: limits.headerBytes,
    headersTimeout: limits.requestMs,
    requestTimeout: limits.requestMs,
    connectionsCheckingInterval: 1_000,
    keepAliveTimeout: limits.idleMs,
  },
  async ({ method = "", url = "", socket }, response) => {
    // The connection was closed because of too many requests.
    if (socket.destroyed) return;
    const { status, body, type = "application/json" } = await answerTo(method, url.split("?", 1)[0]);
    const headers = { "content-type": type, "cache-control": "no-store" };
    response.writeHead(status, headers).end(typeof body === "string" ? body : JSON.stringify(body));
  },
);
server.setTimeout(limits.idleMs);
limitConnections(server, limits.connections);
server.once("error", (error) => tell({ failure: listenError("health.endpoint", endpoint, error).message }));
server.listen(parseListen(endpoint), () => {
  const host = endpoint.slice(0, endpoint.lastIndexOf(":"));
  tell({ address: `${host}:${(server.address() as AddressInfo).port}` });
});
