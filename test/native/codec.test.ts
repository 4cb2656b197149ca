import { createHash } from "node:crypto";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import zlib from "node:zlib";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type CodecName, type ColumnType, native } from "../../src/native.ts";

const codecs: CodecName[] = ["openzl", "zstd", "lz4", "gzip"];
const levels: Record<CodecName, [lowest: number, highest: number]> = {
  openzl: [1, 9],
  zstd: [1, 19],
  lz4: [1, 12],
  gzip: [1, 9],
};

/** Arbitrary bytes, or repeated pieces, as in records. */
const anyBytes = fc.oneof(
  fc.uint8Array({ maxLength: 3000 }),
  fc
    .tuple(
      fc.array(fc.uint8Array({ minLength: 1, maxLength: 30 }), { minLength: 1, maxLength: 6 }),
      fc.array(fc.nat(), { maxLength: 200 }),
    )
    .map(([pieces, order]) => new Uint8Array(Buffer.concat(order.map((i) => pieces[i % pieces.length]!)))),
);

/** A column type with bytes that fit it. */
const anyColumn: fc.Arbitrary<{ bytes: Uint8Array; column: ColumnType }> = fc.oneof(
  anyBytes.map((bytes) => ({ bytes, column: { kind: "bytes" as const } })),
  fc
    .tuple(anyBytes, fc.constantFrom(1 as const, 2 as const, 4 as const, 8 as const), fc.boolean())
    .map(([bytes, width, sorted]) => ({
      bytes: bytes.subarray(0, bytes.length - (bytes.length % width)),
      column: { kind: "numeric" as const, width, sorted },
    })),
  // True timestamps: ascending steps of a clock.
  fc
    .tuple(fc.array(fc.nat(1000), { maxLength: 300 }), fc.constantFrom(1n, 1000n, 1_000_000n))
    .map(([steps, unit]) => {
      let now = 1_700_000_000_000_000_000n;
      const times = BigUint64Array.from(steps, (step) => {
        now += BigInt(step) * unit;
        return now;
      });
      return {
        bytes: new Uint8Array(times.buffer),
        column: { kind: "numeric" as const, width: 8 as const, sorted: true },
      };
    }),
  fc.tuple(anyBytes, fc.integer({ min: 1, max: 100 })).map(([bytes, width]) => ({
    bytes: bytes.subarray(0, bytes.length - (bytes.length % width)),
    column: { kind: "struct" as const, width },
  })),
  fc.array(fc.uint8Array({ maxLength: 20 }), { maxLength: 200 }).map((strings) => ({
    bytes: new Uint8Array(Buffer.concat(strings)),
    column: { kind: "string" as const, lengths: Uint32Array.from(strings, (s) => s.length) },
  })),
);

const text = (() => {
  const random = native.chacha20(new Uint8Array(32), 0, new Uint8Array(12), 3 * 900);
  const templates = [
    "order accepted, id=",
    "cart updated, items=",
    "GET /api/v1/products/",
    "session refreshed for user ",
  ];
  const line = (_: unknown, i: number) =>
    `${templates[random[3 * i]! % 4]}${random.readUInt16LE(3 * i + 1)}\n`;
  return Buffer.from(Array.from({ length: 900 }, line).join(""));
})();

function thrown(call: () => unknown): Error {
  try {
    call();
  } catch (error) {
    return error as Error;
  }
  throw new Error("did not throw");
}

