/** Reads what a Collector's file exporter wrote, and what a request's bytes hold. */
import { readFile } from "node:fs/promises";
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import type { Signal } from "../../src/otlp/protocol.ts";

type Json = Record<string, unknown>;

/** A log record, span or metric point as OTLP JSON, its attributes (and its resource's) by key. */
export interface JsonRecord {
  record: Json;
  attributes: Record<string, unknown>;
  resource: Record<string, unknown>;
}

/** The one member of a wrapper such as {"stringValue": "x"}. */
const unwrap = (value: object) => Object.values(value)[0];

function attributesOf(holder: unknown): Record<string, unknown> {
  const { attributes = [] } = (holder ?? {}) as { attributes?: { key: string; value: object }[] };
  return Object.fromEntries(attributes.map(({ key, value }) => [key, unwrap(value)]));
}

const list = (holder: Json, ...names: string[]) => names.flatMap((name) => (holder[name] ?? []) as Json[]);

/** Returns the points of a metric of any of the five types. */
const pointsOf = (metric: Json) =>
  ["gauge", "sum", "histogram", "exponentialHistogram", "summary"].flatMap((type) =>
    list((metric[type] ?? {}) as Json, "dataPoints"),
  );

/** Returns all records of an OTLP JSON file, in order. */
export async function readJson(path: string): Promise<Record<Signal, JsonRecord[]>> {
  const found: Record<Signal, JsonRecord[]> = { logs: [], traces: [], metrics: [] };
  for (const line of (await readFile(path, "utf8")).split("\n")) {
    if (line === "") continue;
    const request = JSON.parse(line) as Json;
    for (const group of list(request, "resourceLogs", "resourceSpans", "resourceMetrics")) {
      const resource = attributesOf(group.resource);
      const add = (signal: Signal, records: Json[]) => {
        for (const record of records) {
          found[signal].push({ record, attributes: attributesOf(record), resource });
        }
      };
      for (const scope of list(group, "scopeLogs", "scopeSpans", "scopeMetrics")) {
        add("logs", list(scope, "logRecords"));
        add("traces", list(scope, "spans"));
        add("metrics", list(scope, "metrics").flatMap(pointsOf));
      }
    }
  }
  return found;
}

/** Returns the requests of a file that otelload dumped: each is preceded by its length in 4 bytes, big-endian. */
export async function readDump(path: string): Promise<Buffer[]> {
  const file = await readFile(path);
  const requests: Buffer[] = [];
  for (let at = 0; at < file.length; ) {
    const end = at + 4 + file.readUInt32BE(at);
    requests.push(file.subarray(at + 4, end));
    at = end;
  }
  return requests;
}

/** Yields every field of a message: its number, and its content if it has a length. */
function* fieldsOf(message: Uint8Array): Generator<{ number: number; content: Buffer | undefined }> {
  const reader = new BinaryReader(message);
  while (reader.pos < reader.len) {
    const [number, type] = reader.tag();
    if (type === WireType.LengthDelimited) yield { number, content: Buffer.from(reader.bytes()) };
    else {
      reader.skip(type, number);
      yield { number, content: undefined };
    }
  }
}

const within = (messages: Buffer[], numbers: number[]): Buffer[] =>
  messages.flatMap((message) =>
    [...fieldsOf(message)].flatMap(({ number, content }) =>
      content !== undefined && numbers.includes(number) ? [content] : [],
    ),
  );

/** Returns the bytes of each record of an Export*ServiceRequest, in order. */
export function recordsOf(signal: Signal, request: Buffer): Buffer[] {
  const members = within(within(within([request], [1]), [2]), [2]);
  // The fields are gauge, sum, histogram, exponential_histogram and summary of a Metric, then data_points of each.
  return signal === "metrics" ? within(within(members, [5, 7, 9, 10, 11]), [1]) : members;
}

/** Numbers of the attributes field in LogRecord, Span, and the five kinds of points. */
const attributeFields: Record<Signal, number[]> = { logs: [6], traces: [9], metrics: [7, 9, 1] };

/** Returns the keys of a piece of a record that holds nothing but attributes. */
export function attributeKeys(signal: Signal, piece: Uint8Array): string[] {
  return [...fieldsOf(piece)].map(({ number, content }) => {
    if (content === undefined || !attributeFields[signal].includes(number)) {
      throw new Error(`field ${number} is no attribute`);
    }
    const [key] = within([content], [1]);
    return key!.toString();
  });
}
