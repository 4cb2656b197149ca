import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { native, type PermutationOptions } from "../../src/native.ts";

const options: PermutationOptions = { permutations: 99, block: 1, stopAfter: 0, seed: 1n, codec: "lz4" };

/** Generates numbers below `bound`, the same for the same seed. */
function* numbers(seed: number, bound: number): Generator<number, never> {
  const key = new Uint8Array(32);
  new DataView(key.buffer).setUint32(0, seed);
  for (let block = 0; ; block++) {
    const stream = native.chacha20(key, block, new Uint8Array(12), 64);
    for (let i = 0; i < 64; i += 4) yield stream.readUInt32LE(i) % bound;
  }
}

const templates = [
  "order accepted, id=",
  "cart updated, items=",
  "GET /api/v1/products/",
  "session refreshed for user ",
];

function records(count: number, seed: number): Buffer[] {
  const next = numbers(seed, 100_000);
  return Array.from({ length: count }, () =>
    Buffer.from(`${templates[next.next().value % 4]}${next.next().value}\n`),
  );
}

/** The Kolmogorov-Smirnov statistic: the largest distance from the uniform distribution on (0, 1]. */
function distanceFromUniform(values: number[]): number {
  return Math.max(
    ...[...values]
      .sort((a, b) => a - b)
      .map((value, i, { length }) =>
        Math.max(Math.abs((i + 1) / length - value), Math.abs(value - i / length)),
      ),
  );
}

describe("the p-value", () => {
  it("lies in (0, 1] and follows from the counts", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.uint8Array({ maxLength: 40 }), { minLength: 2, maxLength: 20 }),
        fc.array(fc.uint8Array({ minLength: 1, maxLength: 40 }), { minLength: 1, maxLength: 10 }),
        fc.integer({ min: 1, max: 40 }),
        fc.nat(5),
        fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
        async (baseline, window, permutations, stopAfter, seed) => {
          const result = await native.permutationTest(baseline, window, {
            ...options,
            permutations,
            stopAfter,
            seed,
          });
          const { pValue, exceeding, permutations: drawn } = result;
          expect(pValue).toBeGreaterThan(0);
          expect(pValue).toBeLessThanOrEqual(1);
          if (stopAfter > 0 && exceeding === stopAfter) {
            expect(pValue).toBe(stopAfter / drawn);
          } else {
            expect(drawn).toBe(permutations);
            expect(pValue).toBe((1 + exceeding) / (1 + permutations));
          }
        },
      ),
    );
  });

  it("is uniform when records are exchangeable, drawn in full or stopped early", async () => {
    const whole: number[] = [];
    const early: number[] = [];
    let drawn = 0;
    for (let run = 0; run < 300; run++) {
      const all = records(48, run);
      const given = { ...options, permutations: 59, seed: BigInt(run) };
      whole.push((await native.permutationTest(all.slice(0, 36), all.slice(36), given)).pValue);
      const stopped = await native.permutationTest(all.slice(0, 36), all.slice(36), {
        ...given,
        stopAfter: 6,
      });
      early.push(stopped.pValue);
      drawn += stopped.permutations;
    }
    // 1.95 / sqrt(300) is the 99.9 % point of the distance; the p-value's own steps add 1/60 and, near 1, 1/7.
    expect(distanceFromUniform(whole)).toBeLessThan(0.113 + 1 / 60);
    for (const p of [whole, early])
      for (const level of [0.05, 0.1, 0.25, 0.5]) {
        const rejected = p.filter((value) => value <= level).length / p.length;
        expect(rejected).toBeLessThan(level + 3.5 * Math.sqrt((level * (1 - level)) / p.length));
      }
    const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
    // Steps of p^2 / h and of 1 / (N + 1) round up by half of themselves on average.
    expect(Math.abs(mean(early) - mean(whole) - (1 / 36 - 1 / 120))).toBeLessThan(0.02);
    expect(drawn).toBeLessThan(300 * 30);
  });

  it("is small for a window of news, and only then", async () => {
    const baseline = records(120, 1);
    const window = records(24, 2);
    const usual = await native.permutationTest(baseline, window, options);
    expect(usual.pValue).toBeGreaterThan(0.05);
    const next = numbers(3, 256);
    const strange = window.map((record, i) =>
      i % 4 === 0 ? Buffer.from(Array.from({ length: 50 }, () => next.next().value)) : record,
    );
    const result = await native.permutationTest(baseline, strange, options);
    expect(result).toMatchObject({ pValue: 0.01, permutations: 99, exceeding: 0 });
    const raw = Buffer.concat(baseline);
    const joined = Buffer.concat([raw, ...strange]);
    const bits = (native.compressedSize("lz4", joined) - native.compressedSize("lz4", raw)) * 8;
    expect(result.observed).toBe(bits / (joined.length - raw.length));
  });

  it("keeps what neighbours share when blocks move: a usual session is no news", async () => {
    // Sessions have four steps that always follow each other. The window's session is a normal one.
    const next = numbers(4, 10_000);
    const session = () => {
      const id = next.next().value;
      return ["login", "search", "basket", "payment"].map((step) =>
        Buffer.from(`${step} session=${id}${id}${id}${id}\n`),
      );
    };
    const all = Array.from({ length: 40 }, session).flat();
    const window = all.slice(-32);
    const baseline = all.slice(0, -32);
    // An exchange of single records tears sessions apart: half their ids are known from the baseline then, and the
    // normal window looks strange beside that.
    expect((await native.permutationTest(baseline, window, options)).pValue).toBe(0.01);
    const blocks = await native.permutationTest(baseline, window, { ...options, block: 4 });
    expect(blocks.pValue).toBeGreaterThan(0.05);
    expect(blocks.pValue).toBeLessThan(0.95);
  });

  it("is the same for the same seed, whatever else runs, and another for another", async () => {
    const baseline = records(60, 5);
    const window = records(12, 6);
    const run = (seed: bigint) => native.permutationTest(baseline, window, { ...options, seed });
    const results = await Promise.all(Array.from({ length: 8 }, () => run(7n)));
    for (const result of results) expect(result).toEqual(results[0]);
    const others = await Promise.all([8n, 9n, 10n, 11n].map(run));
    expect(others.some((other) => other.exceeding !== results[0]!.exceeding)).toBe(true);
    expect(others.every((other) => other.observed === results[0]!.observed)).toBe(true);
  });
});

