/** Downstreams on loopback, for both protocols, whose answers a test chooses. */
import {
  createServer,
  type IncomingMessage,
  type Server as PlainServer,
  type ServerResponse,
} from "node:http";
import { createServer as createSecureServer, type ServerOptions } from "node:https";
import type { AddressInfo } from "node:net";
import { gunzipSync, zstdDecompressSync } from "node:zlib";
import { create, toBinary } from "@bufbuild/protobuf";
import { anyPack, durationFromMs } from "@bufbuild/protobuf/wkt";
import {
  type ChannelOptions,
  Metadata,
  Server,
  ServerCredentials,
  type ServerUnaryCall,
  type sendUnaryData,
} from "@grpc/grpc-js";
import pino from "pino";
import { configSchema, type ForwardConfig } from "../../src/config/schema.ts";
import type { DropReason, DurableHooks } from "../../src/forward/index.ts";
import { RetryInfoSchema } from "../../src/gen/google/rpc/error_details_pb.js";
import { StatusSchema } from "../../src/gen/google/rpc/status_pb.js";
import { ExportLogsServiceResponseSchema } from "../../src/gen/opentelemetry/proto/collector/logs/v1/logs_service_pb.js";
import {
  type Code,
  grpcMethod,
  httpPath,
  type PartialSuccess,
  type Signal,
  signals,
} from "../../src/otlp/protocol.ts";

export type Protocol = "grpc" | "http";

export interface Received {
  signal: Signal;
  body: Buffer;
  /** Header and metadata values by lower-case name. */
  headers: Record<string, string>;
  /** Aborted when the client abandons the request. */
  cancelled: AbortSignal;
}

export interface Reply {
  partialSuccess?: PartialSuccess;
  /** A gRPC code, or an HTTP status. */
  status?: number;
  message?: string;
  /** The delay of RetryInfo, or of Retry-After in whole seconds. */
  retryAfterMs?: number;
  /** The exact bytes of the answer. */
  body?: Buffer;
  headers?: Record<string, string>;
}

export interface Downstream {
  endpoint: string;
  port: number;
  /** Requests received, without the empty ones that check whether the downstream is available. */
  received: Received[];
  close(): Promise<void>;
}

type Handler = (request: Received, index: number) => Reply | Promise<Reply>;

interface Options {
  /** The address to listen on, by default 127.0.0.1. */
  host?: string;
  port?: number;
  tls?: { cert: string; key: string; ca?: string };
  channel?: ChannelOptions;
}

export function unavailable(protocol: Protocol): Reply {
  return protocol === "grpc" ? { status: 14 } : { status: 503 };
}

/** The three responses are alike on the wire. */
function responseBytes({ body, partialSuccess }: Reply): Buffer {
  if (body) return body;
  const partial = partialSuccess && {
    rejectedLogRecords: BigInt(partialSuccess.rejected),
    errorMessage: partialSuccess.message,
  };
  return Buffer.from(
    toBinary(
      ExportLogsServiceResponseSchema,
      create(ExportLogsServiceResponseSchema, { partialSuccess: partial }),
    ),
  );
}

export function statusBytes(code: number, message: string, retryAfterMs?: number): Buffer {
  const details =
    retryAfterMs === undefined
      ? []
      : [anyPack(RetryInfoSchema, create(RetryInfoSchema, { retryDelay: durationFromMs(retryAfterMs) }))];
  return Buffer.from(toBinary(StatusSchema, create(StatusSchema, { code, message, details })));
}

export function startDownstream(
  protocol: Protocol,
  handler: Handler = () => ({}),
  options: Options = {},
): Promise<Downstream> {
  return protocol === "grpc" ? startGrpc(handler, options) : startHttp(handler, options);
}

async function startGrpc(
  handler: Handler,
  { host = "127.0.0.1", port = 0, tls, channel }: Options,
): Promise<Downstream> {
  const server = new Server({ "grpc.max_receive_message_length": -1, ...channel });
  const received: Received[] = [];
  for (const signal of signals) {
    const path = grpcMethod[signal];
    const identity = (bytes: Buffer) => bytes;
    server.register(
      path,
      async (call: ServerUnaryCall<Buffer, Buffer>, respond: sendUnaryData<Buffer>) => {
        const gone = new AbortController();
        call.on("cancelled", () => gone.abort());
        const headers = Object.fromEntries(
          Object.keys(call.metadata.getMap()).map((name) => [name, String(call.metadata.get(name)[0])]),
        );
        if (call.request.length === 0) return respond(null, Buffer.alloc(0));
        const request = { signal, body: call.request, headers, cancelled: gone.signal };
        const reply = await handler(request, received.push(request) - 1);
        if (!reply.status) return respond(null, responseBytes(reply));
        const metadata = new Metadata();
        const message = reply.message ?? "no";
        if (reply.retryAfterMs !== undefined) {
          const bytes = statusBytes(reply.status, message, reply.retryAfterMs);
          metadata.set("grpc-status-details-bin", bytes);
        }
        respond({ code: reply.status, details: message, metadata });
      },
      identity,
      identity,
      "unary",
    );
  }
  const pair = tls && [{ cert_chain: Buffer.from(tls.cert), private_key: Buffer.from(tls.key) }];
  const credentials = pair
    ? ServerCredentials.createSsl(tls.ca ? Buffer.from(tls.ca) : null, pair, tls.ca !== undefined)
    : ServerCredentials.createInsecure();
  const bound = await new Promise<number>((resolve, reject) =>
    server.bindAsync(`${host}:${port}`, credentials, (error, at) => (error ? reject(error) : resolve(at))),
  );
  return {
    endpoint: `${tls ? "https" : "http"}://${host}:${bound}`,
    port: bound,
    received,
    close: async () => server.forceShutdown(),
  };
}