describe.each(codecs)("%s", (codec) => {
  it("gives back any column's bytes, at any level", () => {
    fc.assert(
      fc.property(
        anyColumn,
        fc.integer({ min: levels[codec][0], max: levels[codec][1] }),
        ({ bytes, column }, level) => {
          const compressed = native.compress(codec, bytes, level, column);
          expect(native.compressedSize(codec, bytes, level, column)).toBe(compressed.length);
          expect(Buffer.compare(native.decompress(codec, compressed, bytes.length), bytes)).toBe(0);
        },
      ),
      { numRuns: 300 },
    );
  });

  it("never gives more than maxSize", () => {
    fc.assert(
      fc.property(anyColumn, fc.nat(), ({ bytes, column }, cut) => {
        fc.pre(bytes.length > 0);
        const maxSize = cut % bytes.length;
        const error = thrown(() =>
          native.decompress(codec, native.compress(codec, bytes, undefined, column), maxSize),
        );
        expect(error).toBeInstanceOf(RangeError);
        expect(error.message).toContain(`maxSize, ${maxSize} bytes`);
      }),
    );
  });

  it("gives the same bytes whatever it did before, and on another thread", async () => {
    const columns: ColumnType[] = [
      { kind: "bytes" },
      { kind: "numeric", width: 4 },
      { kind: "numeric", width: 8, sorted: true },
      { kind: "struct", width: 12 },
      { kind: "string", lengths: new Uint32Array(2400).fill(8) },
    ];
    const bytes = text.subarray(0, 19200);
    const digest = () =>
      columns.map((column) =>
        createHash("sha256")
          .update(native.compress(codec, bytes, undefined, column))
          .digest("hex"),
      );
    const first = digest();
    fc.assert(
      fc.property(anyColumn, ({ bytes: other, column }) => {
        native.compress(codec, other, undefined, column);
        expect(digest()).toEqual(first);
      }),
      { numRuns: 30 },
    );
    const worker = new Worker(
      `const { parentPort, workerData } = require("node:worker_threads");
       const { createHash } = require("node:crypto");
       const native = require("node-gyp-build")(workerData.root);
       parentPort.postMessage(workerData.columns.map((column) =>
         createHash("sha256").update(native.compress(workerData.codec, workerData.bytes, undefined, column)).digest("hex")));`,
      {
        eval: true,
        workerData: {
          root: fileURLToPath(new URL("../..", import.meta.url)),
          codec,
          columns,
          bytes: new Uint8Array(bytes),
        },
      },
    );
    expect((await once(worker, "message"))[0]).toEqual(first);
    await worker.terminate();
  });

  it("survives damage", () => {
    const compressed = native.compress(codec, text.subarray(0, 2000));
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(compressed.length - 1), fc.integer({ min: 1, max: 255 })), {
          minLength: 1,
          maxLength: 4,
        }),
        (flips) => {
          const damaged = Buffer.from(compressed);
          for (const [at, bits] of flips) damaged[at]! ^= bits;
          try {
            expect(native.decompress(codec, damaged, 4000).length).toBeLessThanOrEqual(4000);
          } catch (error) {
            expect((error as Error).message).toMatch(new RegExp(`^${codec}: `));
          }
        },
      ),
      { numRuns: 500 },
    );
    expect(thrown(() => native.decompress(codec, compressed.subarray(0, -3), 4000)).message).toMatch(
      /: the input is damaged: /,
    );
    expect(thrown(() => native.decompress(codec, new Uint8Array(0), 4000)).message).toMatch(
      /: the input is damaged: /,
    );
  });

  it("refuses levels out of range by name", () => {
    const [lowest, highest] = levels[codec];
    for (const level of [lowest - 1, highest + 1]) {
      const error = thrown(() => native.compress(codec, text, level));
      expect(error).toBeInstanceOf(RangeError);
      expect(error.message).toBe(`level ${level} is out of range: ${codec} takes ${lowest} to ${highest}`);
    }
    expect(() => native.compress(codec, text, 1.5)).toThrow(RangeError);
  });

  it("compresses better at the highest level than at the lowest", () => {
    expect(native.compressedSize(codec, text, levels[codec][1])).toBeLessThan(
      native.compressedSize(codec, text, levels[codec][0]),
    );
  });
});

describe("columns", () => {
  it("fit: a graph for the type beats the bytes alone", () => {
    const times = new Uint8Array(
      BigUint64Array.from(
        { length: 4096 },
        (_, i) => 1_700_000_000_000_000_000n + BigInt(i * 1000 + ((i * 7919) % 13)) * 1_000_000n,
      ).buffer,
    );
    const sorted = native.compressedSize("openzl", times, undefined, {
      kind: "numeric",
      width: 8,
      sorted: true,
    });
    expect(sorted).toBeLessThan(native.compressedSize("openzl", times) / 2);
    expect(sorted).toBeLessThan(native.compressedSize("zstd", times, 19) / 2);

    const names = Array.from({ length: 4096 }, (_, i) => `/api/v1/products/${((i * i) % 997) % 60}`);
    const strings = Buffer.from(names.join(""));
    const lengths = Uint32Array.from(names, (name) => name.length);
    expect(native.compressedSize("openzl", strings, undefined, { kind: "string", lengths })).toBeLessThan(
      native.compressedSize("openzl", strings),
    );
  });

  it("that do not fit are refused by name", () => {
    const refused = (column: unknown) =>
      thrown(() => native.compress("openzl", new Uint8Array(10), undefined, column as ColumnType));
    expect(refused({ kind: "numeric", width: 3 })).toMatchObject({
      name: "TypeError",
      message: "column.width is 3: numbers are 1, 2, 4 or 8 bytes wide",
    });
    expect(refused({ kind: "numeric", width: 4 }).message).toBe(
      "10 bytes are not a whole number of values of column.width 4",
    );
    expect(refused({ kind: "struct", width: 0 })).toMatchObject({
      name: "RangeError",
      message: expect.stringContaining("column.width"),
    });
    expect(refused({ kind: "string", lengths: new Uint32Array([4, 5]) }).message).toBe(
      "column.lengths sum to 9, but there are 10 bytes",
    );
    expect(refused({ kind: "string", lengths: [10] }).message).toBe("column.lengths must be a Uint32Array");
    expect(refused({ kind: "numeric", width: 8, sorted: 1 }).message).toBe("column.sorted must be a boolean");
    expect(refused({ kind: "float" }).message).toContain("column.kind must be");
    expect(refused("bytes").message).toContain("column must be an object");
    expect(refused(null).message).toContain("column must be an object");
  });
});

