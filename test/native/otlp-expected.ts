/** What the native reader must see and the native splicer must write, worked out from messages as protobuf-es reads them. */
import { clone, create } from "@bufbuild/protobuf";
import type { ExportLogsServiceRequest } from "../../src/gen/opentelemetry/proto/collector/logs/v1/logs_service_pb.js";
import type { ExportMetricsServiceRequest } from "../../src/gen/opentelemetry/proto/collector/metrics/v1/metrics_service_pb.js";
import type { ExportTraceServiceRequest } from "../../src/gen/opentelemetry/proto/collector/trace/v1/trace_service_pb.js";
import {
  type AnyValue,
  type InstrumentationScope,
  type KeyValue,
  KeyValueSchema,
} from "../../src/gen/opentelemetry/proto/common/v1/common_pb.js";
import type { LogRecord } from "../../src/gen/opentelemetry/proto/logs/v1/logs_pb.js";
import type {
  ExponentialHistogramDataPoint_Buckets as Buckets,
  ExponentialHistogramDataPoint,
  HistogramDataPoint,
  Metric,
  NumberDataPoint,
  SummaryDataPoint,
} from "../../src/gen/opentelemetry/proto/metrics/v1/metrics_pb.js";
import type { Resource } from "../../src/gen/opentelemetry/proto/resource/v1/resource_pb.js";
import type { Span } from "../../src/gen/opentelemetry/proto/trace/v1/trace_pb.js";
import type { Signal } from "../../src/otlp/protocol.ts";
import { requestSchema } from "./otlp-messages.ts";

export type ExportServiceRequest =
  | ExportLogsServiceRequest
  | ExportTraceServiceRequest
  | ExportMetricsServiceRequest;
type Point = NumberDataPoint | HistogramDataPoint | ExponentialHistogramDataPoint | SummaryDataPoint;
type OtlpRecord = LogRecord | Span | Point;

const hex = (bytes: Uint8Array | string) => Buffer.from(bytes as string).toString("hex");
const real = (value: number) => {
  const bits = Buffer.alloc(8);
  bits.writeDoubleBE(value);
  return bits.toString("hex");
};
const optional = (value: number | undefined) => (value === undefined ? null : real(value));

function anyValue(value: AnyValue | undefined): unknown {
  const member = value?.value;
  switch (member?.case) {
    case "stringValue":
      return { string: hex(member.value) };
    case "boolValue":
      return { bool: member.value };
    case "intValue":
      return { int: `${member.value}` };
    case "doubleValue":
      return { double: real(member.value) };
    case "arrayValue":
      return { array: member.value.values.map(anyValue) };
    case "kvlistValue":
      return { list: attributes(member.value.values) };
    case "bytesValue":
      return { bytes: hex(member.value) };
    default:
      return null;
  }
}

function attributes(list: KeyValue[] | undefined): unknown[] {
  return (list ?? []).map(({ key, value }) => [hex(key), anyValue(value)]);
}

const resource = (resource: Resource | undefined) => ({ attributes: attributes(resource?.attributes) });

const scope = (scope: InstrumentationScope | undefined) => ({
  name: hex(scope?.name ?? ""),
  version: hex(scope?.version ?? ""),
  attributes: attributes(scope?.attributes),
});

const logRecord = (log: LogRecord) => ({
  time: `${log.timeUnixNano}`,
  observed: `${log.observedTimeUnixNano}`,
  severityNumber: log.severityNumber,
  severityText: hex(log.severityText),
  body: anyValue(log.body),
  attributes: attributes(log.attributes),
  flags: log.flags,
  traceId: hex(log.traceId),
  spanId: hex(log.spanId),
  eventName: hex(log.eventName),
});

const span = (span: Span) => ({
  traceId: hex(span.traceId),
  spanId: hex(span.spanId),
  traceState: hex(span.traceState),
  parentSpanId: hex(span.parentSpanId),
  name: hex(span.name),
  kind: span.kind,
  start: `${span.startTimeUnixNano}`,
  end: `${span.endTimeUnixNano}`,
  attributes: attributes(span.attributes),
  events: span.events.map((event) => ({
    time: `${event.timeUnixNano}`,
    name: hex(event.name),
    attributes: attributes(event.attributes),
  })),
  links: span.links.map((link) => ({
    traceId: hex(link.traceId),
    spanId: hex(link.spanId),
    traceState: hex(link.traceState),
    attributes: attributes(link.attributes),
  })),
  statusCode: span.status?.code ?? 0,
  statusMessage: hex(span.status?.message ?? ""),
  flags: span.flags,
});

