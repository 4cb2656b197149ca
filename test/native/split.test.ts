/** Requests that are divided keep each of their records exactly once, in its surroundings. */
import {
  create,
  type DescMessage,
  fromBinary,
  type MessageInitShape,
  toBinary,
  toJson,
} from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { native } from "../../src/native.ts";
import { type Signal, signals } from "../../src/otlp/protocol.ts";
import { disguise, request, requestSchema } from "./otlp-messages.ts";

type Json = { [key: string]: Json | Json[] | string | undefined };

/** The lists on the way to a signal's records. */
const levels: Record<Signal, string[]> = {
  logs: ["resourceLogs", "scopeLogs", "logRecords"],
  traces: ["resourceSpans", "scopeSpans", "spans"],
  metrics: ["resourceMetrics", "scopeMetrics", "metrics"],
};

const dataKinds = ["gauge", "sum", "histogram", "exponentialHistogram", "summary"];

/** Returns each record with all that surrounds it, and each message around records that holds none. */
function flatten(signal: Signal, bytes: Uint8Array): string[] {
  const schema = requestSchema[signal] as DescMessage;
  const items: string[] = [];
  const descend = (node: Json, [level, ...below]: string[], around: string) => {
    if (level === undefined) {
      if (signal !== "metrics") return items.push(`${around} ${JSON.stringify(node)}`);
      const kind = dataKinds.find((name) => node[name] !== undefined);
      const data = (kind ? node[kind] : {}) as Json;
      const points = (data.dataPoints ?? []) as Json[];
      if (!kind || points.length === 0) return items.push(`${around} ${JSON.stringify(node)}`);
      const shell = JSON.stringify({ ...node, [kind]: { ...data, dataPoints: [] } });
      for (const point of points) items.push(`${around} ${shell} ${JSON.stringify(point)}`);
      return undefined;
    }
    const { [level]: children = [], ...rest } = node;
    const here = `${around} ${JSON.stringify(rest)}`;
    if ((children as Json[]).length === 0) items.push(here);
    for (const child of children as Json[]) descend(child, below, here);
    return undefined;
  };
  descend(toJson(schema, fromBinary(schema, bytes)) as Json, levels[signal], "");
  return items;
}

const bytesOf = (signal: Signal, init: object) => {
  const schema = requestSchema[signal] as DescMessage;
  return toBinary(schema, create(schema, init as MessageInitShape<typeof schema>));
};

const split = async (signal: Signal, request: Buffer, most: number) =>
  (await native.split(signal, request, most)) ?? [request];

const sum = (parts: Buffer[]) => parts.reduce((size, { length }) => size + length, 0);

