/** Reads the events of a body one by one: an invalid event does not affect the others. */
import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { ExportLogsServiceRequestSchema } from "../../gen/opentelemetry/proto/collector/logs/v1/logs_service_pb.js";
import type { ResourceLogsSchema } from "../../gen/opentelemetry/proto/logs/v1/logs_pb.js";
import { parseJson } from "../../otlp/json-numbers.ts";
import { countJsonValues } from "../../otlp/json-shape.ts";
import { pointer, ValidationError } from "../validation.ts";
import { eventOf, InvalidEvent, logRecord, resourceAttributes, withPlainNumbers } from "./event.ts";

export interface EventError {
  /** The index of the event in the body, or of its line, from 0. */
  index: number;
  /** The JSON pointer into the event; empty for the event itself. */
  field: string;
  detail: string;
}

export interface ReadEvents {
  /** The valid events, as an ExportLogsServiceRequest. */
  request: Uint8Array;
  accepted: number;
  rejected: number;
  /** The first errors, up to a limit. */
  errors: EventError[];
}

class TooManyEvents extends Error {}

export const maxEvents = 10_000;
const maxErrors = 100;
/** Maximum length of an error's detail, which may quote what was sent. */
const maxDetail = 300;

type ResourceLogs = MessageInitShape<typeof ResourceLogsSchema> & {
  scopeLogs: [
    {
      logRecords: MessageInitShape<
        typeof import("../../gen/opentelemetry/proto/logs/v1/logs_pb.js").LogRecordSchema
      >[];
    },
  ];
};

/** The items of a body in order: values, or the reasons why they are invalid. */
type Items = Iterable<{ value: unknown } | { fault: string }>;

/** @throws {SyntaxError} for invalid JSON, and {TypeError} for text that is not UTF-8. */
function jsonItems(text: Uint8Array): Items {
  const value = parseJson(text);
  return (Array.isArray(value) ? value : [value]).map((each) => ({ value: each as unknown }));
}

/**
 * Yields one value per line; empty lines are skipped.
 * @throws {TypeError} for text that is not UTF-8.
 */
function* ndjsonItems(text: Buffer): Generator<{ value: unknown } | { fault: string }> {
  for (const line of linesOf(text)) {
    try {
      yield { value: parseJson(line) };
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
      yield { fault: `is not JSON: ${error.message}` };
    }
  }
}

function isBlank(line: Buffer): boolean {
  for (let i = 0; i < line.length; i += 1) if (line[i]! > space) return false;
  return true;
}

function* linesOf(text: Buffer): Generator<Buffer> {
  for (let start = 0; start < text.length; ) {
    const found = text.indexOf(lineFeed, start);
    const end = found < 0 ? text.length : found;
    const line = text.subarray(start, end);
    start = end + 1;
    if (!isBlank(line)) yield line;
  }
}

const lineFeed = 0x0a;
/** Characters up to this one are white space, or do not occur in JSON. */
const space = 0x20;

/**
 * Returns an upper bound of the number of values and keys in all lines. Each line is counted on its own: a quote that is
 * never closed would hide what follows.
 */
export async function countLineValues(text: Buffer): Promise<number> {
  let values = 0;
  let lines = 0;
  for (const line of linesOf(text)) {
    lines += 1;
    if (lines > maxEvents) break;
    // A line that is nested too deeply is rejected later, without affecting the others.
    values += await countJsonValues(line).catch(() => line.length);
  }
  return values;
}

/**
 * Groups the events by resource, in the order in which they arrived.
 * @throws {TooManyEvents}
 */
function readEvents(items: Items, receivedMs: number): ReadEvents {
  const received = BigInt(receivedMs) * 1_000_000n;
  const resources = new Map<string, ResourceLogs>();
  const errors: EventError[] = [];
  let index = -1;
  let rejected = 0;
  for (const item of items) {
    index += 1;
    if (index >= maxEvents) throw new TooManyEvents();
    const issues =
      "fault" in item ? [{ field: "", detail: item.fault }] : add(item.value, received, resources);
    if (issues.length === 0) continue;
    rejected += 1;
    for (const { field, detail } of issues.slice(0, maxErrors - errors.length)) {
      errors.push({ index, field: short(field), detail: short(detail) });
    }
  }
  const request = create(ExportLogsServiceRequestSchema, { resourceLogs: [...resources.values()] });
  return {
    request: toBinary(ExportLogsServiceRequestSchema, request),
    accepted: index + 1 - rejected,
    rejected,
    errors,
  };
}

export type EventFormat = "json" | "ndjson";

/** The content of a body, or the reason why it cannot be read. */
export type Reading = { events: ReadEvents } | { tooMany: true } | { invalid: string };

export function readText(format: EventFormat, text: Buffer, receivedMs: number): Reading {
  try {
    return { events: readEvents(format === "json" ? jsonItems(text) : ndjsonItems(text), receivedMs) };
  } catch (error) {
    if (error instanceof TooManyEvents) return { tooMany: true };
    if (error instanceof SyntaxError) return { invalid: `is not JSON: ${error.message.toWellFormed()}` };
    if (error instanceof TypeError && "code" in error && error.code === "ERR_ENCODING_INVALID_ENCODED_DATA") {
      return { invalid: "is not UTF-8" };
    }
    throw error;
  }
}

/** Truncates text and makes it well-formed, which a quoted part of an event need not be. */
function short(text: string): string {
  return (text.length <= maxDetail ? text : `${text.slice(0, maxDetail)}…`).toWellFormed();
}

function add(
  value: unknown,
  received: bigint,
  resources: Map<string, ResourceLogs>,
): { field: string; detail: string }[] {
  try {
    const event = eventOf(withPlainNumbers(value));
    const record = logRecord(event, received);
    const name = JSON.stringify([event.service, event.resource]);
    let logs = resources.get(name);
    if (logs === undefined) {
      logs = { resource: { attributes: resourceAttributes(event) }, scopeLogs: [{ logRecords: [] }] };
      resources.set(name, logs);
    }
    logs.scopeLogs[0].logRecords.push(record);
    return [];
  } catch (error) {
    if (error instanceof ValidationError) {
      return error.issues.map(({ path, detail }) => ({ field: pointer(path), detail }));
    }
    if (!(error instanceof InvalidEvent)) throw error;
    return [{ field: error.field, detail: error.message }];
  }
}
