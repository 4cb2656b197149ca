/** Reads the spans of generated requests, with what they take of their own. */
import { fromBinary } from "@bufbuild/protobuf";
import { ExportTraceServiceRequestSchema } from "../../src/gen/opentelemetry/proto/collector/trace/v1/trace_service_pb.js";
import type { KeyValue } from "../../src/gen/opentelemetry/proto/common/v1/common_pb.js";
import {
  type Span_SpanKind,
  Status_StatusCode,
} from "../../src/gen/opentelemetry/proto/trace/v1/trace_pb.js";
import type { Batch } from "../../src/generate/batch.ts";

export interface ReadSpan {
  service: string;
  instance: string;
  version: string;
  trace: string;
  id: string;
  parent: string;
  name: string;
  kind: Span_SpanKind;
  /** Milliseconds since 1970. */
  start: number;
  end: number;
  failed: boolean;
  attributes: Map<string, unknown>;
}

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");

export function attributesOf(attributes: readonly KeyValue[]): Map<string, unknown> {
  return new Map(attributes.map(({ key, value }) => [key, value?.value.value]));
}

export function readSpans(batches: Iterable<Batch>): ReadSpan[] {
  const spans: ReadSpan[] = [];
  for (const { signal, body } of batches) {
    if (signal !== "traces") continue;
    for (const { resource, scopeSpans } of fromBinary(ExportTraceServiceRequestSchema, body).resourceSpans) {
      const about = attributesOf(resource!.attributes);
      const text = (key: string) => String(about.get(key));
      for (const span of scopeSpans.flatMap((scope) => scope.spans)) {
        spans.push({
          service: text("service.name"),
          instance: text("service.instance.id"),
          version: text("service.version"),
          trace: hex(span.traceId),
          id: hex(span.spanId),
          parent: hex(span.parentSpanId),
          name: span.name,
          kind: span.kind,
          start: Number(span.startTimeUnixNano) / 1e6,
          end: Number(span.endTimeUnixNano) / 1e6,
          failed: span.status?.code === Status_StatusCode.ERROR,
          attributes: attributesOf(span.attributes),
        });
      }
    }
  }
  return spans;
}

export function childrenOf(spans: readonly ReadSpan[]): Map<string, ReadSpan[]> {
  return Map.groupBy(spans, ({ parent }) => parent);
}

/** Returns the time of a span in which no child of its own service was running, in milliseconds. */
export function ownTime(span: ReadSpan, children: ReadonlyMap<string, readonly ReadSpan[]>): number {
  let own = span.end - span.start;
  let reached = span.start;
  const inside = (children.get(span.id) ?? []).filter(({ start }) => start < span.end);
  for (const { start, end } of [...inside].sort((a, b) => a.start - b.start)) {
    const from = Math.max(start, reached);
    const to = Math.min(end, span.end);
    if (to <= from) continue;
    own -= to - from;
    reached = to;
  }
  return own;
}
