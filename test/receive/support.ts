/** Receivers on free loopback ports, and clients for them. */
import { once } from "node:events";
import { request as httpRequest, type IncomingHttpHeaders } from "node:http";
import { type ClientHttp2Session, type ClientHttp2Stream, connect } from "node:http2";
import type { Writable } from "node:stream";
import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { type CallOptions, Client, credentials, Metadata, type ServiceError } from "@grpc/grpc-js";
import { pino } from "pino";
import { afterEach } from "vitest";
import { configSchema, type ReceiveConfig } from "../../src/config/schema.ts";
import { type RetryInfo, RetryInfoSchema } from "../../src/gen/google/rpc/error_details_pb.js";
import { StatusSchema } from "../../src/gen/google/rpc/status_pb.js";
import { ExportLogsServiceRequestSchema } from "../../src/gen/opentelemetry/proto/collector/logs/v1/logs_service_pb.js";
import { ExportMetricsServiceRequestSchema } from "../../src/gen/opentelemetry/proto/collector/metrics/v1/metrics_service_pb.js";
import { ExportTraceServiceRequestSchema } from "../../src/gen/opentelemetry/proto/collector/trace/v1/trace_service_pb.js";
import type { ResourceSchema } from "../../src/gen/opentelemetry/proto/resource/v1/resource_pb.js";
import { native } from "../../src/native.ts";
import {
  type Consumer,
  type ExportRequest,
  grpcMethod,
  httpPath,
  type PartialSuccess,
  type Signal,
} from "../../src/otlp/protocol.ts";
import {
  type Authenticate,
  type Receivers,
  type RequestEvent,
  startReceivers,
} from "../../src/receive/index.ts";

type Input<T> = {
  [K in keyof T]?: T[K] extends object | undefined
    ? Input<NonNullable<T[K]>> | string | number
    : T[K] | string;
};

export interface Running {
  receivers: Receivers;
  grpc: string;
  http: string;
  /** Requests that the consumer received. */
  taken: ExportRequest[];
  events: RequestEvent[];
  refusedConnections: string[];
  cutRequests: string[];
  closedConnections: string[];
  /** Lines of the log, parsed. */
  logged: Record<string, unknown>[];
}

const cleanUps: (() => unknown)[] = [];

afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

/** Registers a cleanup to run after the test; the last one registered runs first. */
export function afterwards(cleanUp: () => unknown): void {
  cleanUps.push(cleanUp);
}

export function receiveConfig(input: Input<ReceiveConfig> = {}): ReceiveConfig {
  const any = { endpoint: "127.0.0.1:0" };
  const { grpc, http, ...rest } = input as Record<string, object>;
  return configSchema.parse({ receive: { grpc: { ...any, ...grpc }, http: { ...any, ...http }, ...rest } })
    .receive;
}

export async function start(
  input: Input<ReceiveConfig> = {},
  consumer: Consumer = async () => undefined,
  authenticate?: Authenticate,
): Promise<Running> {
  const taken: ExportRequest[] = [];
  const events: RequestEvent[] = [];
  const refusedConnections: string[] = [];
  const cutRequests: string[] = [];
  const closedConnections: string[] = [];
  const logged: Record<string, unknown>[] = [];
  const log = pino({ level: "debug" }, { write: (line: string) => void logged.push(JSON.parse(line)) });
  const receivers = await startReceivers(
    receiveConfig(input),
    (request) => {
      taken.push(request);
      return consumer(request);
    },
    {
      log,
      onRequest: (event) => void events.push(event),
      onRequestCut: (reason) => void cutRequests.push(reason),
      onConnectionClosed: (transport, reason) => void closedConnections.push(`${transport} ${reason}`),
      onConnectionRefused: (transport) => void refusedConnections.push(transport),
    },
    authenticate,
  );
  afterwards(() => receivers.close(0));
  const { grpc, http } = receivers.addresses;
  return {
    receivers,
    grpc: grpc ?? "",
    http: http ?? "",
    taken,
    events,
    refusedConnections,
    cutRequests,
    closedConnections,
    logged,
  };
}

/** An answer over gRPC; if `code` is 0, it has the bytes of the response. */
export interface GrpcAnswer {
  code: number;
  message: string;
  response: Buffer | undefined;
  retryInfo: RetryInfo | undefined;
}

