/** Converts an event of plain JSON to a log record: https://opentelemetry.io/docs/specs/otel/logs/data-model/ */
import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { z } from "zod";
import { ExportLogsServiceRequestSchema } from "../../gen/opentelemetry/proto/collector/logs/v1/logs_service_pb.js";
import type { LogRecordSchema, ResourceLogsSchema } from "../../gen/opentelemetry/proto/logs/v1/logs_pb.js";
import { examples } from "../../json/examples.ts";
import { native } from "../../native.ts";
import { exactNumber } from "../../otlp/json-numbers.ts";
import { time } from "../query.ts";
import { validate } from "../validation.ts";
import { anyValue, type ItemBatch, keyValues, resourceAttributes, timeOf } from "./values.ts";

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

type Event = z.output<typeof eventSchema>;

/**
 * Validates an event.
 * @throws {ValidationError} if it is not valid.
 */
function eventOf(value: unknown): Event {
  const event = validate(eventSchema, value);
  // The schema omits a member named "__proto__", which is a key like any other.
  const { attributes, resource } = value as Event;
  return { ...event, attributes, resource };
}

/** Converts numbers that were kept as digits to plain ones wherever the schema checks them. */
function withPlainNumbers(value: unknown): unknown {
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

/** @throws {InvalidItem} */
function logRecord(event: Event, receivedNanos: bigint): MessageInitShape<typeof LogRecordSchema> {
  const { timestamp, severity = "", body, trace_id = "", span_id = "", event_name = "" } = event;
  return {
    timeUnixNano: timestamp === undefined ? receivedNanos : timeOf(timestamp),
    observedTimeUnixNano: receivedNanos,
    severityNumber: native.severityNumber(severity),
    severityText: severity.toWellFormed(),
    body: anyValue(body, "/body"),
    attributes: keyValues(event.attributes ?? {}, "/attributes"),
    traceId: Buffer.from(trace_id, "hex"),
    spanId: Buffer.from(span_id, "hex"),
    eventName: event_name.toWellFormed(),
  };
}

type ResourceLogs = MessageInitShape<typeof ResourceLogsSchema> & {
  scopeLogs: [{ logRecords: MessageInitShape<typeof LogRecordSchema>[] }];
};

/** Groups events by resource, in the order in which they arrived. */
export class EventBatch implements ItemBatch {
  readonly #receivedNanos: bigint;
  readonly #resources = new Map<string, ResourceLogs>();

  constructor(receivedNanos: bigint) {
    this.#receivedNanos = receivedNanos;
  }

  add(value: unknown): void {
    const event = eventOf(withPlainNumbers(value));
    const record = logRecord(event, this.#receivedNanos);
    const name = JSON.stringify([event.service, event.resource]);
    let logs = this.#resources.get(name);
    if (logs === undefined) {
      logs = { resource: { attributes: resourceAttributes(event) }, scopeLogs: [{ logRecords: [] }] };
      this.#resources.set(name, logs);
    }
    logs.scopeLogs[0].logRecords.push(record);
  }

  encode(): Uint8Array {
    const request = create(ExportLogsServiceRequestSchema, { resourceLogs: [...this.#resources.values()] });
    return toBinary(ExportLogsServiceRequestSchema, request);
  }
}
