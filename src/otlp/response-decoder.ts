/** Reads responses of a downstream: partial success, status, and how long to wait. None of it can be trusted. */
import {
  type DescMessage,
  fromBinary,
  fromJson,
  type JsonValue,
  type MessageShape,
} from "@bufbuild/protobuf";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { maxTimerMs } from "../base/deadline.ts";
import { truncateLine } from "../base/truncate.ts";
import { RetryInfoSchema } from "../gen/google/rpc/error_details_pb.js";
import { StatusSchema } from "../gen/google/rpc/status_pb.js";
import { ExportLogsServiceResponseSchema } from "../gen/opentelemetry/proto/collector/logs/v1/logs_service_pb.js";
import { ExportMetricsServiceResponseSchema } from "../gen/opentelemetry/proto/collector/metrics/v1/metrics_service_pb.js";
import { ExportTraceServiceResponseSchema } from "../gen/opentelemetry/proto/collector/trace/v1/trace_service_pb.js";
import type { PartialSuccess, Signal } from "./protocol.ts";

/** How a response is encoded. */
export type ResponseEncoding = "protobuf" | "json";

/** More records than any request holds. The sum over the parts of a request still fits an int64. */
const maxRejected = 2 ** 32;

function decode<T extends DescMessage>(
  schema: T,
  bytes: Buffer,
  encoding: ResponseEncoding,
): MessageShape<T> {
  if (encoding === "protobuf") return fromBinary(schema, bytes);
  return fromJson(schema, JSON.parse(bytes.toString()) as JsonValue, { ignoreUnknownFields: true });
}

function rejectedRecords(
  signal: Signal,
  bytes: Buffer,
  encoding: ResponseEncoding,
): [bigint, string] | undefined {
  switch (signal) {
    case "logs": {
      const partial = decode(ExportLogsServiceResponseSchema, bytes, encoding).partialSuccess;
      return partial && [partial.rejectedLogRecords, partial.errorMessage];
    }
    case "traces": {
      const partial = decode(ExportTraceServiceResponseSchema, bytes, encoding).partialSuccess;
      return partial && [partial.rejectedSpans, partial.errorMessage];
    }
    case "metrics": {
      const partial = decode(ExportMetricsServiceResponseSchema, bytes, encoding).partialSuccess;
      return partial && [partial.rejectedDataPoints, partial.errorMessage];
    }
  }
}

/**
 * Returns the partial success in an Export*ServiceResponse. A response that cannot be read has none: its status says that the
 * data was accepted, and sending it again would duplicate it.
 */
export function readPartialSuccess(
  signal: Signal,
  bytes: Buffer,
  encoding: ResponseEncoding,
): PartialSuccess | undefined {
  if (bytes.length === 0) return undefined;
  try {
    const [rejected, text] = rejectedRecords(signal, bytes, encoding) ?? [0n, ""];
    const message = truncateLine(text);
    const bounded = Math.min(maxRejected, Math.max(0, Number(rejected)));
    return rejected > 0n || message ? { rejected: bounded, message } : undefined;
  } catch {
    return undefined;
  }
}

export interface StatusDetails {
  message?: string | undefined;
  retryAfterMs?: number | undefined;
}

/** Limits a wait: a downstream may ask for any time, which neither a timer nor the response to the sender could hold. */
function boundWait(milliseconds: number): number {
  return Math.min(maxTimerMs, Math.max(0, milliseconds));
}

/** Reads a google.rpc.Status from `grpc-status-details-bin` or the body of an HTTP error. It is empty if it cannot be read. */
export function readStatus(bytes: Buffer, encoding: ResponseEncoding): StatusDetails {
  try {
    return encoding === "protobuf" ? readStatusProtobuf(bytes) : readStatusJson(bytes);
  } catch {
    return {};
  }
}

function readStatusProtobuf(bytes: Buffer): StatusDetails {
  const status = fromBinary(StatusSchema, bytes);
  let retryAfterMs: number | undefined;
  for (const detail of status.details) {
    const info = anyUnpack(detail, RetryInfoSchema);
    if (!info) continue;
    const delay = info.retryDelay;
    retryAfterMs = delay ? boundWait(Number(delay.seconds) * 1e3 + delay.nanos / 1e6) : 0;
  }
  return { message: truncateLine(status.message) || undefined, retryAfterMs };
}

function readStatusJson(bytes: Buffer): StatusDetails {
  const status = JSON.parse(bytes.toString()) as { message?: unknown; details?: unknown };
  const message = typeof status.message === "string" ? truncateLine(status.message) || undefined : undefined;
  const details: unknown[] = Array.isArray(status.details) ? status.details : [];
  for (const detail of details as { "@type"?: unknown; retryDelay?: unknown }[]) {
    if (typeof detail?.["@type"] !== "string" || !detail["@type"].endsWith("/google.rpc.RetryInfo")) continue;
    const seconds = /^(\d+(?:\.\d+)?)s$/.exec(String(detail.retryDelay ?? "0s"))?.[1];
    return { message, retryAfterMs: boundWait(Number(seconds ?? 0) * 1e3) };
  }
  return { message };
}

/**
 * Returns the milliseconds from now that Retry-After asks for (RFC 9110, 10.2.3), at most 24 days. It is a number of seconds or an
 * HTTP date; the result is undefined if it is neither.
 * @param now milliseconds since 1970 by the downstream's clock, because ours may be wrong.
 */
export function readRetryAfter(header: string | undefined, now = Date.now()): number | undefined {
  if (header === undefined) return undefined;
  if (/^\s*\d+\s*$/.test(header)) return boundWait(Number(header) * 1e3);
  const date = Date.parse(header);
  return Number.isNaN(date) ? undefined : boundWait(date - now);
}
