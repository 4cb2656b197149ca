/**
 * The thread that answers probes. It asks the event loop for the current state, and answers with the last known state if
 * the event loop is busy.
 */
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { parentPort, workerData } from "node:worker_threads";
import { listenError, parseListen } from "../base/address.ts";
import { limitConnections } from "../base/connections.ts";

interface Answer {
  status: number;
  body: object;
}

export type ProbeAnswers = Record<"healthz" | "readyz", Answer>;

export interface ProbeData {
  endpoint: string;
  stuckAfter: number;
  first: ProbeAnswers;
}

/** Messages of the thread: a request for the state, the address at which it listens, or the reason why it cannot. */
export type ProbeMessage = "ask" | { address: string } | { failure: string };

const limits = { connections: 64, headerBytes: 4 * 2 ** 10, requestMs: 5_000, idleMs: 15_000 };

/** How long the thread waits for the event loop. Probes have a timeout of one second by default. */
const askMs = 300;

const { endpoint, stuckAfter, first } = workerData as ProbeData;
const port = parentPort!;
const tell = (message: ProbeMessage) => port.postMessage(message);

let known = first;
let knownAt = performance.now();
port.on("message", (answers: ProbeAnswers) => {
  known = answers;
  knownAt = performance.now();
});

const stuck: ProbeAnswers = {
  healthz: { status: 503, body: { status: "stuck" } },
  readyz: { status: 503, body: { status: "not ready", components: [] } },
};

async function currentAnswers(): Promise<ProbeAnswers> {
  tell("ask");
  await once(port, "message", { signal: AbortSignal.timeout(askMs) }).catch(() => {});
  return stuckAfter > 0 && performance.now() - knownAt >= stuckAfter ? stuck : known;
}

async function answerTo(method: string, path: string | undefined): Promise<Answer> {
  if (method !== "GET" && method !== "HEAD") return { status: 405, body: { status: "use GET" } };
  if (path === "/healthz") return (await currentAnswers()).healthz;
  if (path === "/readyz") return (await currentAnswers()).readyz;
  return { status: 404, body: { status: "there are /healthz and /readyz" } };
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
    const { status, body } = await answerTo(method, url.split("?", 1)[0]);
    const headers = { "content-type": "application/json", "cache-control": "no-store" };
    response.writeHead(status, headers).end(JSON.stringify(body));
  },
);
server.setTimeout(limits.idleMs);
limitConnections(server, limits.connections);
server.once("error", (error) => tell({ failure: listenError("health.endpoint", endpoint, error).message }));
server.listen(parseListen(endpoint), () => {
  const host = endpoint.slice(0, endpoint.lastIndexOf(":"));
  tell({ address: `${host}:${(server.address() as AddressInfo).port}` });
});
