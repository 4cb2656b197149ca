/** Random OTLP requests, and the many ways to encode the same request. */
import type { DescMessage, MessageInitShape } from "@bufbuild/protobuf";
import { BinaryReader, BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import fc, { type Arbitrary } from "fast-check";
import { ExportLogsServiceRequestSchema } from "../../src/gen/opentelemetry/proto/collector/logs/v1/logs_service_pb.js";
import { ExportMetricsServiceRequestSchema } from "../../src/gen/opentelemetry/proto/collector/metrics/v1/metrics_service_pb.js";
import { ExportTraceServiceRequestSchema } from "../../src/gen/opentelemetry/proto/collector/trace/v1/trace_service_pb.js";
import type {
  AnyValueSchema,
  KeyValueSchema,
} from "../../src/gen/opentelemetry/proto/common/v1/common_pb.js";

export const requestSchema = {
  logs: ExportLogsServiceRequestSchema,
  traces: ExportTraceServiceRequestSchema,
  metrics: ExportMetricsServiceRequestSchema,
} as const;

type Value = MessageInitShape<typeof AnyValueSchema>;
type Attribute = MessageInitShape<typeof KeyValueSchema>;

const text = fc.oneof(
  { arbitrary: fc.string({ unit: "grapheme", maxLength: 8 }), weight: 20 },
  {
    arbitrary: fc.constantFrom(126, 127, 128, 129, 300, 17_000).map((length) => "x".repeat(length)),
    weight: 1,
  },
);
const bytes = fc.uint8Array({ maxLength: 20 }) as Arbitrary<Uint8Array<ArrayBuffer>>;
const u32 = fc.oneof(fc.nat({ max: 3 }), fc.nat({ max: 0xffffffff }));
const i32 = fc.oneof(fc.integer({ min: -3, max: 30 }), fc.integer());
const u64 = fc.oneof(fc.bigInt(0n, 300n), fc.bigInt(0n, 2n ** 64n - 1n));
const i64 = fc.oneof(fc.bigInt(-300n, 300n), fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n));
const real = fc.double({ noNaN: true });
const maybe = <T>(arbitrary: Arbitrary<T>) => fc.option(arbitrary, { nil: undefined });
const some = <T>(arbitrary: Arbitrary<T>, maxLength = 4) => fc.array(arbitrary, { maxLength });
const key = fc.oneof(text, fc.constantFrom("cbad.anomaly", "cbad.score", "cbad", "service.name"));

const { value, attribute } = fc.letrec<{ value: Value; attribute: Attribute }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 3, withCrossShrink: true },
    text.map((value): Value => ({ value: { case: "stringValue", value } })),
    fc.constant<Value>({}),
    fc.boolean().map((value): Value => ({ value: { case: "boolValue", value } })),
    i64.map((value): Value => ({ value: { case: "intValue", value } })),
    real.map((value): Value => ({ value: { case: "doubleValue", value } })),
    bytes.map((value): Value => ({ value: { case: "bytesValue", value } })),
    some(tie("value"), 3).map((values): Value => ({ value: { case: "arrayValue", value: { values } } })),
    some(tie("attribute"), 3).map((values): Value => ({ value: { case: "kvlistValue", value: { values } } })),
  ),
  attribute: fc.record({ key, value: maybe(tie("value")) }),
}));
const attributes = some(attribute);

const resource = maybe(fc.record({ attributes, droppedAttributesCount: u32 }));
const scope = maybe(fc.record({ name: text, version: text, attributes }));
const schemaUrl = fc.constantFrom("", "https://opentelemetry.io/schemas/1.37.0");

const logRecord = fc.record({
  timeUnixNano: u64,
  observedTimeUnixNano: u64,
  severityNumber: i32,
  severityText: text,
  body: maybe(value),
  attributes,
  droppedAttributesCount: u32,
  flags: u32,
  traceId: bytes,
  spanId: bytes,
  eventName: text,
});

