import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type CodecName, native } from "../../src/native.ts";

const codecs: CodecName[] = ["openzl", "zstd", "lz4", "gzip"];

/** Unpredictable bytes from the key stream of a seed. */
function noise(length: number, seed: number): Buffer {
  const key = new Uint8Array(32);
  new DataView(key.buffer).setUint32(0, seed);
  return native.chacha20(key, 0, new Uint8Array(12), length);
}

const templates = [
  "order accepted, id=",
  "cart updated, items=",
  "GET /api/v1/products/",
  "session refreshed for user ",
];

/** Log lines: templates with numbers, chosen by a seed. */
function lines(count: number, seed: number): Buffer {
  const random = noise(3 * count, seed);
  const text = Array.from(
    { length: count },
    (_, i) => `${templates[random[3 * i]! % templates.length]}${random.readUInt16LE(3 * i + 1)}\n`,
  );
  return Buffer.from(text.join(""));
}

const seeds = fc.integer({ min: 0, max: 2 ** 31 });

describe("entropy", () => {
  it("lies in [0, 8]", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 2000 }), (bytes) => {
        const bits = native.entropy(bytes);
        expect(bits).toBeGreaterThanOrEqual(0);
        expect(bits).toBeLessThanOrEqual(8 + 1e-12);
      }),
    );
  });

  it("does not see the order of bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 500 }), (bytes) => {
        expect(native.entropy(Uint8Array.from(bytes).sort())).toBe(native.entropy(bytes));
      }),
    );
  });

  it("is 0 for a constant, 8 for all bytes equally often, 1 for a fair coin", () => {
    expect(native.entropy(new Uint8Array(0))).toBe(0);
    expect(native.entropy(new Uint8Array(1000).fill(65))).toBe(0);
    expect(native.entropy(Uint8Array.from({ length: 2560 }, (_, i) => i % 256))).toBe(8);
    expect(native.entropy(Uint8Array.from({ length: 100 }, (_, i) => i % 2))).toBe(1);
  });

  it("is what the formula gives", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 300 }), (bytes) => {
        const counts = new Map<number, number>();
        for (const byte of bytes) counts.set(byte, (counts.get(byte) ?? 0) + 1);
        let bits = 0;
        for (const count of counts.values()) bits -= (count / bytes.length) * Math.log2(count / bytes.length);
        expect(native.entropy(bytes)).toBeCloseTo(bits, 12);
      }),
    );
  });
});

