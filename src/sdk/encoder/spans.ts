/** Spans of the OpenTelemetry JS SDK as OTLP. */
import type { Repeated } from "./repeated.ts";
import {
  type AttributesLike,
  type HrTime,
  type ResourceLike,
  type ScopeLike,
  type SpanContextLike,
  writeAttributes,
} from "./values.ts";
import type { Writer } from "./writer.ts";

/** A `ReadableSpan` of the SDK, as far as it is encoded. */
export interface SpanLike {
  readonly name: string;
  readonly kind: number;
  spanContext(): SpanContextLike;
  readonly parentSpanContext?: SpanContextLike | undefined;
  readonly startTime: HrTime;
  readonly endTime: HrTime;
  readonly status: { readonly code: number; readonly message?: string | undefined };
  readonly attributes: AttributesLike;
  readonly links: readonly {
    readonly context: SpanContextLike;
    readonly attributes?: AttributesLike | undefined;
    readonly droppedAttributesCount?: number | undefined;
  }[];
  readonly events: readonly {
    readonly time: HrTime;
    readonly name: string;
    readonly attributes?: AttributesLike | undefined;
    readonly droppedAttributesCount?: number | undefined;
  }[];
  readonly resource: ResourceLike;
  readonly instrumentationScope: ScopeLike;
  readonly droppedAttributesCount: number;
  readonly droppedEventsCount: number;
  readonly droppedLinksCount: number;
}

const hasIsRemote = 0x100;
const isRemote = 0x200;

const flagsOf = (traceFlags: number, remote: boolean | undefined) =>
  (traceFlags & 0xff) | hasIsRemote | (remote ? isRemote : 0);

/** Writes the span's fields. */
export function writeSpan(writer: Writer, span: SpanLike, repeated: Repeated): void {
  const context = span.spanContext();
  const parent = span.parentSpanContext;
  writer.hex(1, context.traceId);
  writer.hex(2, context.spanId);
  const state = context.traceState?.serialize();
  if (state) writer.string(3, state);
  if (parent?.spanId) writer.hex(4, parent.spanId);
  repeated.name(writer, 5, span.name);
  // OTLP's kinds have a number for "unspecified" before those of the API.
  writer.uint32(6, span.kind + 1);
  writer.time(7, span.startTime);
  writer.time(8, span.endTime);
  repeated.attributes(writer, 9, span.attributes);
  writer.uint32(10, span.droppedAttributesCount);
  for (const event of span.events) writeEvent(writer, event);
  writer.uint32(12, span.droppedEventsCount);
  for (const link of span.links) writeLink(writer, link);
  writer.uint32(14, span.droppedLinksCount);
  const status = writer.begin(15);
  if (span.status.message) writer.string(2, span.status.message);
  writer.uint32(3, span.status.code);
  writer.end(status);
  writer.fixed32(16, flagsOf(context.traceFlags, parent?.isRemote));
}

function writeEvent(writer: Writer, event: SpanLike["events"][number]): void {
  const start = writer.begin(11);
  writer.time(1, event.time);
  writer.string(2, event.name);
  if (event.attributes) writeAttributes(writer, 3, event.attributes);
  writer.uint32(4, event.droppedAttributesCount ?? 0);
  writer.end(start);
}

function writeLink(
  writer: Writer,
  { context, attributes, droppedAttributesCount }: SpanLike["links"][number],
) {
  const start = writer.begin(13);
  writer.hex(1, context.traceId);
  writer.hex(2, context.spanId);
  const state = context.traceState?.serialize();
  if (state) writer.string(3, state);
  if (attributes) writeAttributes(writer, 4, attributes);
  writer.uint32(5, droppedAttributesCount ?? 0);
  writer.fixed32(6, flagsOf(context.traceFlags, context.isRemote));
  writer.end(start);
}
