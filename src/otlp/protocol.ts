/**
 * What the OpenTelemetry protocol fixes and every room needs: signals, paths, statuses, partial success.
 * Specification: OTLP 1.11.0, https://opentelemetry.io/docs/specs/otlp/
 */

/** The signals that Driftlock judges. */
export const signals = ["logs", "traces", "metrics"] as const;
/** A signal of OpenTelemetry: what a request carries. */
export type Signal = (typeof signals)[number];

/** The full gRPC method of each signal's Export call. */
export const grpcMethod: Readonly<Record<Signal, string>> = {
  logs: "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
  traces: "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
  metrics: "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
};

/** The path of each signal on an OTLP/HTTP endpoint. */
export const httpPath: Readonly<Record<Signal, string>> = {
  logs: "/v1/logs",
  traces: "/v1/traces",
  metrics: "/v1/metrics",
};

/** The gRPC status codes that Driftlock sends or interprets, with their numbers on the wire. */
export const Code = {
  OK: 0,
  CANCELLED: 1,
  UNKNOWN: 2,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  ABORTED: 10,
  OUT_OF_RANGE: 11,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  DATA_LOSS: 15,
  UNAUTHENTICATED: 16,
} as const;
export type Code = (typeof Code)[keyof typeof Code];

/** Says that a consumer accepted a request except for some records. It is never a reason to send the request again. */
export interface PartialSuccess {
  /** Number of log records, spans or data points that were refused. */
  rejected: number;
  message: string;
}

/**
 * Thrown for an export that failed as a whole. If `retryAfterMs` is set, the sender may try again after that many milliseconds:
 * it becomes RetryInfo over gRPC and Retry-After over HTTP.
 */
export class ExportError extends Error {
  override readonly name = "ExportError";
  readonly code: Code;
  readonly retryAfterMs: number | undefined;

  constructor(code: Code, message: string, retryAfterMs?: number, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    this.retryAfterMs = retryAfterMs;
  }
}

/** One Export request on its way through the process. */
export interface ExportRequest {
  signal: Signal;
  tenant: string;
  /** The Export*ServiceRequest as uncompressed protobuf. Nobody writes to it. */
  body: Buffer;
  /** Aborted when the sender goes away or its deadline passes. */
  abort: AbortSignal;
  /** Counts bytes that the consumer made of the request, and holds until it answers, against the limit of all requests. */
  count(bytes: number): void;
  /** Says that nothing reads `body` any more once the consumer has answered, so that its memory can be given back at once. */
  release(): void;
}

/**
 * Accepts a request. The promise resolves once the request is safe, which means delivered or stored, to the partial success to
 * return, if any.
 * @throws {ExportError} if the request was not accepted. Nothing of it is stored then.
 */
export type Consumer = (request: ExportRequest) => Promise<PartialSuccess | undefined>;
