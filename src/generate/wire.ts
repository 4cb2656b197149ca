/** Writes records as protobuf, each once, so that requests are put together from finished parts. */
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";

const { LengthDelimited, Bit64, Bit32, Varint } = WireType;

export type Value = string | number | boolean | readonly Value[] | { readonly [key: string]: Value };
export type Attribute = readonly [key: string, value: Value];

export interface SpanRecord {
  traceId: Uint8Array;
  spanId: Uint8Array;
  parent: Uint8Array | undefined;
  name: string;
  kind: number;
  startUnixNano: bigint;
  endUnixNano: bigint;
  /** Encoded attributes. */
  fixed: Uint8Array;
  attributes: readonly Attribute[];
  /** The message of the status, if it is an error. */
  error: string | undefined;
}

export interface LogRecord {
  unixNano: bigint;
  severityNumber: number;
  severityText: string;
  /** Absent for an event that says everything in its attributes. */
  body?: string;
  attributes: readonly Attribute[];
  /** The name of an event. */
  event?: string;
  traceId: Uint8Array | undefined;
  spanId: Uint8Array | undefined;
}

/** Flags of a sampled span whose parent, if any, is known to be remote or not (bits 8 and 9 of the specification). */
const spanFlags = 0x101;
const logFlags = 1;
const statusError = 2;
/** `finish` makes it ready for the next message, and keeps its buffer. */
const w = new BinaryWriter();

function writeAttribute(field: number, [key, value]: Attribute): void {
  w.tag(field, LengthDelimited).fork().tag(1, LengthDelimited).string(key);
  writeValue(2, value);
  w.join();
}

function writeValue(field: number, value: Value): void {
  w.tag(field, LengthDelimited).fork();
  if (typeof value === "string") w.tag(1, LengthDelimited).string(value);
  else if (typeof value === "boolean") w.tag(2, Varint).bool(value);
  else if (typeof value === "object") {
    const list = Array.isArray(value);
    w.tag(list ? 5 : 6, LengthDelimited).fork();
    if (list) for (const each of value) writeValue(1, each);
    else for (const entry of Object.entries(value)) writeAttribute(1, entry);
    w.join();
  } else if (Number.isInteger(value)) w.tag(3, Varint).int64(value);
  else w.tag(4, Bit64).double(value);
  w.join();
}

/** Encodes the attributes of spans that never change. */
export function encodeSpanAttributes(attributes: readonly Attribute[]): Uint8Array {
  for (const attribute of attributes) writeAttribute(9, attribute);
  return w.finish();
}

/** Encodes a Span. */
export function encodeSpan(span: SpanRecord): Uint8Array {
  w.tag(1, LengthDelimited).bytes(span.traceId).tag(2, LengthDelimited).bytes(span.spanId);
  if (span.parent) w.tag(4, LengthDelimited).bytes(span.parent);
  w.tag(5, LengthDelimited).string(span.name).tag(6, Varint).int32(span.kind);
  w.tag(7, Bit64).fixed64(span.startUnixNano).tag(8, Bit64).fixed64(span.endUnixNano);
  w.raw(span.fixed);
  for (const attribute of span.attributes) writeAttribute(9, attribute);
  if (span.error !== undefined) {
    w.tag(15, LengthDelimited).fork().tag(2, LengthDelimited).string(span.error);
    w.tag(3, Varint).int32(statusError).join();
  }
  w.tag(16, Bit32).fixed32(spanFlags);
  return w.finish();
}

/** Encodes a LogRecord. */
export function encodeLog(log: LogRecord): Uint8Array {
  w.tag(1, Bit64).fixed64(log.unixNano).tag(2, Varint).int32(log.severityNumber);
  w.tag(3, LengthDelimited).string(log.severityText);
  if (log.body !== undefined) {
    w.tag(5, LengthDelimited).fork().tag(1, LengthDelimited).string(log.body).join();
  }
  for (const attribute of log.attributes) writeAttribute(6, attribute);
  if (log.traceId && log.spanId) {
    w.tag(8, Bit32).fixed32(logFlags).tag(9, LengthDelimited).bytes(log.traceId);
    w.tag(10, LengthDelimited).bytes(log.spanId);
  }
  w.tag(11, Bit64).fixed64(log.unixNano);
  if (log.event !== undefined) w.tag(12, LengthDelimited).string(log.event);
  return w.finish();
}

/** Encodes a Resource. */
export function encodeResource(attributes: readonly Attribute[]): Uint8Array {
  for (const attribute of attributes) writeAttribute(1, attribute);
  return w.finish();
}

/** The encoded records of one resource. */
export interface Part {
  resource: Uint8Array;
  /** The name of the instrumentation scope. */
  scope: string;
  records: Uint8Array[];
}

/** Encodes an Export*ServiceRequest, whose messages have the same field numbers for all signals. */
export function encodeRequest(parts: Iterable<Part>): Buffer {
  for (const { resource, scope, records } of parts) {
    w.tag(1, LengthDelimited).fork().tag(1, LengthDelimited).bytes(resource);
    w.tag(2, LengthDelimited).fork();
    w.tag(1, LengthDelimited).fork().tag(1, LengthDelimited).string(scope).join();
    for (const record of records) w.tag(2, LengthDelimited).bytes(record);
    w.join().join();
  }
  return Buffer.from(w.finish().buffer);
}
