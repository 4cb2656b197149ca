/** Writes responses to senders as protobuf or JSON: Export*ServiceResponse and google.rpc.Status. */
import {
  create,
  createRegistry,
  type JsonValue,
  type MessageShape,
  toBinary,
  toJson,
} from "@bufbuild/protobuf";
import { anyPack } from "@bufbuild/protobuf/wkt";
import { RetryInfoSchema } from "../gen/google/rpc/error_details_pb.js";
import { StatusSchema } from "../gen/google/rpc/status_pb.js";
import { ExportLogsServiceResponseSchema } from "../gen/opentelemetry/proto/collector/logs/v1/logs_service_pb.js";
import { ExportMetricsServiceResponseSchema } from "../gen/opentelemetry/proto/collector/metrics/v1/metrics_service_pb.js";
import { ExportTraceServiceResponseSchema } from "../gen/opentelemetry/proto/collector/trace/v1/trace_service_pb.js";
import type { ExportError, PartialSuccess, Signal } from "./protocol.ts";

/** The most characters of a message. Escaped, and sent twice, it has to fit the strictest header limits of clients, 8 KiB. */
const maxMessage = 1_000;

const registry = createRegistry(RetryInfoSchema);

/** Encodes an Export*ServiceResponse, which has no bytes at all without a partial success. */
export function encodeResponse(signal: Signal, partial: PartialSuccess | undefined): Uint8Array {
  if (partial === undefined) return new Uint8Array(0);
  const rejected = BigInt(Math.trunc(partial.rejected));
  const errorMessage = truncate(partial.message);
  switch (signal) {
    case "logs": {
      const partialSuccess = { rejectedLogRecords: rejected, errorMessage };
      return toBinary(
        ExportLogsServiceResponseSchema,
        create(ExportLogsServiceResponseSchema, { partialSuccess }),
      );
    }
    case "traces": {
      const partialSuccess = { rejectedSpans: rejected, errorMessage };
      return toBinary(
        ExportTraceServiceResponseSchema,
        create(ExportTraceServiceResponseSchema, { partialSuccess }),
      );
    }
    case "metrics": {
      const partialSuccess = { rejectedDataPoints: rejected, errorMessage };
      return toBinary(
        ExportMetricsServiceResponseSchema,
        create(ExportMetricsServiceResponseSchema, { partialSuccess }),
      );
    }
  }
}

const rejectedKey: Readonly<Record<Signal, string>> = {
  logs: "rejectedLogRecords",
  traces: "rejectedSpans",
  metrics: "rejectedDataPoints",
};

/** Returns an Export*ServiceResponse as JSON. */
export function responseJson(signal: Signal, partial: PartialSuccess | undefined): JsonValue {
  if (partial === undefined) return {};
  return {
    partialSuccess: {
      [rejectedKey[signal]]: String(Math.trunc(partial.rejected)),
      errorMessage: truncate(partial.message),
    },
  };
}

/** Encodes a google.rpc.Status, with RetryInfo if the sender may try again. */
export function encodeStatus(error: ExportError): Uint8Array {
  return toBinary(StatusSchema, status(error));
}

/** Returns a google.rpc.Status as JSON. */
export function statusJson(error: ExportError): JsonValue {
  return toJson(StatusSchema, status(error), { registry });
}

/** Returns the error's message as it is sent. */
export function statusMessage(error: ExportError): string {
  return truncate(error.message);
}

function status(error: ExportError): MessageShape<typeof StatusSchema> {
  const message = create(StatusSchema, { code: error.code, message: truncate(error.message) });
  if (error.retryAfterMs !== undefined) {
    const ms = Math.max(0, Math.trunc(error.retryAfterMs));
    const retryDelay = { seconds: BigInt(Math.trunc(ms / 1_000)), nanos: (ms % 1_000) * 1_000_000 };
    message.details.push(anyPack(RetryInfoSchema, create(RetryInfoSchema, { retryDelay })));
  }
  return message;
}

/** Truncates a text and makes it well-formed, because a quotation from a body may end within a character. */
function truncate(text: string): string {
  const cut = text.length <= maxMessage ? text : `${text.slice(0, maxMessage - 1)}…`;
  return cut.toWellFormed();
}