const span = fc.record({
  traceId: bytes,
  spanId: bytes,
  traceState: text,
  parentSpanId: bytes,
  flags: u32,
  name: text,
  kind: i32,
  startTimeUnixNano: u64,
  endTimeUnixNano: u64,
  attributes,
  droppedAttributesCount: u32,
  events: some(fc.record({ timeUnixNano: u64, name: text, attributes })),
  droppedEventsCount: u32,
  links: some(fc.record({ traceId: bytes, spanId: bytes, traceState: text, attributes, flags: u32 })),
  droppedLinksCount: u32,
  status: maybe(fc.record({ message: text, code: i32 })),
});

const pointTimes = { startTimeUnixNano: u64, timeUnixNano: u64, flags: u32, attributes };
const exemplars = some(fc.record({ filteredAttributes: attributes, timeUnixNano: u64, spanId: bytes }), 2);
const number = fc.oneof(
  real.map((value) => ({ case: "asDouble" as const, value })),
  i64.map((value) => ({ case: "asInt" as const, value })),
  fc.constant({ case: undefined, value: undefined }),
);
const extremes = { sum: maybe(real), min: maybe(real), max: maybe(real) };
const numberPoints = some(fc.record({ ...pointTimes, value: number, exemplars }));
const histogramPoints = some(
  fc.record({
    ...pointTimes,
    ...extremes,
    count: u64,
    bucketCounts: some(u64),
    explicitBounds: some(real),
    exemplars,
  }),
);
const buckets = maybe(fc.record({ offset: i32, bucketCounts: some(u64) }));
const exponentialPoints = some(
  fc.record({
    ...pointTimes,
    ...extremes,
    count: u64,
    scale: i32,
    zeroCount: u64,
    zeroThreshold: real,
    positive: buckets,
    negative: buckets,
    exemplars,
  }),
);
const summaryPoints = some(
  fc.record({
    ...pointTimes,
    count: u64,
    sum: real,
    quantileValues: some(fc.record({ quantile: real, value: real })),
  }),
);
const temporality = fc.constantFrom(0, 1, 2);
const data = fc.oneof(
  fc.record({ case: fc.constant("gauge" as const), value: fc.record({ dataPoints: numberPoints }) }),
  fc.record({
    case: fc.constant("sum" as const),
    value: fc.record({
      dataPoints: numberPoints,
      aggregationTemporality: temporality,
      isMonotonic: fc.boolean(),
    }),
  }),
  fc.record({
    case: fc.constant("histogram" as const),
    value: fc.record({ dataPoints: histogramPoints, aggregationTemporality: temporality }),
  }),
  fc.record({
    case: fc.constant("exponentialHistogram" as const),
    value: fc.record({ dataPoints: exponentialPoints, aggregationTemporality: temporality }),
  }),
  fc.record({ case: fc.constant("summary" as const), value: fc.record({ dataPoints: summaryPoints }) }),
  fc.constant({ case: undefined, value: undefined }),
);
const metric = fc.record({ name: text, description: text, unit: text, data, metadata: attributes });

/** A request of each signal, in the form that `create` accepts. */
export const request = {
  logs: fc.record({
    resourceLogs: some(
      fc.record({
        resource,
        schemaUrl,
        scopeLogs: some(fc.record({ scope, schemaUrl, logRecords: some(logRecord) }), 3),
      }),
      3,
    ),
  }),
  traces: fc.record({
    resourceSpans: some(
      fc.record({
        resource,
        schemaUrl,
        scopeSpans: some(fc.record({ scope, schemaUrl, spans: some(span) }), 3),
      }),
      3,
    ),
  }),
  metrics: fc.record({
    resourceMetrics: some(
      fc.record({
        resource,
        schemaUrl,
        scopeMetrics: some(fc.record({ scope, schemaUrl, metrics: some(metric, 3) }), 3),
      }),
      3,
    ),
  }),
};

/** Returns numbers in [0, n) from a seed (mulberry32). */
function dice(seed: number): (n: number) => number {
  let state = seed;
  return (n) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * n);
  };
}

/** Encodes a varint with `padding` bytes more than it needs. */
function varint(value: number, padding: number): Uint8Array {
  const out = new BinaryWriter().uint32(value).finish();
  if (padding === 0) return out;
  const long = new Uint8Array(out.length + padding).fill(0x80);
  long.set(out);
  long[out.length - 1]! |= 0x80;
  long[long.length - 1] = 0;
  return long;
}

