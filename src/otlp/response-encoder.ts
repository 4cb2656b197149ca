/** What a sender is told, as bytes or as JSON: Export*ServiceResponse and google.rpc.Status, for both protocols. */
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

/** Characters of a message: it must fit the header limits of clients, 8 KiB where they are strict, escaped and twice. */
const maxMessage = 1_000;

const registry = createRegistry(RetryInfoSchema);

/** Export*ServiceResponse; without partial success it has no bytes at all. */
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

export function responseJson(signal: Signal, partial: PartialSuccess | undefined): JsonValue {
  if (partial === undefined) return {};
  return {
    partialSuccess: {
      [rejectedKey[signal]]: String(Math.trunc(partial.rejected)),
      errorMessage: truncate(partial.message),
    },
  };
}

export function encodeStatus(error: ExportError): Uint8Array {
  return toBinary(StatusSchema, status(error));
}

export function statusJson(error: ExportError): JsonValue {
  return toJson(StatusSchema, status(error), { registry });
}

/** The message as it is sent. */
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

/** Well-formed: what is quoted of a body may be cut in the midst of a character, here or where it was read. */
function truncate(text: string): string {
  const cut = text.length <= maxMessage ? text : `${text.slice(0, maxMessage - 1)}…`;
  return cut.toWellFormed();
}
