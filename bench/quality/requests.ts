/** Encodes the requests of the benches. */
import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { ExportLogsServiceRequestSchema } from "../../src/gen/opentelemetry/proto/collector/logs/v1/logs_service_pb.js";
import { ExportMetricsServiceRequestSchema } from "../../src/gen/opentelemetry/proto/collector/metrics/v1/metrics_service_pb.js";
import { ExportTraceServiceRequestSchema } from "../../src/gen/opentelemetry/proto/collector/trace/v1/trace_service_pb.js";
import type { LogRecordSchema } from "../../src/gen/opentelemetry/proto/logs/v1/logs_pb.js";
import type { MetricSchema } from "../../src/gen/opentelemetry/proto/metrics/v1/metrics_pb.js";
import type { SpanSchema } from "../../src/gen/opentelemetry/proto/trace/v1/trace_pb.js";
import { keyValues } from "../../src/generate/records.ts";

export function encodeLogs(
  service: string,
  logRecords: readonly MessageInitShape<typeof LogRecordSchema>[],
): Buffer {
  const schema = ExportLogsServiceRequestSchema;
  const resource = { attributes: keyValues({ "service.name": service }) };
  const scopeLogs = [{ logRecords: [...logRecords] }];
  return Buffer.from(toBinary(schema, create(schema, { resourceLogs: [{ resource, scopeLogs }] })));
}

export function encodeTraces(service: string, spans: readonly MessageInitShape<typeof SpanSchema>[]): Buffer {
  const schema = ExportTraceServiceRequestSchema;
  const resource = { attributes: keyValues({ "service.name": service }) };
  const scopeSpans = [{ spans: [...spans] }];
  return Buffer.from(toBinary(schema, create(schema, { resourceSpans: [{ resource, scopeSpans }] })));
}

export function encodeMetrics(
  resourceAttributes: Record<string, string>,
  metrics: readonly MessageInitShape<typeof MetricSchema>[],
): Buffer {
  const schema = ExportMetricsServiceRequestSchema;
  const resource = { attributes: keyValues(resourceAttributes) };
  const scopeMetrics = [{ metrics: [...metrics] }];
  return Buffer.from(toBinary(schema, create(schema, { resourceMetrics: [{ resource, scopeMetrics }] })));
}