export function grpcClient(address: string, creds = credentials.createInsecure(), options = {}): Client {
  const client = new Client(address, creds, {
    "grpc.use_local_subchannel_pool": 1,
    "grpc.max_send_message_length": -1,
    ...options,
  });
  afterwards(() => client.close());
  return client;
}

/** Calls Export with raw bytes. `cancel` receives the call's cancel function at once. */
export function grpcExport(
  client: Client,
  method: Signal | `/${string}`,
  body: Uint8Array,
  {
    headers = {},
    cancel,
    ...options
  }: CallOptions & { headers?: Record<string, string>; cancel?: (cancel: () => void) => void } = {},
): Promise<GrpcAnswer> {
  const metadata = new Metadata();
  for (const [name, value] of Object.entries(headers)) metadata.set(name, value);
  const identity = (bytes: Buffer) => bytes;
  const path = method.startsWith("/") ? method : grpcMethod[method as Signal];
  return new Promise((resolve) => {
    const call = client.makeUnaryRequest(
      path,
      identity,
      identity,
      Buffer.from(body),
      metadata,
      options,
      (error: ServiceError | null, response?: Buffer) => {
        resolve({
          code: error?.code ?? 0,
          message: error?.details ?? "",
          response,
          retryInfo: error
            ? retryInfo(error.metadata.get("grpc-status-details-bin")[0] as Buffer | undefined)
            : undefined,
        });
      },
    );
    cancel?.(() => call.cancel());
  });
}

/** Returns the RetryInfo among the details of an encoded google.rpc.Status. */
export function retryInfo(status: Uint8Array | undefined): RetryInfo | undefined {
  if (status === undefined) return undefined;
  const detail = fromBinary(StatusSchema, status).details[0];
  return detail && anyUnpack(detail, RetryInfoSchema);
}

/** Opens a call by hand, on a connection of its own. The caller writes its message. */
export function openCall(
  address: string,
  headers: Record<string, string> = {},
): { session: ClientHttp2Session; stream: ClientHttp2Stream } {
  const session = connect(`http://${address}`);
  session.on("error", () => {});
  afterwards(() => session.destroy());
  const stream = session.request({
    ":method": "POST",
    ":path": grpcMethod.logs,
    "content-type": "application/grpc",
    ...headers,
  });
  stream.on("error", () => {});
  return { session, stream };
}

/** Returns a message with its prefix. @param length the announced length; the message may be shorter. */
export function framed(message: Uint8Array, flag = 0, length = message.length): Buffer {
  const prefix = Buffer.alloc(5);
  prefix[0] = flag;
  prefix.writeUInt32BE(length, 1);
  return Buffer.concat([prefix, message]);
}

/** Writes `piece` repeatedly, as fast as the stream accepts it. */
export async function writePieces(to: Writable, piece: Buffer, times: number): Promise<void> {
  for (let i = 0; i < times; i += 1) if (!to.write(piece)) await once(to, "drain");
}

export interface HttpAnswer {
  status: number;
  headers: IncomingHttpHeaders;
  body: Buffer;
}

export interface HttpOptions {
  method?: string;
  path?: string;
  headers?: Record<string, string | number>;
}

/** Sends one request on a connection of its own. */
export function httpExport(
  address: string,
  signal: Signal,
  body: Uint8Array | string | undefined,
  { method = "POST", path = httpPath[signal], headers = {} }: HttpOptions = {},
): Promise<HttpAnswer> {
  const at = address.lastIndexOf(":");
  return new Promise((resolve, reject) => {
    const request = httpRequest(
      {
        host: address.slice(0, at),
        port: address.slice(at + 1),
        method,
        path,
        headers: { "content-type": "application/x-protobuf", ...headers },
        agent: false,
      },
      (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.on("error", reject);
        response.on("end", () =>
          resolve({ status: response.statusCode!, headers: response.headers, body: Buffer.concat(chunks) }),
        );
      },
    );
    request.on("error", reject);
    request.end(body);
  });
}

/** Encodes an LZ4 frame of independent blocks of 4 MiB, without checksums. */
export function lz4Frame(bytes: Buffer): Buffer {
  const blockSize = 4 * 2 ** 20;
  const parts: Uint8Array[] = [Buffer.from("04224d18607073", "hex")];
  for (let at = 0; at < bytes.length; at += blockSize) {
    const compressed = native.compress("lz4", bytes.subarray(at, at + blockSize));
    // The addon writes a varint of the length before its block.
    const block = compressed.subarray(compressed.findIndex((byte) => byte < 0x80) + 1);
    const size = Buffer.alloc(4);
    size.writeUInt32LE(block.length);
    parts.push(size, block);
  }
  return Buffer.concat([...parts, Buffer.alloc(4)]);
}

