/** What all signals share: attributes, resources and scopes, with the byte layout of OpenTelemetry's own transformer. */
import type { Writer } from "./writer.ts";

/** Attributes as OpenTelemetry's API has them; values of other types are encoded as far as OTLP can hold them. */
export type AttributesLike = { readonly [key: string]: unknown };

/** A resource of the SDK, as far as it is encoded. */
export interface ResourceLike {
  readonly attributes: AttributesLike;
  readonly schemaUrl?: string | undefined;
}

/** An instrumentation scope. */
export interface ScopeLike {
  readonly name: string;
  readonly version?: string | undefined;
  readonly schemaUrl?: string | undefined;
  readonly attributes?: AttributesLike | undefined;
  readonly droppedAttributesCount?: number | undefined;
}

/** The context of a span. */
export interface SpanContextLike {
  readonly traceId: string;
  readonly spanId: string;
  readonly traceFlags: number;
  readonly isRemote?: boolean | undefined;
  readonly traceState?: { serialize(): string } | undefined;
}

/** Seconds and nanoseconds. */
export type HrTime = readonly [number, number];

/** Values within values, beyond which they are left empty: a value may contain itself. */
const deepest = 16;
const smallestInt = -(2 ** 63);
const beyondInt = 2 ** 63;

export function writeAttributes(writer: Writer, field: number, attributes: AttributesLike, depth = 0): void {
  for (const key of Object.keys(attributes)) writeAttribute(writer, field, key, attributes[key], depth);
}

export function writeAttribute(writer: Writer, field: number, key: string, value: unknown, depth = 0): void {
  if (typeof value !== "string" || !writer.shortPair(field, key, value)) {
    writeLongAttribute(writer, field, key, value, depth);
  }
}

/** Writes an attribute that need not be a short string. */
export function writeLongAttribute(
  writer: Writer,
  field: number,
  key: string,
  value: unknown,
  depth = 0,
): void {
  const pair = writer.begin(field);
  writer.string(1, key);
  const inner = writer.begin(2);
  writeValue(writer, value, depth);
  writer.end(inner);
  writer.end(pair);
}

/** Writes the fields of an AnyValue. A value that OTLP cannot hold is empty. */
export function writeValue(writer: Writer, value: unknown, depth = 0): void {
  switch (typeof value) {
    case "string":
      writer.string(1, value);
      break;
    case "boolean":
      writer.uint32(2, value ? 1 : 0);
      break;
    case "number":
    case "bigint":
      writeNumber(writer, Number(value));
      break;
    case "object":
      if (value !== null && depth < deepest) writeObject(writer, value, depth);
  }
}

function writeNumber(writer: Writer, value: number): void {
  if (Number.isInteger(value) && value >= smallestInt && value < beyondInt) writer.int64(3, value);
  else writer.double(4, value);
}

function writeObject(writer: Writer, value: object, depth: number): void {
  if (value instanceof Uint8Array) writer.bytes(7, value);
  else if (Array.isArray(value)) {
    const list = writer.begin(5);
    for (const item of value) {
      const start = writer.begin(1);
      writeValue(writer, item, depth + 1);
      writer.end(start);
    }
    writer.end(list);
  } else {
    const list = writer.begin(6);
    writeAttributes(writer, 1, value as AttributesLike, depth + 1);
    writer.end(list);
  }
}

/** Bytes of the lengths of messages that hold records: enough for 2 MiB. */
const longMessage = 3;

/** Begins the records of a resource. Its result is for `endRecords`. */
export function beginResource(writer: Writer, { attributes }: ResourceLike): number {
  const records = writer.begin(1, longMessage);
  const start = writer.begin(1);
  writeAttributes(writer, 1, attributes);
  writer.uint32(2, 0);
  writer.end(start);
  return records;
}

/** Begins the records of a scope, within those of its resource. Its result is for `endRecords`. */
export function beginScope(writer: Writer, scope: ScopeLike): number {
  const records = writer.begin(2, longMessage);
  const start = writer.begin(1);
  writer.string(1, scope.name);
  if (scope.version) writer.string(2, scope.version);
  if (scope.attributes) writeAttributes(writer, 3, scope.attributes);
  if (scope.droppedAttributesCount) writer.uint32(4, scope.droppedAttributesCount);
  writer.end(start);
  return records;
}

/** Ends the records of a resource or a scope. */
export function endRecords(writer: Writer, { schemaUrl }: ResourceLike | ScopeLike, records: number): void {
  if (schemaUrl) writer.string(3, schemaUrl);
  writer.end(records, longMessage);
}
