/** Log records of the OpenTelemetry JS SDK as OTLP. */
import type { Repeated } from "./repeated.ts";
import {
  type AttributesLike,
  type HrTime,
  type ResourceLike,
  type ScopeLike,
  type SpanContextLike,
  writeValue,
} from "./values.ts";
import type { Writer } from "./writer.ts";

/** A `ReadableLogRecord` of the SDK, as far as it is encoded. */
export interface LogRecordLike {
  readonly hrTime: HrTime;
  readonly hrTimeObserved: HrTime;
  readonly spanContext?: Pick<SpanContextLike, "traceId" | "spanId" | "traceFlags"> | undefined;
  readonly severityNumber?: number | undefined;
  readonly severityText?: string | undefined;
  readonly body?: unknown;
  readonly eventName?: string | undefined;
  readonly attributes: AttributesLike;
  readonly resource: ResourceLike;
  readonly instrumentationScope: ScopeLike;
  readonly droppedAttributesCount: number;
}

/** Writes the record's fields. */
export function writeLogRecord(
  writer: Writer,
  record: Omit<LogRecordLike, "resource" | "instrumentationScope">,
  repeated: Repeated,
): void {
  const { spanContext: context } = record;
  writer.time(1, record.hrTime);
  if (record.severityNumber) writer.uint32(2, record.severityNumber);
  if (record.severityText) writer.string(3, record.severityText);
  if (record.body !== undefined) {
    const body = writer.begin(5);
    writeValue(writer, record.body);
    writer.end(body);
  }
  repeated.attributes(writer, 6, record.attributes);
  writer.uint32(7, record.droppedAttributesCount);
  if (context?.traceFlags) writer.fixed32(8, context.traceFlags);
  if (context?.traceId) writer.hex(9, context.traceId);
  if (context?.spanId) writer.hex(10, context.spanId);
  writer.time(11, record.hrTimeObserved);
  if (record.eventName) writer.string(12, record.eventName);
}