const buckets = (buckets: Buckets | undefined) => ({
  offset: buckets?.offset ?? 0,
  counts: (buckets?.bucketCounts ?? []).map(String),
});

function point(of: Point): unknown {
  const lacking = {
    number: null,
    count: "0",
    sum: null,
    min: null,
    max: null,
    bucketCounts: [],
    explicitBounds: [],
    scale: 0,
    zeroCount: "0",
    zeroThreshold: real(0),
    positive: buckets(undefined),
    negative: buckets(undefined),
    quantiles: [],
  };
  const common = {
    ...lacking,
    start: `${of.startTimeUnixNano}`,
    time: `${of.timeUnixNano}`,
    flags: of.flags,
    attributes: attributes(of.attributes),
  };
  switch (of.$typeName) {
    case "opentelemetry.proto.metrics.v1.NumberDataPoint": {
      const { value } = of;
      if (value.case === "asDouble") return { ...common, number: { double: real(value.value) } };
      return { ...common, number: value.case === "asInt" ? { int: `${value.value}` } : null };
    }
    case "opentelemetry.proto.metrics.v1.SummaryDataPoint": {
      const quantiles = of.quantileValues.map((at) => [real(at.quantile), real(at.value)]);
      return { ...common, count: `${of.count}`, sum: real(of.sum), quantiles };
    }
  }
  const spread = {
    ...common,
    count: `${of.count}`,
    sum: optional(of.sum),
    min: optional(of.min),
    max: optional(of.max),
  };
  if (of.$typeName === "opentelemetry.proto.metrics.v1.HistogramDataPoint") {
    const explicitBounds = of.explicitBounds.map(real);
    return { ...spread, bucketCounts: of.bucketCounts.map(String), explicitBounds };
  }
  return {
    ...spread,
    scale: of.scale,
    zeroCount: `${of.zeroCount}`,
    zeroThreshold: real(of.zeroThreshold),
    positive: buckets(of.positive),
    negative: buckets(of.negative),
  };
}

const metricTypes = [undefined, "gauge", "sum", "histogram", "exponentialHistogram", "summary"];

function metric({ name, unit, data }: Metric) {
  const value = data.value && "aggregationTemporality" in data.value ? data.value : undefined;
  return {
    name: hex(name),
    unit: hex(unit),
    type: metricTypes.indexOf(data.case),
    temporality: value?.aggregationTemporality ?? 0,
    monotonic: data.case === "sum" && data.value.isMonotonic,
  };
}

/** One level of a request, which holds records or other levels. */
interface Group {
  resource?: Resource | undefined;
  scope?: InstrumentationScope | undefined;
}

/** Returns resources and their scopes for any signal; `items` are records or metrics. */
function tree(
  request: ExportServiceRequest,
): (Group & { scopes: (Group & { items: (LogRecord | Span | Metric)[] })[] })[] {
  switch (request.$typeName) {
    case "opentelemetry.proto.collector.logs.v1.ExportLogsServiceRequest":
      return request.resourceLogs.map(({ resource, scopeLogs }) => ({
        resource,
        scopes: scopeLogs.map(({ scope, logRecords }) => ({ scope, items: logRecords })),
      }));
    case "opentelemetry.proto.collector.trace.v1.ExportTraceServiceRequest":
      return request.resourceSpans.map(({ resource, scopeSpans }) => ({
        resource,
        scopes: scopeSpans.map(({ scope, spans }) => ({ scope, items: spans })),
      }));
    case "opentelemetry.proto.collector.metrics.v1.ExportMetricsServiceRequest":
      return request.resourceMetrics.map(({ resource, scopeMetrics }) => ({
        resource,
        scopes: scopeMetrics.map(({ scope, metrics }) => ({ scope, items: metrics })),
      }));
  }
}

function isMetric(item: LogRecord | Span | Metric): item is Metric {
  return item.$typeName === "opentelemetry.proto.metrics.v1.Metric";
}

