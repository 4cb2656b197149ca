/** What exporters of the OpenTelemetry SDK receive: as OTLP, and with the attributes of what was flagged. */
import type { Signal } from "../../otlp/protocol.ts";
import { orderOf } from "../encoder/batch.ts";
import type { LogRecordLike } from "../encoder/logs.ts";
import { encodeMetrics, isEncoded, type ResourceMetricsLike } from "../encoder/metrics.ts";
import type { SpanLike } from "../encoder/spans.ts";
import { batchOf } from "../intake.ts";
import type { Annotation } from "../judge.ts";
import { overlay } from "./overlay.ts";

/** What an exporter exports at once. */
export type Telemetry = readonly SpanLike[] | readonly LogRecordLike[] | ResourceMetricsLike;

/** A request, and how to give attributes to what it was made of. */
export interface Encoded {
  readonly signal: Signal;
  readonly request: Buffer;
  readonly records: number;
  /** Returns the telemetry with attributes for the records at these positions of the request. */
  annotated(annotations: ReadonlyMap<number, Annotation>): Telemetry;
}

/** Returns the telemetry as one request; undefined if there is nothing in it, or nothing that is known. */
export function encode(telemetry: Telemetry): Encoded | undefined {
  if ("scopeMetrics" in telemetry) return encodePoints(telemetry);
  const [first] = telemetry;
  if (first === undefined) return undefined;
  if ("hrTime" in first) return encodeRecords("logs", telemetry as readonly LogRecordLike[]);
  return "startTime" in first ? encodeRecords("traces", telemetry as readonly SpanLike[]) : undefined;
}

function encodeRecords<S extends "logs" | "traces", T extends LogRecordLike & SpanLike>(
  signal: S,
  items: readonly (S extends "logs" ? LogRecordLike : SpanLike)[],
): Encoded {
  const records = items as readonly T[];
  const batch = batchOf(signal);
  for (const record of records) batch.add(record.resource, record.instrumentationScope, record);
  return {
    signal,
    request: batch.take(),
    records: records.length,
    annotated(annotations) {
      const copy = [...records];
      const order = orderOf(records);
      for (const [position, own] of annotations) {
        const record = copy[order[position]!]!;
        copy[order[position]!] = overlay(record, { attributes: { ...record.attributes, ...own } });
      }
      return copy;
    },
  };
}

function encodePoints(resourceMetrics: ResourceMetricsLike): Encoded | undefined {
  const metrics = resourceMetrics.scopeMetrics.flatMap(({ metrics }) => metrics.filter(isEncoded));
  const records = metrics.reduce((sum, { dataPoints }) => sum + dataPoints.length, 0);
  if (records === 0) return undefined;
  return {
    signal: "metrics",
    request: encodeMetrics(resourceMetrics),
    records,
    annotated: (annotations) => annotatedPoints(resourceMetrics, annotations),
  };
}

function annotatedPoints(
  resourceMetrics: ResourceMetricsLike,
  annotations: ReadonlyMap<number, Annotation>,
): ResourceMetricsLike {
  let position = 0;
  const scopeMetrics = resourceMetrics.scopeMetrics.map((ofScope) => ({
    ...ofScope,
    metrics: ofScope.metrics.map((metric) => {
      if (!isEncoded(metric)) return metric;
      const dataPoints = metric.dataPoints.map((point) => {
        const own = annotations.get(position++);
        return own === undefined ? point : { ...point, attributes: { ...point.attributes, ...own } };
      });
      return { ...metric, dataPoints };
    }),
  }));
  return { ...resourceMetrics, scopeMetrics };
}
