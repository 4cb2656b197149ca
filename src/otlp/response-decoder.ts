/** What a downstream's answer holds: partial success, status and how long to wait. All of it is from the network. */
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

export type Encoding = "protobuf" | "json";

/** More records than any request holds; the sum of what is said of a request's parts is still an int64. */
const maxRejected = 2 ** 32;

function decode<T extends DescMessage>(schema: T, bytes: Buffer, encoding: Encoding): MessageShape<T> {
  if (encoding === "protobuf") return fromBinary(schema, bytes);
  return fromJson(schema, JSON.parse(bytes.toString()) as JsonValue, { ignoreUnknownFields: true });
}

function rejectedRecords(signal: Signal, bytes: Buffer, encoding: Encoding): [bigint, string] | undefined {
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
 * The partial success in an Export*ServiceResponse. An answer that cannot be read holds none: the status has said
 * that the data was taken, and to send it again would double it.
 */
export function readPartialSuccess(
  signal: Signal,
  bytes: Buffer,
  encoding: Encoding,
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

/** A downstream may write any number, which neither a timer nor the answer to the sender could hold. */
function boundWait(milliseconds: number): number {
  return Math.min(maxTimerMs, Math.max(0, milliseconds));
}

/** A google.rpc.Status from `grpc-status-details-bin` or an HTTP error's body; nothing where it cannot be read. */
export function readStatus(bytes: Buffer, encoding: Encoding): StatusDetails {
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
 * Retry-After, RFC 9110, 10.2.3: seconds or an HTTP date. Milliseconds from now, at most 24 days; undefined if it is neither.
 * @param now by the sender's clock, milliseconds since 1970: ours may be wrong
 */
export function readRetryAfter(header: string | undefined, now = Date.now()): number | undefined {
  if (header === undefined) return undefined;
  if (/^\s*\d+\s*$/.test(header)) return boundWait(Number(header) * 1e3);
  const date = Date.parse(header);
  return Number.isNaN(date) ? undefined : boundWait(date - now);
}