describe.each(codecs)("with %s", (codec) => {
  const size = (bytes: Uint8Array) => native.compressedSize(codec, bytes);

  it("the ratio is compressed over raw, above 0", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 2000 }), (bytes) => {
        const ratio = native.compressionRatio(bytes, codec);
        expect(ratio).toBeGreaterThan(0);
        expect(ratio).toBe(size(bytes) / bytes.length);
      }),
    );
    expect(() => native.compressionRatio(new Uint8Array(0), codec)).toThrow(/bytes is empty/);
  });

  it("delta bits are ((C_B - C_W) x 8) / |W|", () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 2000 }),
        fc.uint8Array({ minLength: 1, maxLength: 2000 }),
        (baseline, window) => {
          expect(native.deltaBits(baseline, window, codec)).toBe(
            ((size(baseline) - size(window)) * 8) / window.length,
          );
        },
      ),
    );
    expect(() => native.deltaBits(lines(9, 1), new Uint8Array(0), codec)).toThrow(/window is empty/);
  });

  it("delta bits fall as the window gets noisier", () => {
    const baseline = lines(200, 1);
    const deltas = [0, 0.25, 0.5, 0.75, 1].map((share) => {
      const window = Buffer.from(baseline);
      noise(Math.floor(window.length * share), 2).copy(window);
      return native.deltaBits(baseline, window, codec);
    });
    expect(deltas[0]).toBe(0);
    expect(deltas).toEqual([...deltas].sort((a, b) => b - a));
    expect(new Set(deltas).size).toBe(deltas.length);
  });

  it("NCD stays within its range and nearly symmetric", () => {
    fc.assert(
      fc.property(seeds, seeds, fc.integer({ min: 20, max: 150 }), fc.boolean(), (s, t, count, strange) => {
        const a = lines(count, s);
        const b = strange ? noise(a.length, t) : lines(count, t);
        const there = native.ncd(a, b, codec);
        const back = native.ncd(b, a, codec);
        for (const distance of [there, back]) {
          expect(distance).toBeGreaterThan(-0.05);
          expect(distance).toBeLessThan(1.3);
        }
        // Short noise and text in one frame share a table of symbols; the first of the two determines it.
        expect(Math.abs(there - back)).toBeLessThan(strange ? 0.35 : 0.15);
      }),
    );
  });

  it("NCD(x, x) is small for texts long enough", () => {
    fc.assert(
      fc.property(seeds, fc.integer({ min: 150, max: 800 }), (seed, count) => {
        const text = lines(count, seed);
        expect(native.ncd(text, text, codec)).toBeLessThan(0.15);
        expect(native.ncdSizeMatched(text, text, codec)).toBe(native.ncd(text, text, codec));
      }),
      { numRuns: 40 },
    );
  });

  it("NCD grows as noise is mixed in", () => {
    fc.assert(
      fc.property(seeds, (seed) => {
        const baseline = noise(8000, seed);
        const distances = [0, 0.2, 0.4, 0.6, 0.8, 1].map((share) => {
          const window = Buffer.from(baseline);
          noise(Math.floor(window.length * share), seed + 1).copy(window);
          return native.ncd(baseline, window, codec);
        });
        for (const [i, distance] of distances.entries()) {
          // In noise, what is shared is what the codec saves: the distance is the share that is new.
          expect(Math.abs(distance - 0.2 * i)).toBeLessThan(0.05);
        }
      }),
      { numRuns: 20 },
    );
  });

  it("NCD does not jump where the input's size crosses a codec's own limits", () => {
    // zstd and LZ4 would change their tables at 16, 64, 128 and 256 KiB of joined input.
    const limit = codec === "gzip" ? 16_000 : codec === "lz4" ? 60_000 : 140_000;
    const text = lines(12_000, 3);
    const distances: number[] = [];
    for (let length = 4_000; length < limit; length = Math.floor(length * 1.25))
      distances.push(native.ncd(text.subarray(0, length), text.subarray(length, 2 * length), codec));
    for (let i = 1; i < distances.length; i++)
      expect(Math.abs(distances[i]! - distances[i - 1]!)).toBeLessThan(0.06);
  });

  it("the size-matched NCD looks at the baseline's end alone", () => {
    const window = lines(50, 4);
    const end = lines(60, 5);
    const expected = native.ncd(end.subarray(-window.length), window, codec);
    expect(native.ncdSizeMatched(Buffer.concat([noise(5000, 6), end]), window, codec)).toBe(expected);
    expect(native.ncdSizeMatched(end, window, codec)).toBe(expected);
  });

  it("windowMetrics agrees with each figure alone", () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 1, maxLength: 1500 }),
        fc.uint8Array({ minLength: 1, maxLength: 1500 }),
        (baseline, window) => {
          expect(native.windowMetrics(baseline, window, codec)).toEqual({
            compressionRatio: native.compressionRatio(window, codec),
            baselineRatio: native.compressionRatio(baseline, codec),
            deltaBits: native.deltaBits(baseline, window, codec),
            entropy: native.entropy(window),
            ncd: native.ncd(baseline, window, codec),
            ncdSizeMatched: native.ncdSizeMatched(baseline, window, codec),
          });
        },
      ),
    );
  });

  it("inputs beyond the codec's reach are refused, with the limit named", () => {
    const reach = { openzl: 2 ** 19 - 2 ** 17, zstd: 2 ** 19 - 2 ** 17, lz4: 65_535, gzip: 32_506 }[codec];
    const within = noise(reach, 7);
    const beyond = noise(reach + 1, 7);
    expect(native.ncd(within, within, codec, 1)).toBeLessThan(0.03);
    const message = new RegExp(
      `is ${reach + 1} bytes long, but ${codec} at level 1 finds no match more than ${reach} bytes back`,
    );
    for (const call of [
      () => native.ncd(beyond, within, codec, 1),
      () => native.ncd(within, beyond, codec, 1),
      () => native.ncdSizeMatched(within, beyond, codec, 1),
      () => native.windowMetrics(beyond, within, codec, 1),
    ]) {
      expect(call).toThrow(RangeError);
      expect(call).toThrow(message);
    }
  });
});

it("names arguments of the wrong kind", () => {
  const call =
    (method: keyof typeof native, ...args: unknown[]) =>
    () =>
      (native[method] as (...args: unknown[]) => unknown)(...args);
  const wrong = (message: string) =>
    Object.assign(new TypeError(message), { code: "ERR_DRIFTLOCK_INVALID_ARGUMENT" });
  expect(call("entropy", "text")).toThrow(wrong("bytes must be a Uint8Array"));
  expect(call("ncd", new Uint8Array(1), [1], "zstd")).toThrow(wrong("b must be a Uint8Array"));
  expect(call("deltaBits", 1, new Uint8Array(1), "zstd")).toThrow(wrong("baseline must be a Uint8Array"));
  expect(call("windowMetrics", new Uint8Array(1), new Uint8Array(1))).toThrow(/codec must be/);
  expect(call("compressionRatio", new Uint8Array(1), "zstd", 99)).toThrow(RangeError);
});