it("works off the event loop, on its own copy of the records", async () => {
  const baseline = records(600, 8);
  const window = records(100, 9);
  const expected = await native.permutationTest(baseline, window, { ...options, permutations: 30 });
  let turns = 0;
  let settled = false;
  const pending = native.permutationTest(baseline, window, { ...options, permutations: 30 }).finally(() => {
    settled = true;
  });
  for (const record of [...baseline, ...window]) record.fill(0);
  while (!settled) {
    turns++;
    await new Promise(setImmediate);
  }
  expect(await pending).toEqual(expected);
  expect(turns).toBeGreaterThan(1);
});

it("rejects what does not fit, by name", async () => {
  const few = records(5, 1);
  const rejection = (baseline: unknown, window: unknown, given: unknown) =>
    native
      .permutationTest(baseline as Uint8Array[], window as Uint8Array[], given as PermutationOptions)
      .then(
        () => expect.fail("did not reject"),
        (error: Error) => `${error.name}: ${error.message}`,
      );
  expect(await rejection(few, few, { ...options, permutations: 0 })).toBe(
    "RangeError: options.permutations must be a whole number from 1 to 1000000",
  );
  expect(await rejection(few, few, { ...options, block: 0 })).toMatch(/^RangeError: options.block/);
  expect(await rejection(few, few, { ...options, stopAfter: -1 })).toMatch(/^RangeError: options.stopAfter/);
  expect(await rejection(few, few, { ...options, seed: 5 })).toBe("TypeError: options.seed must be a bigint");
  expect(await rejection(few, few, { ...options, seed: -1n })).toBe(
    "RangeError: options.seed must be from 0 to 2^64 - 1",
  );
  expect(await rejection(few, few, { ...options, codec: "zip" })).toMatch(/^TypeError: options.codec/);
  expect(await rejection(few, few, { ...options, level: 99 })).toMatch(
    /^RangeError: level 99 is out of range/,
  );
  expect(await rejection(few, few, undefined)).toBe("TypeError: options must be an object");
  expect(await rejection("few", few, options)).toBe("TypeError: baseline must be an array of Uint8Array");
  expect(await rejection(few, [few[0], "x"], options)).toBe("TypeError: window[1] must be a Uint8Array");
  expect(await rejection(few, few, { ...options, block: 6 })).toBe(
    "RangeError: baseline has 5 records, fewer than a block of 6",
  );
  expect(await rejection(few, [], options)).toBe("RangeError: window has 0 records, fewer than a block of 1");
  expect(await rejection(few, [new Uint8Array(0)], options)).toBe(
    "RangeError: window is empty: its records hold no byte",
  );
  expect(await rejection([new Uint8Array(70_000)], few, options)).toMatch(
    /^RangeError: baseline is 70000 bytes long, but lz4/,
  );
});
