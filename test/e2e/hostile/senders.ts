/** Senders and readers that mean harm or are broken. Each one repeats its attack until it is aborted. */
import { once } from "node:events";
import { request } from "node:http";
import { connect as connectHttp2 } from "node:http2";
import { connect, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { gzipSync } from "node:zlib";
import { grpcMethod, httpPath } from "../../../src/otlp/protocol.ts";
import { callHeaders, hello, http2Frame } from "../../http2-frames.ts";
import { logs, longMetricName, wideResource } from "./bodies.ts";

/** The target of an attack: host:port of each listener. */
export interface Target {
  grpc: string;
  http: string;
  api: string;
}

export type Attack = (target: Target, stop: AbortSignal) => Promise<unknown>;

/** Connections that hold a place until the attack ends or the server closes them. */
class Sockets {
  readonly #open = new Set<Socket>();

  async open(address: string, greeting: string | Buffer): Promise<Socket> {
    const [host, port] = address.split(":") as [string, string];
    const socket = connect({ host, port: Number(port) });
    this.#open.add(socket);
    socket.on("error", () => {});
    socket.once("close", () => this.#open.delete(socket));
    socket.resume();
    socket.write(greeting);
    return socket;
  }

  close(): void {
    for (const socket of this.#open) socket.destroy();
  }
}

/** Opens `count` connections with `greeting`, holds them for `ms`, and starts again. */
function hold(to: keyof Target, count: number, greeting: string | Buffer, ms = 5_000): Attack {
  return async (target, stop) => {
    while (!stop.aborted) {
      const sockets = new Sockets();
      for (let i = 0; i < count; i++) await sockets.open(target[to], greeting);
      await sleep(ms, undefined, { signal: stop }).catch(() => {});
      sockets.close();
    }
  };
}

/** Sends `body` by OTLP/HTTP again and again, with a pause of `ms` between two requests. */
function post(
  path: string,
  body: () => Buffer | string,
  headers: Record<string, string> = {},
  ms = 100,
): Attack {
  return async ({ http }, stop) => {
    const [host, port] = http.split(":");
    while (!stop.aborted) {
      const call = request({
        host,
        port,
        path,
        method: "POST",
        signal: stop,
        headers: {
          "content-type": "application/x-protobuf",
          ...headers,
        },
      });
      call.on("error", () => {});
      call.once("response", (response) => response.resume());
      call.end(body());
      await once(call, "close", { signal: stop }).catch(() => {});
      await sleep(ms, undefined, { signal: stop }).catch(() => {});
    }
  };
}

const head = (path: string, headers: string) =>
  `POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\n${headers}\r\n\r\n`;

/** Sends `pieces` after `greeting` as fast as they are read, some MiB on each connection. */
const flood =
  (to: keyof Target, greeting: string | Buffer, pieces: string | Buffer): Attack =>
  async (target, stop) => {
    while (!stop.aborted) {
      const sockets = new Sockets();
      const socket = await sockets.open(target[to], greeting);
      for (let sent = 0; sent < 64 && !stop.aborted && !socket.destroyed; sent++) {
        if (!socket.write(pieces))
          await once(socket, "drain", { signal: AbortSignal.timeout(1_000) }).catch(() => {});
      }
      sockets.close();
      await sleep(200, undefined, { signal: stop }).catch(() => {});
    }
  };

const oneByteChunks = "1\r\n\n\r\n".repeat(16_384);

/** DATA frames of one byte each that fill the window of a stream. */
const oneByteFrames = Buffer.concat(
  Array.from({ length: 10_000 }, () => http2Frame(0, 0, 1, Buffer.alloc(1))),
);

/** Opens gRPC calls and resets each one at once, or stalls each one after the prefix of a message of 64 MiB. */
function calls(kind: "reset" | "stall"): Attack {
  return async ({ grpc }, stop) => {
    while (!stop.aborted) {
      const session = connectHttp2(`http://${grpc}`);
      session.on("error", () => {});
      for (let i = 0; i < 100 && !session.closed && !session.destroyed; i++) {
        const stream = session.request({
          ":method": "POST",
          ":path": grpcMethod.logs,
          "content-type": "application/grpc",
          te: "trailers",
        });
        stream.on("error", () => {});
        if (kind === "reset") stream.close(8);
        else stream.write(Buffer.from([0, 4, 0, 0, 0]));
      }
      await sleep(kind === "reset" ? 50 : 5_000, undefined, { signal: stop }).catch(() => {});
      session.destroy();
    }
  };
}

/** Reconnects with another Last-Event-ID again and again, and leaves as soon as the answer begins. */
const returningReader: Attack = async ({ api }, stop) => {
  for (let n = 1; !stop.aborted; n++) {
    const sockets = new Sockets();
    const id = `${n.toString(36)}-0`;
    const opened = await Promise.all(
      Array.from({ length: 20 }, () =>
        sockets.open(api, `GET /v1/stream/anomalies HTTP/1.1\r\nHost: x\r\nLast-Event-ID: ${id}\r\n\r\n`),
      ),
    );
    await Promise.race([once(opened[0]!, "data").catch(() => {}), sleep(500)]);
    sockets.close();
    await sleep(50, undefined, { signal: stop }).catch(() => {});
  }
};

const always =
  <T>(value: T) =>
  () =>
    value;

const random = () => Math.random().toString(36).slice(2);

/** All attacks by name, so that a report can show which of them ran. */
export const attacks: Record<string, Attack> = {
  "HTTP requests that announce 64 MiB": hold("http", 16, head(httpPath.logs, `Content-Length: ${2 ** 26}`)),
  "HTTP connections without a byte": hold("http", 300, ""),
  "HTTP headers without an end": hold("http", 100, "POST /v1/logs HTTP/1.1\r\nHost: x\r\nX-A: "),
  "HTTP/2 connections that stay silent": hold("grpc", 300, hello),
  "gRPC calls that announce 64 MiB": calls("stall"),
  "gRPC calls that are reset": calls("reset"),
  "API connections without a byte": hold("api", 300, ""),
  "readers that come back": returningReader,
  "bodies in chunks of one byte": flood(
    "http",
    head(httpPath.logs, "Transfer-Encoding: chunked"),
    oneByteChunks,
  ),
  "refused bodies in chunks of one byte": flood(
    "http",
    head("/no/such/path", "Transfer-Encoding: chunked"),
    oneByteChunks,
  ),
  "events in chunks of one byte": flood(
    "api",
    head("/v1/events", "Transfer-Encoding: chunked"),
    oneByteChunks,
  ),
  "pipelined requests": flood("http", "", "GET / HTTP/1.1\r\nHost: x\r\n\r\n".repeat(3_000)),
  "pipelined queries": flood("api", "", "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n".repeat(3_000)),
  "DATA frames of one byte": flood("grpc", Buffer.concat([hello, callHeaders(1, "logs")]), oneByteFrames),
  "a decompression bomb": post(
    httpPath.logs,
    always(gzipSync(Buffer.alloc(200 * 2 ** 20))),
    { "content-encoding": "gzip" },
    500,
  ),
  "a long metric name with many points": post(
    httpPath.metrics,
    always(gzipSync(longMetricName(2 ** 20, 2 ** 19))),
    { "content-encoding": "gzip" },
    1_000,
  ),
  "a wide resource with many scopes": post(httpPath.logs, always(wideResource(5_000)), {}, 500),
  "garbage as protobuf": post(httpPath.traces, () => Buffer.from(random().repeat(100))),
  "JSON of great depth": post(httpPath.logs, () => "[".repeat(50_000), {
    "content-type": "application/json",
  }),
  "JSON of great width": post(
    httpPath.logs,
    () => `{"resourceLogs":[${"{},".repeat(200_000)}{}]}`,
    { "content-type": "application/json" },
    1_000,
  ),
  "a storm of new errors": post(httpPath.logs, () =>
    logs({
      service: "storm",
      count: 200,
      severityNumber: 17,
      line: (n) => `ERROR ${random()} refused by ${n}`,
    }),
  ),
  "a new service with each request": post(
    httpPath.logs,
    () => logs({ service: random(), count: 10, line: (n) => `started worker ${n}` }),
    {},
    20,
  ),
  "a clock that is years ahead": post(
    httpPath.logs,
    () => logs({ service: "cart", count: 1, aheadNanos: 10n ** 17n, line: () => "tick" }),
    {},
    1_000,
  ),
};