describe("arguments", () => {
  it("of the wrong kind are named", () => {
    const anyCall = native.compress as (...args: unknown[]) => Buffer;
    expect(thrown(() => anyCall("brotli", text))).toMatchObject({
      name: "TypeError",
      message: 'codec must be "openzl", "zstd", "lz4" or "gzip"',
    });
    expect(thrown(() => anyCall("zstd", "text"))).toMatchObject({
      name: "TypeError",
      message: "bytes must be a Uint8Array",
    });
    expect(thrown(() => anyCall("zstd", new Uint16Array(3)))).toMatchObject({
      name: "TypeError",
      message: "bytes must be a Uint8Array",
    });
    expect(thrown(() => anyCall("zstd", text, "3"))).toMatchObject({
      name: "TypeError",
      message: "level must be a number",
    });
    expect(thrown(() => anyCall("zstd", new Uint8Array(new SharedArrayBuffer(8)))).message).toContain(
      "SharedArrayBuffer",
    );
    expect(thrown(() => native.decompress("zstd", text, -1))).toMatchObject({
      name: "RangeError",
      message: expect.stringContaining("maxSize"),
    });
    expect(thrown(() => native.decompress("zstd", text, Number.NaN)).message).toContain("maxSize");
    expect(thrown(() => (native.decompress as (...args: unknown[]) => Buffer)("zstd", text)).message).toBe(
      "maxSize must be a number",
    );
  });

  it("that a getter detaches are seen as they are then", () => {
    const bytes = new Uint8Array(64).fill(7);
    const column = {
      get kind() {
        structuredClone(bytes, { transfer: [bytes.buffer] });
        return "bytes" as const;
      },
    };
    const compressed = native.compress("zstd", bytes, undefined, column);
    expect(native.decompress("zstd", compressed, 100).length).toBe(0);
  });
});

describe("other programs' frames", () => {
  it("of gzip and zstd are read, and they read ours", () => {
    expect(native.decompress("gzip", zlib.gzipSync(text), text.length).equals(text)).toBe(true);
    expect(zlib.gunzipSync(native.compress("gzip", text)).equals(text)).toBe(true);
    expect(native.decompress("zstd", zlib.zstdCompressSync(text), text.length).equals(text)).toBe(true);
    expect(zlib.zstdDecompressSync(native.compress("zstd", text)).equals(text)).toBe(true);
  });

  it("without a size in the header expand to maxSize at the most", async () => {
    const stream = zlib.createZstdCompress();
    const parts: Buffer[] = [];
    stream.on("data", (part: Buffer) => parts.push(part));
    for (let i = 0; i < 64; i++) stream.write(Buffer.alloc(1 << 20));
    stream.end();
    await once(stream, "end");
    const bomb = Buffer.concat(parts);
    expect(bomb.length).toBeLessThan(20_000);
    expect(thrown(() => native.decompress("zstd", bomb, 1 << 20))).toBeInstanceOf(RangeError);
    expect(native.decompress("zstd", bomb, 64 << 20).length).toBe(64 << 20);
  });

  it("are bombs: refused without the memory that they claim", () => {
    const before = process.resourceUsage().maxRSS;
    const zeros = zlib.gzipSync(Buffer.alloc(1 << 20));
    // This is 512 members of a mebibyte each.
    const gzip = Buffer.concat(Array.from({ length: 512 }, () => zeros));
    expect(thrown(() => native.decompress("gzip", gzip, 4 << 20))).toBeInstanceOf(RangeError);
    // These are a frame header alone that claims 2^40 bytes, and one LZ4 length of 2 GiB with nothing after it.
    const zstd = Buffer.from("28b52ffde00000000000010000010000", "hex");
    expect(thrown(() => native.decompress("zstd", zstd, 4 << 20))).toBeInstanceOf(RangeError);
    expect(
      thrown(() => native.decompress("lz4", Buffer.from("ffffffff0700", "hex"), 4 << 20)),
    ).toBeInstanceOf(RangeError);
    expect(
      thrown(() => native.decompress("lz4", Buffer.from("ffffffff0700", "hex"), 2 ** 40)).message,
    ).toContain("damaged");
    expect(process.resourceUsage().maxRSS - before).toBeLessThan(100 * 1024); // KiB
  });
});

it("names the versions of the libraries", () => {
  expect(native.versions).toEqual({
    openzl: "0.3.0",
    openzlFormat: "27",
    zstd: "1.5.7",
    lz4: "1.10.0",
    zlib: "1.4",
  });
  expect(Object.isFrozen(native.versions)).toBe(true);
});