describe.each(signals)("a request of %s that is divided", (signal) => {
  const bytes = (request[signal] as fc.Arbitrary<object>).map((init) => bytesOf(signal, init));

  async function check(whole: Uint8Array, most: number): Promise<void> {
    const original = Buffer.from(whole);
    const parts = await split(signal, original, most);
    expect(Buffer.from(whole).equals(original)).toBe(true);
    expect(parts.flatMap((part) => flatten(signal, part))).toEqual(flatten(signal, whole));
    expect(sum(parts)).toBeLessThanOrEqual(2 * whole.length);
    if (parts.length === 1) expect(parts[0]).toBe(original);
    const counts = await Promise.all(parts.map((part) => native.countRecords(signal, part)));
    expect(counts.reduce((all, count) => all! + count!, 0)).toBe(await native.countRecords(signal, original));
    // The parts are as few as possible: no two neighbours would fit together, apart from what their length fields take.
    for (const [i, part] of parts.slice(1).entries()) {
      expect(sum([parts[i]!, part])).toBeGreaterThan(Math.min(most, whole.length) - 16);
    }
  }

  it("has each record once, in order, in its resource, scope and metric", async () => {
    await fc.assert(fc.asyncProperty(bytes, fc.integer({ min: 1, max: 400 }), check), { numRuns: 500 });
  });

  it("likewise however it is laid out", async () => {
    const layouts = fc
      .tuple(bytes, fc.nat())
      .map(([message, seed]) => disguise(requestSchema[signal], message, seed));
    await fc.assert(
      fc.asyncProperty(layouts, fc.integer({ min: 1, max: 400 }), async (whole, most) => {
        const parts = await split(signal, Buffer.from(whole), most);
        const records = (message: Uint8Array) => flatten(signal, message).sort();
        // Layouts hold fields of one message in any order, and twice: what surrounds a record is compared as decoded.
        expect(new Set(parts.flatMap(records))).toEqual(new Set(records(whole)));
        expect(sum(parts)).toBeLessThanOrEqual(2 * whole.length);
      }),
      { numRuns: 300 },
    );
  });

  it("comes back as it is when it is cut or damaged", async () => {
    await fc.assert(
      fc.asyncProperty(
        bytes,
        fc.nat(),
        fc.nat(255),
        fc.integer({ min: 1, max: 400 }),
        async (message, at, byte, most) => {
          const damaged = Buffer.from(message);
          if (damaged.length > 0) damaged[at % damaged.length]! ^= byte;
          const parts = await split(signal, damaged, most);
          expect(parts.length).toBeGreaterThan(0);
          expect(sum(parts)).toBeLessThanOrEqual(Math.max(2 * damaged.length, damaged.length));
        },
      ),
    );
  });

  it("is divided into parts of the size asked for, but for single records above it", async () => {
    const text = (size: number) => ({ value: { case: "stringValue" as const, value: "x".repeat(size) } });
    const sizes = Array.from({ length: 200 }, (_, i) => (i % 50 === 7 ? 5_000 : 10 + ((i * 37) % 90)));
    const resource = { attributes: [{ key: "service.name", value: text(20) }] };
    const points = sizes.map((size) => ({ attributes: [{ key: "k", value: text(size) }], timeUnixNano: 1n }));
    const init = {
      logs: {
        resourceLogs: [
          { resource, scopeLogs: [{ logRecords: sizes.map((size) => ({ body: text(size) })) }] },
        ],
      },
      traces: {
        resourceSpans: [
          { resource, scopeSpans: [{ spans: sizes.map((size) => ({ name: "x".repeat(size) })) }] },
        ],
      },
      metrics: {
        resourceMetrics: [
          {
            resource,
            scopeMetrics: [
              {
                metrics: [
                  {
                    name: "m",
                    unit: "s",
                    data: { case: "gauge", value: { dataPoints: points.slice(0, 150) } },
                  },
                  {
                    name: "n",
                    data: {
                      case: "sum",
                      value: { dataPoints: points.slice(150), aggregationTemporality: 2 },
                    },
                  },
                ],
              },
            ],
          },
        ],
      },
    }[signal];
    const whole = Buffer.from(bytesOf(signal, init));
    const parts = await split(signal, whole, 1_000);
    const large = parts.filter((part) => part.length > 1_000);
    expect(large.map((part) => flatten(signal, part).length)).toEqual([1, 1, 1, 1]);
    expect(parts.length).toBeLessThan(40);
    await check(whole, 1_000);
  });

  it("keeps unknown fields, in each part if they surround records", async () => {
    const unknown = (number: number) =>
      new BinaryWriter().tag(number, WireType.LengthDelimited).string("later").finish();
    const around = (number: number, content: Uint8Array[]) =>
      new BinaryWriter().tag(number, WireType.LengthDelimited).bytes(Buffer.concat(content)).finish();
    // The record is a log record, a span, or a metric with a kind of data that is not known yet.
    const record = (i: number) =>
      around(2, [around(signal === "logs" ? 12 : 1, [Buffer.from(`r${i}`)]), unknown(99)]);
    const whole = Buffer.concat([
      unknown(50),
      around(1, [
        around(2, [unknown(51), ...Array.from({ length: 9 }, (_, i) => record(i)), unknown(52)]),
        unknown(53),
      ]),
      unknown(54),
    ]);
    const parts = await split(signal, whole, 90);
    expect(parts.length).toBeGreaterThan(1);
    for (const part of parts) {
      for (const number of [50, 51, 52, 53, 54])
        expect(part.includes(Buffer.from(unknown(number)))).toBe(true);
    }
    const count = (needle: Uint8Array) => parts.filter((part) => part.includes(Buffer.from(needle))).length;
    for (let i = 0; i < 9; i++) expect(count(record(i))).toBe(1);
  });
});

describe("a request that cannot be divided to the size asked for", () => {
  it("is not blown up by what its records share", async () => {
    const resource = {
      attributes: [{ key: "k", value: { value: { case: "stringValue", value: "x".repeat(50_000) } } }],
    };
    const logRecords = Array.from({ length: 10_000 }, () => ({ severityText: "INFO" }));
    const whole = Buffer.from(bytesOf("logs", { resourceLogs: [{ resource, scopeLogs: [{ logRecords }] }] }));
    const parts = await split("logs", whole, 50_500);
    expect(sum(parts)).toBeLessThanOrEqual(2 * whole.length);
    expect(parts.flatMap((part) => flatten("logs", part)).length).toBe(10_000);
  });

  it("takes a metric whose points come in a piece each", async () => {
    const bytes = (number: number, content: Uint8Array) =>
      new BinaryWriter().tag(number, WireType.LengthDelimited).bytes(content).finish();
    const gauge = bytes(5, bytes(1, new BinaryWriter().tag(3, WireType.Bit64).fixed64(1).finish()));
    const count = 200_000;
    const metric = Buffer.concat([bytes(1, Buffer.from("name")), ...Array(count).fill(gauge)]);
    const whole = Buffer.from(bytes(1, bytes(2, bytes(2, metric))));
    const parts = await split("metrics", whole, whole.length >> 2);
    expect(sum(parts)).toBeLessThanOrEqual(2 * whole.length);
    expect(parts.reduce((points, part) => points + flatten("metrics", part).length, 0)).toBe(count);
  });

  it("refuses what is no request", async () => {
    const split = native.split as (...args: unknown[]) => Promise<unknown>;
    await expect(split("profiles", Buffer.alloc(1), 1)).rejects.toThrow(
      'signal must be "logs", "traces" or "metrics"',
    );
    await expect(split("logs", "text", 1)).rejects.toThrow("request must be a Uint8Array");
    await expect(split("logs", Buffer.alloc(1), 0)).rejects.toThrow("most must be a whole number");
  });
});