/** The records of a request, in wire order. */
export function records(request: ExportServiceRequest): OtlpRecord[] {
  return tree(request).flatMap(({ scopes }) =>
    scopes.flatMap(({ items }) =>
      items.flatMap((item): OtlpRecord[] => (isMetric(item) ? (item.data.value?.dataPoints ?? []) : [item])),
    ),
  );
}

/** The index as otlp_dump prints it. */
export function expectedIndex(request: ExportServiceRequest): unknown {
  const index = {
    resources: [] as unknown[],
    scopes: [] as unknown[],
    metrics: [] as unknown[],
    records: [] as unknown[],
  };
  for (const group of tree(request)) {
    index.resources.push(resource(group.resource));
    for (const within of group.scopes) {
      index.scopes.push({ resource: index.resources.length - 1, scope: scope(within.scope) });
      const at = index.scopes.length - 1;
      for (const item of within.items) {
        if (isMetric(item)) {
          index.metrics.push({ scope: at, ...metric(item) });
          for (const of of item.data.value?.dataPoints ?? [])
            index.records.push({ scope: at, metric: index.metrics.length - 1, record: point(of) });
        } else if (item.$typeName === "opentelemetry.proto.trace.v1.Span") {
          index.records.push({ scope: at, metric: null, record: span(item) });
        } else {
          index.records.push({ scope: at, metric: null, record: logRecord(item) });
        }
      }
    }
  }
  return index;
}

/** The attributes that otlp_dump adds to record `id`. */
function added(id: number): KeyValue[] {
  return [
    create(KeyValueSchema, { key: "cbad.anomaly", value: { value: { case: "boolValue", value: true } } }),
    create(KeyValueSchema, {
      key: "cbad.anomaly.id",
      value: { value: { case: "stringValue", value: `id-${id}` } },
    }),
    create(KeyValueSchema, {
      key: "cbad.number",
      value: { value: { case: "intValue", value: BigInt(-id) } },
    }),
    create(KeyValueSchema, { key: "cbad.score", value: { value: { case: "doubleValue", value: id + 0.5 } } }),
  ];
}

/**
 * Returns the request with every `every`-th record edited, every other of these with attributes; `keep` selects all
 * records or only those.
 */
export function expectedSplice(
  signal: Signal,
  request: ExportServiceRequest,
  every: number,
  keep: "all" | "edited",
): ExportServiceRequest {
  const copy = clone(requestSchema[signal], request) as ExportServiceRequest;
  const kept = new Set<unknown>();
  records(copy).forEach((record, id) => {
    if (id % every !== 0) return;
    kept.add(record);
    if ((id / every) % 2 !== 0) return;
    record.attributes = [...record.attributes.filter(({ key }) => !key.startsWith("cbad.")), ...added(id)];
  });
  if (keep === "edited") prune(copy, kept);
  return copy;
}

/** Removes from every list of `request` what neither is `kept` nor holds anything that is. */
function prune(request: ExportServiceRequest, kept: Set<unknown>): void {
  const is = (item: unknown) => kept.has(item);
  if ("resourceLogs" in request) {
    for (const group of request.resourceLogs) {
      for (const within of group.scopeLogs) within.logRecords = within.logRecords.filter(is);
      group.scopeLogs = group.scopeLogs.filter(({ logRecords }) => logRecords.length > 0);
    }
    request.resourceLogs = request.resourceLogs.filter(({ scopeLogs }) => scopeLogs.length > 0);
  } else if ("resourceSpans" in request) {
    for (const group of request.resourceSpans) {
      for (const within of group.scopeSpans) within.spans = within.spans.filter(is);
      group.scopeSpans = group.scopeSpans.filter(({ spans }) => spans.length > 0);
    }
    request.resourceSpans = request.resourceSpans.filter(({ scopeSpans }) => scopeSpans.length > 0);
  } else {
    for (const group of request.resourceMetrics) {
      for (const within of group.scopeMetrics) {
        for (const { data } of within.metrics)
          if (data.value) data.value.dataPoints = (data.value.dataPoints as Point[]).filter(is) as never;
        within.metrics = within.metrics.filter(({ data }) => data.value && data.value.dataPoints.length > 0);
      }
      group.scopeMetrics = group.scopeMetrics.filter(({ metrics }) => metrics.length > 0);
    }
    request.resourceMetrics = request.resourceMetrics.filter(({ scopeMetrics }) => scopeMetrics.length > 0);
  }
}
