import { type DescField, type DescMessage, fromJson, type JsonValue, toBinary } from "@bufbuild/protobuf";
import { ExportLogsServiceRequestSchema } from "../gen/opentelemetry/proto/collector/logs/v1/logs_service_pb.js";
import { ExportMetricsServiceRequestSchema } from "../gen/opentelemetry/proto/collector/metrics/v1/metrics_service_pb.js";
import { ExportTraceServiceRequestSchema } from "../gen/opentelemetry/proto/collector/trace/v1/trace_service_pb.js";
import { Code, ExportError, type Signal } from "../otlp.ts";

const requestSchema: Readonly<Record<Signal, DescMessage>> = {
  logs: ExportLogsServiceRequestSchema,
  traces: ExportTraceServiceRequestSchema,
  metrics: ExportMetricsServiceRequestSchema,
};

/** OTLP says that receivers ignore what they do not know. */
const lenient = { ignoreUnknownFields: true };

/** Bytes of text above which an error names its field, but not the element: to find that takes some readings more. */
const maxLocated = 2 ** 20;

/**
 * OTLP/JSON of an Export*ServiceRequest as protobuf (https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding):
 * the JSON mapping of proto3, but for trace and span ids, which are hexadecimal.
 * @throws {ExportError} INVALID_ARGUMENT that names the JSON path.
 */
export function otlpJsonToProtobuf(signal: Signal, text: Uint8Array): Uint8Array {
  const schema = requestSchema[signal];
  let json: JsonValue;
  try {
    json = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(text)) as JsonValue;
  } catch (cause) {
    throw invalid(`the body is not JSON in UTF-8: ${(cause as Error).message}`, cause);
  }
  idsToBase64(planOf(schema), json, []);
  try {
    return toBinary(schema, fromJson(schema, json, lenient));
  } catch (cause) {
    const complaint = text.length <= maxLocated ? locate(schema, json, []) : undefined;
    throw invalid(complaint ?? (cause as Error).message, cause);
  }
}

type Path = (string | number)[];

/** `resourceLogs[0].scopeLogs`; what stands at the root has no path. */
function withPath(path: Path, complaint: string): string {
  const text = path.map((step) => (typeof step === "number" ? `[${step}]` : `.${step}`)).join("");
  return text === "" ? complaint : `${text.slice(1)}: ${complaint}`;
}

function invalid(message: string, cause?: unknown): ExportError {
  return new ExportError(Code.INVALID_ARGUMENT, message, undefined, { cause });
}

/** Where a message has ids: by JSON name, the hexadecimal digits of an id, or the plan of what is within. */
type Plan = Map<string, number | Plan>;

const digitsOf: Readonly<Record<string, number>> = { trace_id: 32, span_id: 16, parent_span_id: 16 };

const plans = new Map<DescMessage, Plan | undefined>();

/** Undefined where a message has no ids in it, so that its JSON need not be walked. */
function planOf(desc: DescMessage): Plan | undefined {
  if (plans.has(desc)) return plans.get(desc);
  // While it is worked out: messages within themselves, which attribute values are, have no ids.
  plans.set(desc, undefined);
  const plan: Plan = new Map();
  for (const field of desc.fields) {
    const within = digitsOf[field.name] ?? (field.message && planOf(field.message));
    if (within !== undefined) plan.set(field.jsonName, within).set(field.name, within);
  }
  plans.set(desc, plan.size > 0 ? plan : undefined);
  return plans.get(desc);
}

/** In place. `path` is where `json` stands, and the same again on return. */
function idsToBase64(plan: Plan | undefined, json: JsonValue, path: Path): void {
  if (plan === undefined || json === null || typeof json !== "object") return;
  if (Array.isArray(json)) {
    for (let i = 0; i < json.length; i += 1) {
      path.push(i);
      idsToBase64(plan, json[i]!, path);
      path.pop();
    }
    return;
  }
  for (const [key, within] of plan) {
    const value = json[key];
    if (value === undefined || value === null) continue;
    path.push(key);
    if (typeof within === "number") json[key] = idToBase64(value, within, path);
    else idsToBase64(within, value, path);
    path.pop();
  }
}

function idToBase64(value: JsonValue, digits: number, path: Path): string {
  const valid =
    typeof value === "string" && (value === "" || value.length === digits) && /^[0-9a-fA-F]*$/.test(value);
  if (!valid) throw invalid(withPath(path, `expected an id of ${digits} hexadecimal digits`));
  return Buffer.from(value, "hex").toString("base64");
}

/** What the schema does not take in `json`, behind the path of the innermost message with it; undefined when it takes all. */
function locate(desc: DescMessage, json: JsonValue, path: Path): string | undefined {
  let complaint: string;
  try {
    fromJson(desc, json, lenient);
    return undefined;
  } catch (error) {
    complaint = withPath(path, (error as Error).message);
  }
  for (const [key, field, value] of messagesOf(desc, json)) {
    const items = Array.isArray(value) ? value.entries() : [[undefined, value] as const];
    for (const [i, item] of items) {
      const found = locate(field.message!, item, i === undefined ? [...path, key] : [...path, key, i]);
      if (found !== undefined) return found;
    }
  }
  return complaint;
}

function* messagesOf(desc: DescMessage, json: JsonValue): Generator<[string, DescField, JsonValue]> {
  if (json === null || typeof json !== "object" || Array.isArray(json)) return;
  for (const field of desc.fields) {
    if (field.message === undefined) continue;
    for (const key of new Set([field.jsonName, field.name])) {
      const value = json[key];
      // A list where the schema has none, and the reverse, is a complaint about the field itself.
      if (value != null && Array.isArray(value) === (field.fieldKind === "list")) yield [key, field, value];
    }
  }
}
