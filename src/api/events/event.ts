/** Converts an event of plain JSON to a log record: https://opentelemetry.io/docs/specs/otel/logs/data-model/ */
import type { MessageInitShape } from "@bufbuild/protobuf";
import { z } from "zod";
import type { AnyValueSchema, KeyValueSchema } from "../../gen/opentelemetry/proto/common/v1/common_pb.js";
import type { LogRecordSchema } from "../../gen/opentelemetry/proto/logs/v1/logs_pb.js";
import { native } from "../../native.ts";
import { exactNumber, integerOf } from "../../otlp/json-numbers.ts";
import { examples } from "../examples.ts";
import { time } from "../query.ts";
import { maxNanos, parseNanos } from "../time.ts";
import { validate } from "../validation.ts";

type AnyValue = MessageInitShape<typeof AnyValueSchema>;
type KeyValue = MessageInitShape<typeof KeyValueSchema>;

const attributes = z.record(z.string().min(1).max(256), z.unknown());

export const eventSchema = z
  .strictObject({
    timestamp: time.optional().describe("RFC 3339; when the event is received where it is not set"),
    severity: z
      .string()
      .max(64)
      .optional()
      .describe(
        "Such as `info`, `warn` or `error`, in any case of letters; names of other loggers are known as well",
      ),
    body: z
      .unknown()
      .describe("Text, or any JSON")
      .refine((body) => body !== undefined, "is missing"),
    service: z.string().min(1).max(256).optional().describe("`service.name` of the resource"),
    resource: attributes
      .optional()
      .describe("What the event comes from; `service` goes before `service.name`"),
    attributes: attributes.optional(),
    trace_id: z
      .string()
      .regex(/^[0-9a-fA-F]{32}$/, "must be 32 hexadecimal digits")
      .optional(),
    span_id: z
      .string()
      .regex(/^[0-9a-fA-F]{16}$/, "must be 16 hexadecimal digits")
      .optional(),
    event_name: z.string().max(256).optional(),
  })
  .meta({ id: "Event", description: "A log record", examples: [examples.event] });

export type Event = z.output<typeof eventSchema>;

/**
 * Validates an event.
 * @throws {ValidationError} if it is not valid.
 */
export function eventOf(value: unknown): Event {
  const event = validate(eventSchema, value);
  // The schema omits a member named "__proto__", which is a key like any other.
  const { attributes, resource } = value as Event;
  return { ...event, attributes, resource };
}

/** Maximum depth of nested values. */
const maxDepth = 16;

/** A part of an event that cannot be expressed in a log record. */
export class InvalidEvent extends Error {
  /** The JSON pointer into the event. */
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

function anyValue(value: unknown, field: string, depth: number): AnyValue {
  if (depth > maxDepth) throw new InvalidEvent(field, `is nested deeper than ${maxDepth} levels`);
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

function keyValues(map: object, field: string, depth = 0): KeyValue[] {
  return Object.entries(map).map(([key, value]) => ({
    key: key.toWellFormed(),
    value: anyValue(value, `${field}/${key.replaceAll("~", "~0").replaceAll("/", "~1")}`, depth),
  }));
}

/** Converts numbers that were kept as digits to plain ones wherever the schema checks them. */
export function withPlainNumbers(value: unknown): unknown {
  const digits = exactNumber(value);
  if (digits !== undefined) return Number(digits);
  if (typeof value !== "object" || value === null) return value;
  const members = value as Record<string, unknown>;
  for (const name of Object.keys(members)) {
    const ofMember = name === "body" ? undefined : exactNumber(members[name]);
    if (ofMember !== undefined) members[name] = Number(ofMember);
  }
  return value;
}

/** @throws {InvalidEvent} */
export function logRecord(event: Event, receivedNanos: bigint): MessageInitShape<typeof LogRecordSchema> {
  const { timestamp, severity = "", body, trace_id = "", span_id = "", event_name = "" } = event;
  return {
    timeUnixNano: timestamp === undefined ? receivedNanos : recordTime(parseNanos(timestamp)),
    observedTimeUnixNano: receivedNanos,
    severityNumber: native.severityNumber(severity),
    severityText: severity.toWellFormed(),
    body: anyValue(body, "/body", 0),
    attributes: keyValues(event.attributes ?? {}, "/attributes"),
    traceId: Buffer.from(trace_id, "hex"),
    spanId: Buffer.from(span_id, "hex"),
    eventName: event_name.toWellFormed(),
  };
}

/** @throws {InvalidEvent} */
export function resourceAttributes({ service, resource = {} }: Event): KeyValue[] {
  return keyValues(service === undefined ? resource : { ...resource, "service.name": service }, "/resource");
}

function recordTime(nanos: bigint): bigint {
  if (nanos < 0n) throw new InvalidEvent("/timestamp", "is before 1970");
  if (nanos >= maxNanos) throw new InvalidEvent("/timestamp", "is after 2262-04-11, where nanoseconds end");
  return nanos;
}
