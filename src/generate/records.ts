/** Creates synthetic records. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { AnyValueSchema, KeyValueSchema } from "../gen/opentelemetry/proto/common/v1/common_pb.js";
import type { LogRecordSchema } from "../gen/opentelemetry/proto/logs/v1/logs_pb.js";
import type { MetricSchema } from "../gen/opentelemetry/proto/metrics/v1/metrics_pb.js";
import type { SpanSchema } from "../gen/opentelemetry/proto/trace/v1/trace_pb.js";
import type { AnomalyName } from "./anomalies.ts";
import type { Attributes, Service } from "./shop.ts";

export type KeyValue = MessageInitShape<typeof KeyValueSchema>;

interface Common {
  service: Service;
  /** Time of the record, in microseconds of stream time since the start. */
  time: number;
  /** The anomaly to which the record belongs. */
  truth: AnomalyName | undefined;
}

export interface LogItem extends Common {
  signal: "logs";
  record: MessageInitShape<typeof LogRecordSchema>;
}

export interface SpanItem extends Common {
  signal: "traces";
  record: MessageInitShape<typeof SpanSchema>;
}

/** Creates a metric with one point. */
export interface PointItem extends Common {
  signal: "metrics";
  record: MessageInitShape<typeof MetricSchema>;
}

export type Item = LogItem | SpanItem | PointItem;

function anyValue(value: string | number | boolean): MessageInitShape<typeof AnyValueSchema> {
  switch (typeof value) {
    case "string":
      return { value: { case: "stringValue", value } };
    case "boolean":
      return { value: { case: "boolValue", value } };
    case "number":
      return Number.isInteger(value)
        ? { value: { case: "intValue", value: BigInt(value) } }
        : { value: { case: "doubleValue", value } };
  }
}

export function keyValues(attributes: Attributes): KeyValue[] {
  return Object.entries(attributes).map(([key, value]) => ({ key, value: anyValue(value) }));
}

export function text(value: string): MessageInitShape<typeof AnyValueSchema> {
  return anyValue(value);
}