/** Singular messages that the reader is documented not to join: see native/otlp/views.hpp. */
const notJoined = ["ArrayValue", "KeyValueList", "Buckets"];

/**
 * The same message, laid out as other encoders may: fields in another order, tags and lengths in more bytes than they
 * need, numbers packed or not, singular messages in two pieces, unknown fields among the known.
 */
export function disguise(schema: DescMessage, message: Uint8Array, seed: number): Uint8Array<ArrayBuffer> {
  const roll = dice(seed);
  const padding = () => (roll(8) === 0 ? 1 + roll(3) : 0);

  function field(no: number, type: WireType, content: Uint8Array): Uint8Array {
    const length = type === WireType.LengthDelimited ? [varint(content.length, padding())] : [];
    return Buffer.concat([varint(((no << 3) | type) >>> 0, Math.min(padding(), 2)), ...length, content]);
  }

  function unknown(): Uint8Array {
    const no = 1000 + roll(10_000);
    const content = Uint8Array.from({ length: roll(20) }, () => roll(256));
    switch (roll(4)) {
      case 0:
        return field(no, WireType.Varint, varint(roll(2 ** 31), padding()));
      case 1:
        return field(
          no,
          WireType.Bit64,
          Uint8Array.from({ length: 8 }, () => roll(256)),
        );
      case 2:
        return field(
          no,
          WireType.Bit32,
          Uint8Array.from({ length: 4 }, () => roll(256)),
        );
      default:
        return field(no, WireType.LengthDelimited, content);
    }
  }

  function pieces(desc: DescMessage, content: Uint8Array): Uint8Array[] {
    const reader = new BinaryReader(content);
    const byNumber = new Map<number, Uint8Array[]>();
    while (reader.pos < reader.len) {
      const [no, type] = reader.tag();
      const known = desc.fields.find((field) => field.number === no)!;
      const out = byNumber.get(no) ?? byNumber.set(no, []).get(no)!;
      if (known.message) {
        const inner = pieces(known.message, reader.bytes());
        const joined = known.fieldKind === "message" && !notJoined.includes(known.message.name);
        const parts = joined && roll(4) === 0 ? halves(inner) : [inner];
        for (const part of parts) out.push(field(no, type, Buffer.concat(part)));
      } else if (
        known.fieldKind === "list" &&
        type === WireType.LengthDelimited &&
        desc.name.match(/Point|Buckets/)
      ) {
        out.push(...numbers(no, known.scalar === 4 ? WireType.Varint : WireType.Bit64, reader.bytes()));
      } else {
        const raw = reader.skip(type, no);
        out.push(field(no, type, type === WireType.LengthDelimited ? new BinaryReader(raw).bytes() : raw));
      }
    }
    if (roll(4) === 0) byNumber.set(0, [unknown()]);
    return shuffle([...byNumber.values()]).flat();
  }

  /** Encodes packed numbers as they were, one by one, or in two packs. */
  function numbers(no: number, type: WireType, pack: Uint8Array): Uint8Array[] {
    const reader = new BinaryReader(pack);
    const each: Uint8Array[] = [];
    while (reader.pos < reader.len) each.push(reader.skip(type, no));
    switch (roll(3)) {
      case 0:
        return each.map((number) => field(no, type, number));
      case 1:
        return halves(each).map((half) => field(no, WireType.LengthDelimited, Buffer.concat(half)));
      default:
        return [field(no, WireType.LengthDelimited, pack)];
    }
  }

  function halves<T>(items: T[]): T[][] {
    const at = roll(items.length + 1);
    return [items.slice(0, at), items.slice(at)];
  }

  function shuffle<T>(items: T[]): T[] {
    if (roll(3) === 0) return items;
    return items
      .map((item) => ({ item, order: roll(1000) }))
      .sort((a, b) => a.order - b.order)
      .map(({ item }) => item);
  }

  return Uint8Array.from(Buffer.concat(pieces(schema, message)));
}
