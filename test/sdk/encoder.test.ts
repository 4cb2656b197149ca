/** The encoder's values, as protobuf-es reads them. test/sdk/otel.test.ts compares whole requests with OpenTelemetry's encoder. */
import { fromBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { expect, test } from "vitest";
import { ExportTraceServiceRequestSchema } from "../../src/gen/opentelemetry/proto/collector/trace/v1/trace_service_pb.js";
import { type AnyValue, AnyValueSchema } from "../../src/gen/opentelemetry/proto/common/v1/common_pb.js";
import { LogRecordSchema } from "../../src/gen/opentelemetry/proto/logs/v1/logs_pb.js";
import { Batch, orderOf } from "../../src/sdk/encoder/batch.ts";
import { type AttributesLike, writeValue } from "../../src/sdk/encoder/values.ts";
import { recycle, Writer } from "../../src/sdk/encoder/writer.ts";

/** Returns the JavaScript value that a message stands for. */
function read({ value }: AnyValue): unknown {
  switch (value.case) {
    case "intValue":
      return Number(value.value);
    case "bytesValue":
      return Uint8Array.from(value.value);
    case "arrayValue":
      return value.value.values.map(read);
    case "kvlistValue":
      return Object.fromEntries(value.value.values.map(({ key, value }) => [key, value && read(value)]));
    default:
      return value.value;
  }
}

const written = (value: unknown) => {
  const writer = new Writer(1);
  writeValue(writer, value);
  return fromBinary(AnyValueSchema, writer.written());
};

const values = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    fc.string({ unit: "binary", maxLength: 300 }),
    fc.boolean(),
    fc.double().filter((each) => !Object.is(each, -0)),
    fc.maxSafeInteger(),
    fc.integer({ min: 2, max: 62 }).map((power) => -(2 ** power)),
    fc.uint8Array({ maxLength: 300 }),
    fc.array(tie("value"), { maxLength: 6 }),
    fc.dictionary(fc.string(), tie("value"), { maxKeys: 6 }).map((each) => ({ ...each })),
  ),
})).value;

test("every value comes back", () => {
  fc.assert(
    fc.property(values, (value) => {
      expect(read(written(value))).toEqual(value);
    }),
  );
});

test("a message that ends where the memory ends comes back", () => {
  for (let capacity = 1; capacity < 64; capacity++) {
    const writer = new Writer(capacity);
    const value = [[new Uint8Array(5), false, "text"], true];
    writeValue(writer, value);
    expect(read(fromBinary(AnyValueSchema, writer.written()))).toEqual(value);
  }
});

test("half a surrogate becomes U+FFFD, short or long", () => {
  for (const text of ["a\ud800b", `${"a".repeat(100)}\udc00`])
    expect(read(written(text))).toBe(text.toWellFormed());
});