async function startHttp(
  handler: Handler,
  { host = "127.0.0.1", port = 0, tls }: Options,
): Promise<Downstream> {
  const received: Received[] = [];
  const decoders: Record<string, (bytes: Buffer) => Buffer> = { gzip: gunzipSync, zstd: zstdDecompressSync };
  const listener = async (request: IncomingMessage, response: ServerResponse) => {
    const gone = new AbortController();
    response.on("close", () => !response.writableFinished && gone.abort());
    const raw = Buffer.concat(await request.toArray());
    const body = decoders[request.headers["content-encoding"] ?? ""]?.(raw) ?? raw;
    const signal = signals.find((name) => request.url?.endsWith(httpPath[name]));
    if (!signal) return response.writeHead(404).end();
    response.setHeader("content-type", "application/x-protobuf");
    if (body.length === 0) return response.end();
    const headers = { ...request.headers, ":path": request.url } as unknown as Received["headers"];
    const arrived = { signal, body, headers, cancelled: gone.signal };
    const reply = await handler(arrived, received.push(arrived) - 1);
    for (const [name, value] of Object.entries(reply.headers ?? {})) response.setHeader(name, value);
    if (!reply.status || reply.status < 300) {
      return response.writeHead(reply.status ?? 200).end(responseBytes(reply));
    }
    if (reply.retryAfterMs !== undefined) response.setHeader("retry-after", reply.retryAfterMs / 1e3);
    response.writeHead(reply.status).end(reply.body ?? statusBytes(0, reply.message ?? "no"));
  };
  const secure: ServerOptions = { ...tls, requestCert: tls?.ca !== undefined };
  const server: PlainServer = tls ? createSecureServer(secure, listener) : createServer(listener);
  await new Promise<void>((resolve, reject) => {
    server.on("error", reject);
    server.listen(port, host, resolve);
  });
  const bound = (server.address() as AddressInfo).port;
  return {
    endpoint: `${tls ? "https" : "http"}://${host}:${bound}`,
    port: bound,
    received,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

type Overrides = { [key in keyof ForwardConfig]?: Partial<ForwardConfig[key]> | ForwardConfig[key] };

/** A configuration with short intervals, so that a test that retries finishes soon. */
export function forwardConfig(
  protocol: Protocol,
  endpoint: string,
  overrides: Overrides = {},
): ForwardConfig {
  const { retry, ...rest } = overrides;
  return configSchema.parse({
    forward: {
      endpoint,
      protocol,
      compression: "none",
      ...rest,
      retry: { initial_interval: 2, max_interval: 20, ...(retry as object) },
    },
  }).forward;
}

export interface Watch extends DurableHooks {
  attempts: Code[];
  rejected: number[];
  /** The number of records in each refused part. */
  refusedParts: number[];
  /** Bytes of requests beyond max_request_size. */
  oversize: number[];
  drops: DropReason[];
  /** Whether each dead letter was kept. */
  letters: boolean[];
  damage: number[];
}

export function watch(): Watch {
  const seen = {
    attempts: [] as Code[],
    rejected: [] as number[],
    refusedParts: [] as number[],
    oversize: [] as number[],
    drops: [] as DropReason[],
    letters: [] as boolean[],
    damage: [] as number[],
  };
  return {
    ...seen,
    log: pino({ level: "silent" }),
    onAttempt: ({ code }) => seen.attempts.push(code),
    onDelivered: ({ rejected }) => seen.rejected.push(rejected),
    onRefusedPart: ({ records }) => seen.refusedParts.push(records),
    onOversize: ({ bytes }) => seen.oversize.push(bytes),
    onDrop: ({ reason }) => seen.drops.push(reason),
    onDeadLetter: ({ kept }) => seen.letters.push(kept),
    onDamage: ({ bytes }) => seen.damage.push(bytes),
  };
}

/** The abort signal of a sender that never cancels. */
export function patient(): AbortSignal {
  return new AbortController().signal;
}

/** A promise that a test settles. */
export function gate<T = void>(): { opened: Promise<T>; open: (value: T) => void } {
  const { promise, resolve } = Promise.withResolvers<T>();
  return { opened: promise, open: resolve };
}
