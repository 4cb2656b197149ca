/** Converts JSON to attributes and bodies of OTLP. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { AnyValueSchema, KeyValueSchema } from "../../gen/opentelemetry/proto/common/v1/common_pb.js";
import { maxNanos, parseNanos } from "../../json/time.ts";
import { exactNumber, integerOf } from "../../otlp/json-numbers.ts";

type AnyValue = MessageInitShape<typeof AnyValueSchema>;
export type KeyValue = MessageInitShape<typeof KeyValueSchema>;

/** Maximum depth of nested values. */
const maxDepth = 16;

/** A part of an item that cannot be expressed in OTLP. */
export class InvalidItem extends Error {
  /** The JSON pointer into the item. */
  readonly field: string;

  constructor(field: string, message: string) {
    super(message);
    this.field = field;
  }
}

/** Converts a number of any length: to an integer if it is integral and fits into 64 bits. */
function exactValue(decimal: string): AnyValue {
  const integer = integerOf(decimal);
  const double = Number(decimal);
  return integer !== undefined && BigInt.asIntN(64, integer) === integer && !Object.is(double, -0)
    ? { value: { case: "intValue", value: integer } }
    : { value: { case: "doubleValue", value: double } };
}

/** @throws {InvalidItem} */
export function anyValue(value: unknown, field: string, depth = 0): AnyValue {
  if (depth > maxDepth) throw new InvalidItem(field, `is nested deeper than ${maxDepth} levels`);
  switch (typeof value) {
    case "string": {
      const digits = exactNumber(value);
      if (digits !== undefined) return exactValue(digits);
      return { value: { case: "stringValue", value: value.toWellFormed() } };
    }
    case "boolean":
      return { value: { case: "boolValue", value } };
    case "number":
      return Number.isSafeInteger(value) && !Object.is(value, -0)
        ? { value: { case: "intValue", value: BigInt(value) } }
        : { value: { case: "doubleValue", value } };
    default:
      if (value === null || value === undefined) return {};
      if (Array.isArray(value)) {
        const values = value.map((each, i) => anyValue(each, `${field}/${i}`, depth + 1));
        return { value: { case: "arrayValue", value: { values } } };
      }
      return { value: { case: "kvlistValue", value: { values: keyValues(value, field, depth + 1) } } };
  }
}

/** @throws {InvalidItem} */
export function keyValues(map: object, field: string, depth = 0): KeyValue[] {
  return Object.entries(map).map(([key, value]) => ({
    key: key.toWellFormed(),
    value: anyValue(value, `${field}/${key.replaceAll("~", "~0").replaceAll("/", "~1")}`, depth),
  }));
}

/** The attributes of a resource, whose service may be named apart. @throws {InvalidItem} */
export function resourceAttributes({
  service,
  resource = {},
}: {
  service?: string | undefined;
  resource?: Record<string, unknown> | undefined;
}): KeyValue[] {
  return keyValues(service === undefined ? resource : { ...resource, "service.name": service }, "/resource");
}

/** Returns the nanoseconds since 1970 of the member `timestamp`. @throws {InvalidItem} */
export function timeOf(timestamp: string): bigint {
  const nanos = parseNanos(timestamp);
  if (nanos < 0n) throw new InvalidItem("/timestamp", "is before 1970");
  if (nanos >= maxNanos) throw new InvalidItem("/timestamp", "is after 2262-04-11, where nanoseconds end");
  return nanos;
}

/** Receives the items of a body, and encodes the valid ones as an Export*ServiceRequest. */
export interface ItemBatch {
  /** @throws {InvalidItem} or {ValidationError} if the item is not valid. */
  add(value: unknown): void;
  encode(): Uint8Array;
}
