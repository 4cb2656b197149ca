/** The encoder's values, as protobuf-es reads them. test/sdk/otel.test.ts compares whole requests with OpenTelemetry's encoder. */
import { fromBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { expect, test } from "vitest";
import { type AnyValue, AnyValueSchema } from "../../src/gen/opentelemetry/proto/common/v1/common_pb.js";
import { LogRecordSchema } from "../../src/gen/opentelemetry/proto/logs/v1/logs_pb.js";
import { Batch } from "../../src/sdk/encoder/batch.ts";
import { writeValue } from "../../src/sdk/encoder/values.ts";
import { Writer } from "../../src/sdk/encoder/writer.ts";

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

test("half a surrogate becomes U+FFFD, short or long", () => {
  for (const text of ["a\ud800b", `${"a".repeat(100)}\udc00`])
    expect(read(written(text))).toBe(text.toWellFormed());
});

test("a value that contains itself ends", () => {
  const value: unknown[] = [];
  value.push(value, 1);
  expect(JSON.stringify(read(written(value)))).toMatch(/^\[\[\[.*1\]$/);
});

test("times keep their nanoseconds", () => {
  const time = fc.tuple(
    fc.integer({ min: 0, max: 18_446_744_072 }),
    fc.integer({ min: 0, max: 999_999_999 }),
  );
  fc.assert(
    fc.property(time, ([seconds, nanos]) => {
      const writer = new Writer();
      writer.time(1, [seconds, nanos]);
      const { timeUnixNano } = fromBinary(LogRecordSchema, writer.written());
      expect(timeUnixNano).toBe(BigInt(seconds) * 1_000_000_000n + BigInt(nanos));
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

test("a batch that was taken is empty, and leaves the request alone", () => {
  const batch = new Batch<string>((writer, item) => writer.string(5, item));
  const scope = { name: "scope" };
  const fill = (texts: string[]) => {
    for (const [i, text] of texts.entries()) batch.add({ attributes: { group: i % 2 } }, scope, text);
    return batch.take();
  };
  const texts = ["one", "two", "x".repeat(3 * 2 ** 20), "four"];
  const { request } = fill(texts);
  const before = Buffer.from(request);
  fill(["something", "else"]);
  expect(request.equals(before)).toBe(true);
  expect(fill(texts).request.equals(before)).toBe(true);
});
