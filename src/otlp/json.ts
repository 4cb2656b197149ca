/**
 * Converts an Export*ServiceRequest from OTLP/JSON to protobuf. OTLP/JSON is the JSON mapping of proto3 with hexadecimal trace and
 * span ids (https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding). Protobuf is written from the parsed text in one pass,
 * so that the cost is linear in the text and an error knows its path. The library's own `fromJson` rounds bare 64-bit numbers,
 * refuses a request because of half a surrogate, and ignores unknown names of enumerations.
 */
import { type DescEnum, type DescField, type DescMessage, ScalarType } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { ExportLogsServiceRequestSchema } from "../gen/opentelemetry/proto/collector/logs/v1/logs_service_pb.js";
import { ExportMetricsServiceRequestSchema } from "../gen/opentelemetry/proto/collector/metrics/v1/metrics_service_pb.js";
import { ExportTraceServiceRequestSchema } from "../gen/opentelemetry/proto/collector/trace/v1/trace_service_pb.js";
import { exactNumber, integerOf, parseJson } from "./json-numbers.ts";
import { Code, ExportError, type Signal } from "./protocol.ts";

const requestSchema: Readonly<Record<Signal, DescMessage>> = {
  logs: ExportLogsServiceRequestSchema,
  traces: ExportTraceServiceRequestSchema,
  metrics: ExportMetricsServiceRequestSchema,
};

/** Converts a request. @throws {ExportError} INVALID_ARGUMENT that names the JSON path. */
export function otlpJsonToProtobuf(signal: Signal, text: Uint8Array): Uint8Array {
  let json: unknown;
  try {
    json = parseJson(text);
  } catch (cause) {
    throw invalid(`the body is not JSON in UTF-8: ${(cause as Error).message}`, cause);
  }
  const writer = new BinaryWriter();
  try {
    writerOf(requestSchema[signal])(writer, json);
  } catch (cause) {
    if (cause instanceof ValidationError) throw invalid(cause.message, cause);
    throw cause;
  }
  return writer.finish();
}

function invalid(message: string, cause: unknown): ExportError {
  return new ExportError(Code.INVALID_ARGUMENT, message, undefined, { cause });
}

/** Thrown for a value that its field does not accept. Its path is put together while the stack unwinds. */
class ValidationError extends Error {
  readonly #complaint: string;
  #path = "";

  constructor(complaint: string) {
    super();
    this.#complaint = complaint;
  }

  override get message(): string {
    return this.#path === "" ? this.#complaint : `${this.#path}: ${this.#complaint}`;
  }

  within(step: string | number): this {
    const name = typeof step === "number" ? `[${step}]` : step;
    this.#path =
      this.#path === "" || this.#path.startsWith("[") ? name + this.#path : `${name}.${this.#path}`;
    return this;
  }
}

const mostShown = 40;

function misfit(expected: string, value: unknown): ValidationError {
  return new ValidationError(`expected ${expected}, got ${shown(value)}`);
}

function shown(value: unknown): string {
  if (Array.isArray(value)) return "an array";
  if (typeof value === "object" && value !== null) return "an object";
  const text = exactNumber(value) ?? JSON.stringify(value);
  return text.length <= mostShown ? text : `${text.slice(0, mostShown)}…`;
}

type Write = (writer: BinaryWriter, value: unknown) => void;

interface Field {
  readonly desc: DescField;
  /** Writes tag and value. It is not called with null. */
  readonly write: Write;
}

const writers = new Map<DescMessage, Write>();

/** Writes the fields of a message, without its tag and length. */
function writerOf(desc: DescMessage): Write {
  const known = writers.get(desc);
  if (known !== undefined) return known;
  const fields = new Map<string, Field>();
  const write: Write = (writer, json) => {
    if (typeof json !== "object" || json === null || Array.isArray(json)) {
      throw misfit(`an object, the message ${desc.name}`, json);
    }
    for (const [key, field] of inOrder(fields, json as Record<string, unknown>)) {
      try {
        field.write(writer, (json as Record<string, unknown>)[key]);
      } catch (error) {
        throw error instanceof ValidationError ? error.within(key) : error;
      }
    }
  };
  // It is stored before its fields are read, because messages may contain themselves.
  writers.set(desc, write);
  for (const field of desc.fields) {
    const entry = { desc: field, write: fieldWriter(field) };
    fields.set(field.jsonName, entry).set(field.name, entry);
  }
  return write;
}