test("a value that contains itself ends", () => {
  const value: unknown[] = [];
  value.push(value, 1);
  expect(JSON.stringify(read(written(value)))).toMatch(/^\[\[\[.*1\]$/);
});

test("times keep their nanoseconds, whatever was written before", () => {
  const time = fc.tuple(
    fc.integer({ min: 0, max: 18_446_744_072 }),
    fc.integer({ min: 0, max: 999_999_999 }),
  );
  fc.assert(
    fc.property(time, time, fc.boolean(), (first, second, sameSecond) => {
      const writer = new Writer();
      const then: [number, number] = [sameSecond ? first[0] : second[0], second[1]];
      writer.time(1, first);
      writer.time(11, then);
      const { timeUnixNano, observedTimeUnixNano } = fromBinary(LogRecordSchema, writer.written());
      const nanosOf = ([seconds, nanos]: [number, number]) =>
        BigInt(seconds) * 1_000_000_000n + BigInt(nanos);
      expect([timeUnixNano, observedTimeUnixNano]).toEqual([nanosOf(first), nanosOf(then)]);
    }),
  );
});

test("hexadecimal digits become bytes, in either case", () => {
  const bytes = fc.uint8Array({ minLength: 8, maxLength: 16 }).map((each) => Buffer.from(each));
  fc.assert(
    fc.property(bytes, fc.boolean(), (bytes, upper) => {
      const digits = bytes.toString("hex");
      const writer = new Writer();
      writer.hex(9, upper ? digits.toUpperCase() : digits);
      expect(writer.written().subarray(2)).toEqual(bytes);
    }),
  );
});

test("attributes that repeat those of the record before come back, whatever was between them", () => {
  /** Changes from record to record. */
  const changing: number[] = [];
  const rare = fc.oneof(
    fc.constantFrom("GET ", "é", "half \ud800", "x".repeat(200), "", -1, 0, -0, 1.5, Number.NaN, true),
    fc.string({ maxLength: 20 }),
    fc.constant(Buffer.alloc(17_000, 1)),
  );
  const usual = fc.constantFrom("GET", 200, "a somewhat longer text", changing);
  const value = fc.oneof({ arbitrary: usual, weight: 6 }, { arbitrary: rare, weight: 1 });
  const attributes = fc.record(
    { a: value, "http.request.method": value, ключ: value, ["k".repeat(130)]: value },
    { requiredKeys: [] },
  );
  const record = fc.option(attributes, { freq: 8 });
  const both = { a: "GET", "http.request.method": 200 };
  const refused: AttributesLike = {
    a: "GET",
    get ключ() {
      throw new Error("refused");
    },
  };
  fc.assert(
    fc.property(fc.array(record, { minLength: 3, maxLength: 12 }), (records) => {
      const batch = new Batch<AttributesLike>((writer, item, repeated) => {
        repeated.attributes(writer, 9, item);
        // Records of less than 128 bytes are moved.
        if ("a" in item) writer.string(5, "x".repeat(128));
      });
      const [resource, scope] = [{ attributes: {} }, { name: "scope" }];
      const added: unknown[] = [];
      for (const [i, each] of records.entries()) {
        changing[0] = i;
        if (each) {
          batch.add(resource, scope, each);
          added.push(Object.entries(each).map(([key, value]) => [key, asRead(value)]));
        } else expect(() => batch.add(resource, scope, refused)).toThrow("refused");
      }
      const request = batch.take();
      const [of] = fromBinary(ExportTraceServiceRequestSchema, request).resourceSpans;
      const spans = of?.scopeSpans[0]?.spans ?? [];
      const found = spans.map((span) => span.attributes.map(({ key, value }) => [key, value && read(value)]));
      recycle(request);
      expect(found).toEqual(added);
    }),
    { numRuns: 300, examples: [[[both, { a: "GET" }, both]]] },
  );
});

test("names that repeat that of the record before come back", () => {
  const name = fc.constantFrom("GET /cart/:id", "GET", "é", "", "x".repeat(100), "x".repeat(200), undefined);
  fc.assert(
    fc.property(fc.array(name, { minLength: 3, maxLength: 12 }), fc.boolean(), (names, long) => {
      const batch = new Batch<string>((writer, item, repeated) => {
        repeated.name(writer, 5, item);
        // Records of less than 128 bytes are moved.
        if (long) writer.string(3, "x".repeat(128));
      });
      const [resource, scope] = [{ attributes: {} }, { name: "scope" }];
      for (const each of names) {
        if (each === undefined) expect(() => batch.add(resource, scope, each as never)).toThrow(TypeError);
        else batch.add(resource, scope, each);
      }
      const request = batch.take();
      const [of] = fromBinary(ExportTraceServiceRequestSchema, request).resourceSpans;
      const found = of?.scopeSpans[0]?.spans.map(({ name }) => name) ?? [];
      recycle(request);
      expect(found).toEqual(names.filter((each) => each !== undefined));
    }),
  );
});

/** Returns what OTLP makes of a value. */
function asRead(value: unknown): unknown {
  if (typeof value === "string") return value.toWellFormed();
  if (value instanceof Uint8Array) return Uint8Array.from(value);
  if (Array.isArray(value)) return [...value];
  return Object.is(value, -0) ? 0 : value;
}

test("a batch that was taken is empty, and leaves the request alone", () => {
  const batch = new Batch<string>((writer, item) => writer.string(5, item));
  const scope = { name: "scope" };
  const fill = (texts: string[]) => {
    for (const [i, text] of texts.entries()) batch.add({ attributes: { group: i % 2 } }, scope, text);
    return batch.take();
  };
  const texts = ["one", "two", "x".repeat(3 * 2 ** 20), "four"];
  const request = fill(texts);
  const before = Buffer.from(request);
  fill(["something", "else"]);
  expect(request.equals(before)).toBe(true);
  expect(fill(texts).equals(before)).toBe(true);
});

test("records are grouped by resource and scope, in the order of the first of each", () => {
  const section = fc.record({ resource: fc.nat(2), scope: fc.nat(2) });
  fc.assert(
    fc.property(fc.array(section, { minLength: 1, maxLength: 12 }), (sections) => {
      const schemaUrl = "https://example.com/schema";
      const resources = [0, 1, 2].map((id) => ({ attributes: { id }, schemaUrl }));
      const scopes = [0, 1, 2].map((id) => ({ name: `scope ${id}`, schemaUrl }));
      const batch = new Batch<string>((writer, item) => writer.string(5, item));
      const added: { resource: { attributes: { id: number } }; instrumentationScope: { name: string } }[] =
        [];
      for (const each of sections) {
        const [resource, scope] = [resources[each.resource]!, scopes[each.scope]!];
        batch.add(resource, scope, String(added.length));
        added.push({ resource, instrumentationScope: scope });
      }
      const { resourceSpans } = fromBinary(ExportTraceServiceRequestSchema, batch.take());
      const found = resourceSpans.flatMap(({ resource, scopeSpans }) =>
        scopeSpans.flatMap(({ scope, spans }) =>
          spans.map(({ name }) => [name, Number(resource!.attributes[0]!.value!.value.value), scope!.name]),
        ),
      );
      const expected = orderOf(added).map((position) => {
        const { resource, instrumentationScope } = added[position]!;
        return [String(position), resource.attributes.id, instrumentationScope.name];
      });
      expect(found).toEqual(expected);
    }),
  );
});
