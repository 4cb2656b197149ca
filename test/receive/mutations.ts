/** Nearly valid bodies for fuzzing parsers. */
import process from "node:process";
import { deflateSync, gzipSync, zstdCompressSync } from "node:zlib";
import fc from "fast-check";

/** Seconds that a fuzz takes; if the variable is not set, it takes moments. */
const fuzzSeconds = Number(process.env.DRIFTLOCK_FUZZ_SECONDS ?? 0);

/** Parameters for `fc.assert`: a few runs in the tests, and as many as the time allows under `make fuzz`. */
export const effort = fuzzSeconds
  ? { numRuns: Number.MAX_SAFE_INTEGER, interruptAfterTimeLimit: 1_000 * fuzzSeconds }
  : { numRuns: 150 };

/** Timeout of the test that fuzzes, in milliseconds. */
export const fuzzTimeout = 60_000 + 1_000 * fuzzSeconds;

/** Values that may trip up a parser of JSON, UTF-8, protobuf's JSON or SQL. */
const strange = [
  "null",
  "true",
  "-0",
  "1e999",
  "-1e-999",
  "0.1e+308",
  "9".repeat(400),
  "18446744073709551616",
  "-9223372036854775809",
  '"\\ud800"',
  '"\\u0000"',
  '"NaN"',
  '"-Infinity"',
  "[]",
  "{}",
  '{"__proto__":{"x":1},"constructor":1,"toString":2}',
  '"2026-13-45T99:99:99Z"',
  '"😀😀😀"',
  `"${"x".repeat(5_000)}"`,
  '"\\',
  "\u2028",
  "\ufeff",
  "// a comment\n",
  "\n",
  "\r\n",
].map((text) => Buffer.from(text));
const notUtf8 = [[0xff], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xf8, 0x88, 0x80, 0x80, 0x80], [0xe2, 0x82]].map(
  (bytes) => Buffer.from(bytes),
);
const nests = [
  "[",
  '{"a":',
  '{"arrayValue":{"values":[',
  '{"kvlistValue":{"values":[{"value":',
  '"\\',
].flatMap((text) => [20, 130, 20_000].map((times) => Buffer.from(text.repeat(times))));

const piece = fc.oneof(
  fc.constantFrom(...strange),
  fc.constantFrom(...notUtf8),
  fc.constantFrom(...nests),
  fc.uint8Array({ maxLength: 8 }).map((bytes) => Buffer.from(bytes)),
);

/** A relative position in bytes of any length. */
const place = fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true });

type Mutation = (bytes: Buffer) => Buffer;

const cut = (bytes: Buffer, from: number, to: number, into: Buffer): Buffer =>
  Buffer.concat([bytes.subarray(0, from), into, bytes.subarray(to)]);

const at = (bytes: Buffer, where: number): number => Math.floor(where * bytes.length);

/** Matches, roughly, the values in a JSON text: strings, numbers and words. */
const token = /"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*|true|false|null/g;

const mutation: fc.Arbitrary<Mutation> = fc.oneof(
  fc.tuple(place, fc.nat(255)).map(([where, byte]) => (bytes: Buffer) => {
    const changed = Buffer.from(bytes);
    if (changed.length > 0) changed[at(changed, where)] = byte;
    return changed;
  }),
  place.map((where) => (bytes: Buffer) => bytes.subarray(0, at(bytes, where))),
  fc.tuple(place, piece).map(
    ([where, into]) =>
      (bytes: Buffer) =>
        cut(bytes, at(bytes, where), at(bytes, where), into),
  ),
  fc.tuple(place, place).map(([one, other]) => (bytes: Buffer) => {
    const [from, to] = [at(bytes, Math.min(one, other)), at(bytes, Math.max(one, other))];
    return cut(bytes, from, to, Buffer.alloc(0));
  }),
  // A piece is repeated, which produces duplicate keys.
  fc.tuple(place, place).map(([one, other]) => (bytes: Buffer) => {
    const [from, to] = [at(bytes, Math.min(one, other)), at(bytes, Math.max(one, other))];
    return cut(bytes, to, to, bytes.subarray(from, to));
  }),
  // A value or key is replaced by another.
  fc.tuple(place, piece).map(([where, into]) => (bytes: Buffer) => {
    const found = [...bytes.toString("latin1").matchAll(token)];
    const one = found[Math.floor(where * found.length)];
    return one ? cut(bytes, one.index, one.index + one[0].length, into) : bytes;
  }),
);

/** @param documents valid documents */
export function near(documents: readonly Buffer[]): fc.Arbitrary<Buffer> {
  return fc
    .tuple(fc.constantFrom(...documents), fc.array(mutation, { maxLength: 4 }))
    .map(([document, mutations]) => mutations.reduce((bytes, mutate) => mutate(bytes), document));
}

const compressors = {
  gzip: (bytes: Buffer) => gzipSync(bytes, { level: 1 }),
  deflate: (bytes: Buffer) => deflateSync(bytes, { level: 1 }),
  zstd: (bytes: Buffer) => zstdCompressSync(bytes),
};

export interface Sent {
  bytes: Buffer;
  encoding: keyof typeof compressors | undefined;
}

/** Compresses bodies, with occasional damage, and occasionally after megabytes of blanks, which JSON may begin with. */
export function compressed(body: fc.Arbitrary<Buffer>, bombSize: number): fc.Arbitrary<Sent> {
  const whole = fc.constant((bytes: Buffer) => bytes);
  return fc
    .tuple(
      body,
      fc.constantFrom<Sent["encoding"]>(undefined, undefined, "gzip", "deflate", "zstd"),
      fc.oneof({ weight: 4, arbitrary: whole }, { weight: 1, arbitrary: mutation }),
      fc.nat(9),
    )
    .map(([bytes, encoding, damage, lot]) => {
      if (encoding === undefined) return { bytes, encoding };
      const bomb = lot === 0 ? [Buffer.alloc(bombSize, 0x20)] : [];
      return { bytes: damage(compressors[encoding](Buffer.concat([...bomb, bytes]))), encoding };
    });
}
