/** Names the streams of a request's records as the engine does: "logs service.name=checkout". */
import { fromBinary } from "@bufbuild/protobuf";
import type { DetectConfig } from "../../config/schema.ts";
import { ExportLogsServiceRequestSchema } from "../../gen/opentelemetry/proto/collector/logs/v1/logs_service_pb.js";
import { ExportMetricsServiceRequestSchema } from "../../gen/opentelemetry/proto/collector/metrics/v1/metrics_service_pb.js";
import { ExportTraceServiceRequestSchema } from "../../gen/opentelemetry/proto/collector/trace/v1/trace_service_pb.js";
import type { AnyValue, KeyValue } from "../../gen/opentelemetry/proto/common/v1/common_pb.js";
import type { Resource } from "../../gen/opentelemetry/proto/resource/v1/resource_pb.js";
import type { Signal } from "../../otlp/protocol.ts";

/** The resource attributes that identify streams and name their groups. */
export type StreamNaming = Pick<DetectConfig, "stream_by" | "group_by">;

/** Maximum number of characters of a value in the name of a stream, and of the name. */
const maxValue = 128;
const maxName = 512;

function shown(value: AnyValue | undefined): string {
  switch (value?.value.case) {
    case "stringValue":
    case "boolValue":
    case "intValue":
    case "doubleValue":
      return String(value.value.value).slice(0, maxValue);
    default:
      return "";
  }
}

function find(attributes: readonly KeyValue[], name: string): string | undefined {
  const attribute = attributes.find(({ key }) => key === name);
  return attribute && shown(attribute.value);
}

/** Whether the value of an attribute can name a resource group. */
function isName(value: AnyValue | undefined): boolean {
  return value?.value.case !== undefined && value.value.value !== "";
}

function named(stream: string): string {
  return stream.slice(0, maxName);
}

/** Returns the stream of each record, in wire order. */
export function streamsOf(
  signal: Signal,
  request: Uint8Array,
  { stream_by, group_by }: StreamNaming,
): string[] {
  const ofResource = (resource: Resource | undefined): string => {
    const attributes = resource?.attributes ?? [];
    const group = group_by.find((name) => isName(attributes.find(({ key }) => key === name)?.value));
    const names = group === undefined || stream_by.includes(group) ? stream_by : [...stream_by, group];
    return `${signal}${names.map((name) => ` ${name}=${find(attributes, name) ?? ""}`).join("")}`;
  };
  switch (signal) {
    case "logs": {
      const { resourceLogs } = fromBinary(ExportLogsServiceRequestSchema, request);
      return resourceLogs.flatMap(({ resource, scopeLogs }) => {
        const stream = named(ofResource(resource));
        return scopeLogs.flatMap(({ logRecords }) => logRecords.map(() => stream));
      });
    }
    case "traces": {
      const { resourceSpans } = fromBinary(ExportTraceServiceRequestSchema, request);
      return resourceSpans.flatMap(({ resource, scopeSpans }) => {
        const stream = named(ofResource(resource));
        return scopeSpans.flatMap(({ spans }) => spans.map(() => stream));
      });
    }
    case "metrics": {
      const { resourceMetrics } = fromBinary(ExportMetricsServiceRequestSchema, request);
      return resourceMetrics.flatMap(({ resource, scopeMetrics }) => {
        const stream = ofResource(resource);
        const points = scopeMetrics.flatMap(({ metrics }) =>
          metrics.flatMap(({ name, data }) =>
            (data.value?.dataPoints ?? []).map(({ attributes }) => ({ name, attributes })),
          ),
        );
        return points.map(({ name, attributes }) => {
          const pairs = attributes.map(({ key, value }) => ` ${key.slice(0, maxValue)}=${shown(value)}`);
          return named(`${stream} ${name.slice(0, maxValue)}${pairs.join("")}`);
        });
      });
    }
  }
}