/** Returns the known keys that have a value, in order of field numbers, as protobuf is usually written. */
function inOrder(fields: ReadonlyMap<string, Field>, json: Record<string, unknown>): [string, Field][] {
  const found: [string, Field][] = [];
  let last = 0;
  let sorted = true;
  for (const key of Object.keys(json)) {
    const field = fields.get(key);
    if (field === undefined || json[key] === null) continue;
    sorted &&= field.desc.number > last;
    last = field.desc.number;
    found.push([key, field]);
  }
  if (!sorted) found.sort(([, a], [, b]) => a.desc.number - b.desc.number);
  for (let i = 1; i < found.length; i += 1) {
    const [before, [key, { desc }]] = [found[i - 1]![1].desc, found[i]!];
    if (before === desc) throw new ValidationError("is set twice, by both of its names").within(key);
    if (desc.oneof === undefined) continue;
    const other = found.slice(0, i).find(([, field]) => field.desc.oneof === desc.oneof);
    if (other)
      throw new ValidationError(`is set besides ${other[0]}, and there may be one of them`).within(key);
  }
  return found;
}

const digitsOf: Readonly<Record<string, number>> = { trace_id: 32, span_id: 16, parent_span_id: 16 };

function fieldWriter(field: DescField): Write {
  switch (field.fieldKind) {
    case "message":
      return messageWriter(field.number, field.message);
    case "enum":
      return scalarWriter(field, enumKind(field.enum));
    case "scalar":
      return scalarWriter(field, kindOf(field));
    case "list":
      return listWriter(field);
    default:
      throw new Error(`${field} is of a kind that OTLP does not have`);
  }
}

function messageWriter(number: number, desc: DescMessage): Write {
  const write = writerOf(desc);
  return (writer, value) => {
    writer.tag(number, WireType.LengthDelimited).fork();
    write(writer, value);
    writer.join();
  };
}

/** How a scalar is read from JSON, and how it is written without its tag. */
interface Kind<T = unknown> {
  readonly wireType: WireType;
  read(value: unknown): T;
  write(writer: BinaryWriter, value: T): void;
  /** The value that is left out if a field has no presence. */
  isDefault(value: T): boolean;
}

function scalarWriter(field: DescField, kind: Kind): Write {
  const always = field.oneof !== undefined || field.proto.proto3Optional;
  return (writer, value) => {
    const read = kind.read(value);
    if (!always && kind.isDefault(read)) return;
    writer.tag(field.number, kind.wireType);
    kind.write(writer, read);
  };
}

function listWriter(field: DescField & { fieldKind: "list" }): Write {
  const { number, packed } = field;
  const kind =
    field.listKind === "message"
      ? undefined
      : field.listKind === "enum"
        ? enumKind(field.enum)
        : kindOf(field);
  const item: Write =
    field.listKind === "message"
      ? messageWriter(number, field.message)
      : (writer, value) => {
          const read = kind!.read(value);
          if (!packed) writer.tag(number, kind!.wireType);
          kind!.write(writer, read);
        };
  return (writer, value) => {
    if (!Array.isArray(value)) throw misfit("an array", value);
    if (value.length === 0) return;
    if (packed) writer.tag(number, WireType.LengthDelimited).fork();
    for (let i = 0; i < value.length; i += 1) {
      try {
        item(writer, value[i]);
      } catch (error) {
        throw error instanceof ValidationError ? error.within(i) : error;
      }
    }
    if (packed) writer.join();
  };
}

function kindOf(field: { readonly name: string; readonly scalar: ScalarType }): Kind {
  const digits = digitsOf[field.name];
  const kind = digits === undefined ? kinds[field.scalar] : idKind(digits);
  if (kind === undefined) throw new Error(`${field} has a type that OTLP does not use`);
  return kind;
}

function idKind(digits: number): Kind<Uint8Array> {
  return {
    ...bytesKind,
    read(value) {
      const fits =
        typeof value === "string" &&
        (value === "" || value.length === digits) &&
        /^[0-9a-fA-F]*$/.test(value);
      if (!fits) throw misfit(`an id of ${digits} hexadecimal digits`, value);
      return Buffer.from(value, "hex");
    },
  };
}

function enumKind(desc: DescEnum): Kind<number> {
  const numbers = new Map(desc.values.map(({ name, number }) => [name, number]));
  const expected = `a number or a name of ${desc.name}`;
  return {
    wireType: WireType.Varint,
    read: (value) =>
      (typeof value === "string" ? numbers.get(value) : undefined) ??
      integer32(value, expected, -(2 ** 31), 2 ** 31 - 1),
    write: (writer, value) => writer.int32(value),
    isDefault: (value) => value === 0,
  };
}

const bytesKind: Kind<Uint8Array> = {
  wireType: WireType.LengthDelimited,
  read(value) {
    if (
      typeof value !== "string" ||
      !/^[\w+/-]*={0,2}$/.test(value) ||
      value.replace(/=+$/, "").length % 4 === 1
    ) {
      throw misfit("bytes in base64", value);
    }
    return Buffer.from(value, "base64");
  },
  write: (writer, value) => writer.bytes(value),
  isDefault: (value) => value.length === 0,
};

