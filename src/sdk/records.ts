/** Records that a host pushes without the OpenTelemetry SDK, in the shapes that the encoder takes. */
import type { LogRecordLike } from "./encoder/logs.ts";
import type { MetricLike } from "./encoder/metrics.ts";
import type { SpanLike } from "./encoder/spans.ts";
import type { AttributesLike, HrTime, ResourceLike, ScopeLike } from "./encoder/values.ts";

/** A time: a Date, or milliseconds since 1970. */
export type Time = Date | number;

/** A log record. */
export interface LogInput {
  /** The message, or an object of values. */
  body: unknown;
  /** A name such as `warn`, or a number of OpenTelemetry's SeverityNumber. */
  severity?: string | number;
  /** Attributes by their names. */
  attributes?: AttributesLike;
  /** When it happened; now by default. */
  time?: Time;
  /** The name of the event, if the record is one. */
  eventName?: string;
  /** The trace that it belongs to, as 32 hexadecimal digits. */
  traceId?: string;
  /** The span that it belongs to, as 16 hexadecimal digits. */
  spanId?: string;
}

/** A finished span. */
export interface SpanInput {
  /** What was done, such as `GET /cart`. Spans with one name are compared with each other. */
  name: string;
  /** When it ended; now by default. */
  end?: Time;
  /** How long it took, in milliseconds; 0 by default. */
  duration?: number;
  /** Its kind; `internal` by default. */
  kind?: "internal" | "server" | "client" | "producer" | "consumer";
  /** Why it failed; undefined if it did not. */
  error?: string;
  /** Attributes by their names. */
  attributes?: AttributesLike;
  /** Its trace, as 32 hexadecimal digits; a new one by default. */
  traceId?: string;
  /** Its id, as 16 hexadecimal digits; a random one by default. */
  spanId?: string;
  /** The span that caused it, as 16 hexadecimal digits. */
  parentSpanId?: string;
}

/** The scope of what the SDK makes. */
export const scope: ScopeLike = { name: "driftlock" };

/** OTLP's status codes as the API numbers them. */
const unset = 0;
const failed = 2;
const kinds = { internal: 0, server: 1, client: 2, producer: 3, consumer: 4 } as const;
const sampled = 1;
/** Of the SDK's metrics. */
const gauge = 2;
const delta = 0;
const realNumbers = 1;

export const resourceOf = (service: string): ResourceLike => ({ attributes: { "service.name": service } });

export function hrTime(time: Time = Date.now()): HrTime {
  const ms = Number(time);
  if (!(ms >= 0)) throw new RangeError("time must be a Date, or milliseconds since 1970");
  const seconds = Math.floor(ms / 1000);
  return [seconds, Math.round((ms - seconds * 1000) * 1e6)];
}

/** Returns random hexadecimal digits. They need not be unguessable. */
export function randomId(length: 16 | 32): string {
  let id = "";
  while (id.length < length) {
    id += Math.floor(Math.random() * 2 ** 32)
      .toString(16)
      .padStart(8, "0");
  }
  return id;
}

export function toLogRecord(input: LogInput): Omit<LogRecordLike, "resource" | "instrumentationScope"> {
  const { body, severity, attributes = {}, time, eventName, traceId, spanId } = input;
  const at = hrTime(time);
  return {
    hrTime: at,
    hrTimeObserved: at,
    body,
    severityNumber: typeof severity === "number" ? severity : undefined,
    severityText: typeof severity === "string" ? severity : undefined,
    attributes,
    eventName,
    spanContext: traceId ? { traceId, spanId: spanId ?? "", traceFlags: sampled } : undefined,
    droppedAttributesCount: 0,
  };
}

export function toSpan(input: SpanInput, resource: ResourceLike): SpanLike {
  const { name, end = Date.now(), duration = 0, kind = "internal", error, attributes = {} } = input;
  const { traceId = randomId(32), spanId = randomId(16), parentSpanId } = input;
  const context = { traceId, spanId, traceFlags: sampled };
  return {
    name: String(name),
    kind: kinds[kind] ?? kinds.internal,
    spanContext: () => context,
    parentSpanContext: parentSpanId ? { ...context, spanId: parentSpanId } : undefined,
    startTime: hrTime(Number(end) - duration),
    endTime: hrTime(end),
    status: error === undefined ? { code: unset } : { code: failed, message: error },
    attributes,
    links: [],
    events: [],
    resource,
    instrumentationScope: scope,
    droppedAttributesCount: 0,
    droppedEventsCount: 0,
    droppedLinksCount: 0,
  };
}

/** Returns a gauge with one point. */
export function toMetric(name: string, value: number, attributes: AttributesLike): MetricLike {
  if (typeof value !== "number") throw new TypeError("a value must be a number");
  const now = hrTime();
  return {
    descriptor: { name: String(name), valueType: realNumbers },
    aggregationTemporality: delta,
    dataPointType: gauge,
    dataPoints: [{ startTime: now, endTime: now, attributes, value }],
  };
}