/** A consumer that holds each request until the test decides its outcome. */
export class Holding {
  readonly requests: ExportRequest[] = [];
  readonly #release: ((outcome: PartialSuccess | undefined | Error) => void)[] = [];
  #arrived = Promise.withResolvers<void>();

  readonly consumer: Consumer = (request) => {
    this.requests.push(request);
    this.#arrived.resolve();
    this.#arrived = Promise.withResolvers();
    return new Promise((resolve, reject) => {
      this.#release.push((outcome) => (outcome instanceof Error ? reject(outcome) : resolve(outcome)));
    });
  };

  /** Resolves once `count` requests in total have arrived. */
  async arrived(count: number): Promise<void> {
    while (this.requests.length < count) await this.#arrived.promise;
  }

  releaseAll(outcome?: PartialSuccess | Error): void {
    for (const release of this.#release.splice(0)) release(outcome);
  }
}

/** Resolves once `condition` holds. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 2));
}

const traceId = Buffer.from("5b8efff798038103d269b633813fc60c", "hex");
const spanId = Buffer.from("eee19b7ec3c1b174", "hex");
const resource: MessageInitShape<typeof ResourceSchema> = {
  attributes: [{ key: "service.name", value: { value: { case: "stringValue", value: "shop" } } }],
};
const start0 = 1_767_225_600_000_000_000n;

/** A request of each signal, as protobuf. */
export const requests: Readonly<Record<Signal, Uint8Array>> = {
  logs: toBinary(
    ExportLogsServiceRequestSchema,
    create(ExportLogsServiceRequestSchema, {
      resourceLogs: [
        {
          resource,
          scopeLogs: [
            {
              scope: { name: "orders", version: "1.2" },
              logRecords: [
                {
                  timeUnixNano: start0,
                  severityNumber: 9,
                  severityText: "INFO",
                  body: { value: { case: "stringValue", value: "order 17 taken — é" } },
                  attributes: [
                    { key: "n", value: { value: { case: "intValue", value: -(2n ** 62n) } } },
                    { key: "raw", value: { value: { case: "bytesValue", value: Uint8Array.of(0, 255, 7) } } },
                    {
                      key: "list",
                      value: {
                        value: {
                          case: "arrayValue",
                          value: { values: [{ value: { case: "boolValue", value: true } }] },
                        },
                      },
                    },
                  ],
                  traceId,
                  spanId,
                },
              ],
            },
          ],
        },
      ],
    }),
  ),
  traces: toBinary(
    ExportTraceServiceRequestSchema,
    create(ExportTraceServiceRequestSchema, {
      resourceSpans: [
        {
          resource,
          scopeSpans: [
            {
              spans: [
                {
                  traceId,
                  spanId,
                  parentSpanId: Buffer.from("0102030405060708", "hex"),
                  name: "GET /",
                  kind: 2,
                  startTimeUnixNano: start0,
                  endTimeUnixNano: start0 + 12_345n,
                  links: [{ traceId, spanId, attributes: [] }],
                  events: [{ timeUnixNano: start0 + 1n, name: "retry" }],
                  status: { code: 2, message: "no" },
                },
              ],
            },
          ],
        },
      ],
    }),
  ),
  metrics: toBinary(
    ExportMetricsServiceRequestSchema,
    create(ExportMetricsServiceRequestSchema, {
      resourceMetrics: [
        {
          resource,
          scopeMetrics: [
            {
              metrics: [
                {
                  name: "latency",
                  data: {
                    case: "histogram",
                    value: {
                      aggregationTemporality: 1,
                      dataPoints: [
                        {
                          timeUnixNano: start0,
                          count: 3n,
                          sum: 1.5,
                          bucketCounts: [1n, 2n],
                          explicitBounds: [0.5],
                          exemplars: [
                            {
                              timeUnixNano: start0,
                              traceId,
                              spanId,
                              value: { case: "asDouble", value: 0.25 },
                            },
                          ],
                        },
                      ],
                    },
                  },
                },
                {
                  name: "level",
                  data: {
                    case: "gauge",
                    value: {
                      dataPoints: [{ timeUnixNano: start0, value: { case: "asDouble", value: Number.NaN } }],
                    },
                  },
                },
              ],
            },
          ],
        },
      ],
    }),
  ),
};