function integer32(value: unknown, expected: string, least: number, most: number): number {
  if (typeof value === "number" && Number.isInteger(value) && value >= least && value <= most) return value;
  const exact = typeof value === "string" ? integerOf(exactNumber(value) ?? value) : undefined;
  if (exact === undefined || exact < least || exact > most) throw misfit(expected, value);
  return Number(exact);
}

function kind32(
  wireType: WireType,
  least: number,
  most: number,
  write: (writer: BinaryWriter, value: number) => void,
): Kind<number> {
  const expected = `an integer from ${least} to ${most}`;
  return {
    wireType,
    read: (value) => integer32(value, expected, least, most),
    write,
    isDefault: (value) => value === 0,
  };
}

function kind64(
  wireType: WireType,
  least: bigint,
  most: bigint,
  write: (writer: BinaryWriter, value: bigint) => void,
): Kind<bigint> {
  const expected = `an integer from ${least} to ${most}`;
  return {
    wireType,
    read(value) {
      let exact: bigint | undefined;
      if (typeof value === "number") exact = Number.isInteger(value) ? BigInt(value) : undefined;
      else if (typeof value === "string") exact = integerOf(exactNumber(value) ?? value);
      if (exact === undefined || exact < least || exact > most) throw misfit(expected, value);
      return exact;
    },
    write,
    isDefault: (value) => value === 0n,
  };
}

const notFinite = new Set(["NaN", "Infinity", "-Infinity"]);

const kinds: Readonly<Partial<Record<ScalarType, Kind>>> = {
  [ScalarType.STRING]: {
    wireType: WireType.LengthDelimited,
    read(value) {
      if (typeof value !== "string" || exactNumber(value) !== undefined) throw misfit("a string", value);
      return value;
    },
    // Half a surrogate becomes U+FFFD when it is encoded. It is no reason to refuse a request.
    write: (writer, value: string) => writer.string(value),
    isDefault: (value) => value === "",
  } satisfies Kind<string>,
  [ScalarType.BYTES]: bytesKind,
  [ScalarType.BOOL]: {
    wireType: WireType.Varint,
    read(value) {
      if (typeof value !== "boolean") throw misfit("true or false", value);
      return value;
    },
    write: (writer, value: boolean) => writer.bool(value),
    isDefault: (value) => !value,
  } satisfies Kind<boolean>,
  [ScalarType.DOUBLE]: {
    wireType: WireType.Bit64,
    read(value) {
      if (typeof value === "number") return value;
      if (typeof value === "string") {
        const text = exactNumber(value) ?? value;
        if (text === value && notFinite.has(text)) return Number(text);
        const number = /^-?\d+(\.\d+)?([eE][+-]?\d+)?$/.test(text) ? Number(text) : Number.NaN;
        if (Number.isFinite(number)) return number;
      }
      throw misfit('a number, "NaN", "Infinity" or "-Infinity"', value);
    },
    write: (writer, value: number) => writer.double(value),
    isDefault: (value) => Object.is(value, 0),
  } satisfies Kind<number>,
  [ScalarType.INT32]: kind32(WireType.Varint, -(2 ** 31), 2 ** 31 - 1, (writer, value) =>
    writer.int32(value),
  ),
  [ScalarType.SINT32]: kind32(WireType.Varint, -(2 ** 31), 2 ** 31 - 1, (writer, value) =>
    writer.sint32(value),
  ),
  [ScalarType.UINT32]: kind32(WireType.Varint, 0, 2 ** 32 - 1, (writer, value) => writer.uint32(value)),
  [ScalarType.FIXED32]: kind32(WireType.Bit32, 0, 2 ** 32 - 1, (writer, value) => writer.fixed32(value)),
  [ScalarType.INT64]: kind64(WireType.Varint, -(2n ** 63n), 2n ** 63n - 1n, (writer, value) =>
    writer.int64(value),
  ),
  [ScalarType.SINT64]: kind64(WireType.Varint, -(2n ** 63n), 2n ** 63n - 1n, (writer, value) =>
    writer.sint64(value),
  ),
  [ScalarType.UINT64]: kind64(WireType.Varint, 0n, 2n ** 64n - 1n, (writer, value) => writer.uint64(value)),
  [ScalarType.FIXED64]: kind64(WireType.Bit64, 0n, 2n ** 64n - 1n, (writer, value) => writer.fixed64(value)),
  [ScalarType.SFIXED64]: kind64(WireType.Bit64, -(2n ** 63n), 2n ** 63n - 1n, (writer, value) =>
    writer.sfixed64(value),
  ),
};
