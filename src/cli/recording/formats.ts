/** Converts the text formats to OTLP requests, in the order of the file. */
import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { ExportLogsServiceRequestSchema } from "../../gen/opentelemetry/proto/collector/logs/v1/logs_service_pb.js";
import { ExportMetricsServiceRequestSchema } from "../../gen/opentelemetry/proto/collector/metrics/v1/metrics_service_pb.js";
import type { KeyValueSchema } from "../../gen/opentelemetry/proto/common/v1/common_pb.js";
import type { LogRecordSchema } from "../../gen/opentelemetry/proto/logs/v1/logs_pb.js";
import type { NumberDataPointSchema } from "../../gen/opentelemetry/proto/metrics/v1/metrics_pb.js";
import { csvPoints } from "./csv.ts";
import { type Input, recordsPerRequest, type Source } from "./input.ts";
import { type TextLine, textLines } from "./text-lines.ts";

type LogRecord = MessageInitShape<typeof LogRecordSchema>;
type KeyValue = MessageInitShape<typeof KeyValueSchema>;
type Point = MessageInitShape<typeof NumberDataPointSchema>;

function attribute(key: string, value: string): KeyValue {
  return { key, value: { value: { case: "stringValue", value } } };
}

function resource({ service }: Source) {
  return { attributes: [attribute("service.name", service)] };
}

function logsRequest(source: Source, logRecords: LogRecord[]): Buffer {
  const schema = ExportLogsServiceRequestSchema;
  const resourceLogs = [{ resource: resource(source), scopeLogs: [{ logRecords }] }];
  return Buffer.from(toBinary(schema, create(schema, { resourceLogs })));
}

/** Reads one log record per line. The records have no times, since the times in the text have an unknown form. */
export async function* readLines(input: AsyncIterable<Buffer>, source: Source): AsyncGenerator<Input, void> {
  let first = 1;
  let records: LogRecord[] = [];
  const take = (): Input => {
    const place = `${source.name}:${first}`;
    const body = logsRequest(source, records);
    first += records.length;
    records = [];
    return { signal: "logs", body, place };
  };
  for await (const { text, number, truncated } of textLines(input)) {
    if (truncated) source.onLongLine(number);
    records.push({ body: { value: { case: "stringValue", value: text } } });
    if (records.length === recordsPerRequest) yield take();
  }
  if (records.length > 0) yield take();
}

export interface Session {
  id: string;
  events: string[];
  /** The line of the file. */
  line: number;
}

/** Parses `id,event event event`. If there is no ID, the number of the line is used. */
function parseSession({ text, number, truncated }: TextLine): Session {
  const comma = text.indexOf(",");
  const id = comma < 0 ? String(number) : text.slice(0, comma).trim();
  const events = text
    .slice(comma + 1)
    .split(/\s+/)
    .filter((event) => event !== "");
  // The last event is incomplete.
  if (truncated) events.pop();
  return { id, events, line: number };
}

/** Returns the number of log records that a session becomes. */
export function recordsOf({ events }: Pick<Session, "events">): number {
  return events.length + 1;
}

export async function* readSessions(
  input: AsyncIterable<Buffer>,
  { onLongLine }: Source,
): AsyncGenerator<Session, void> {
  for await (const line of textLines(input)) {
    if (line.truncated) onLongLine(line.number);
    yield parseSession(line);
  }
}

/**
 * Converts each event to a log record with its name and session. The event `session.end` behind the last one lets the engine
 * know that no more will follow. Each session has one line of output.
 */
export async function* sessionRequests(
  sessions: AsyncIterable<Session> | Iterable<Session>,
  source: Source,
): AsyncGenerator<Input, void> {
  let records: LogRecord[] = [];
  let units: number[] = [];
  let place = "";
  const take = (): Input => {
    const input: Input = { signal: "logs", body: logsRequest(source, records), units, place };
    records = [];
    units = [];
    return input;
  };
  for await (const { id, events, line } of sessions) {
    if (units.length === 0) place = `${source.name}:${line}`;
    units.push(recordsOf({ events }));
    const attributes = [attribute("session.id", id)];
    const push = (eventName: string) => records.push({ eventName, attributes });
    for (const event of events) push(event);
    push("session.end");
    if (records.length >= recordsPerRequest || units.length === recordsPerRequest) yield take();
  }
  if (units.length > 0) yield take();
}

/** Reads the points of one gauge. */
export async function* readCsv(input: AsyncIterable<Buffer>, source: Source): AsyncGenerator<Input, void> {
  let dataPoints: Point[] = [];
  let place = "";
  const take = (): Input => {
    const schema = ExportMetricsServiceRequestSchema;
    const metrics = [{ name: "value", data: { case: "gauge" as const, value: { dataPoints } } }];
    const resourceMetrics = [{ resource: resource(source), scopeMetrics: [{ metrics }] }];
    const body = Buffer.from(toBinary(schema, create(schema, { resourceMetrics })));
    dataPoints = [];
    return { signal: "metrics", body, place };
  };
  for await (const { unixNano, value, line } of csvPoints(input, source)) {
    if (dataPoints.length === 0) place = `${source.name}:${line}`;
    dataPoints.push(
      value === undefined
        ? { timeUnixNano: unixNano, flags: 1 } // DATA_POINT_FLAGS_NO_RECORDED_VALUE_MASK
        : { timeUnixNano: unixNano, value: { case: "asDouble", value } },
    );
    if (dataPoints.length === recordsPerRequest) yield take();
  }
  if (dataPoints.length > 0) yield take();
}
