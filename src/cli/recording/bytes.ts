/** Detects by its first bytes how a file is compressed. gzip is decompressed; other compressions are refused. */
import { pipeline, Readable } from "node:stream";
import { createGunzip } from "node:zlib";

/** Number of bytes that are enough to recognise a file. */
const sampleSize = 4 * 1024;

const gzip = "1f8b";

/** Beginnings of files whose compression is not supported, and the tools that decompress them. */
const packed: readonly [magic: string, name: string, tool: string][] = [
  ["28b52ffd", "zstd", "zstd -dc"],
  ["fd377a585a00", "xz", "xz -dc"],
  ["425a68", "bzip2", "bzip2 -dc"],
  ["04224d18", "LZ4", "lz4 -dc"],
  ["504b0304", "a ZIP archive", "unzip -p"],
];

const utf16 = { fffe: "utf-16le", feff: "utf-16be" } as const;

/** Share of the characters of a text that may be unreadable. */
const maxUnreadable = 0.1;

type Bytes = AsyncIterable<Buffer>;

function startsWith(bytes: Buffer, magic: string): boolean {
  return bytes.toString("hex", 0, magic.length / 2) === magic;
}

/** Reads a sample. `all` yields all bytes, including the sample. */
async function peek(input: Bytes): Promise<[sample: Buffer, all: Bytes]> {
  const chunks = input[Symbol.asyncIterator]();
  let sample = Buffer.alloc(0);
  while (sample.length < sampleSize) {
    const { value, done } = await chunks.next();
    if (done) break;
    sample = Buffer.concat([sample, value]);
  }
  const all = async function* () {
    try {
      if (sample.length > 0) yield sample;
      for (let next = await chunks.next(); !next.done; next = await chunks.next()) yield next.value;
    } finally {
      await chunks.return?.();
    }
  };
  return [sample, all()];
}

async function* gunzip(input: Bytes, name: string): Bytes {
  const unpacked = createGunzip();
  // A failure of either stream ends both, and is thrown below.
  pipeline(Readable.from(input), unpacked, () => {});
  try {
    yield* unpacked as Bytes;
  } catch (error) {
    const { code = "", message } = error as NodeJS.ErrnoException;
    if (!code.startsWith("Z_")) throw error;
    throw new Error(`${name}: the gzip data is damaged or truncated: ${message}`, { cause: error });
  }
}

async function* transcode(input: Bytes, encoding: string): Bytes {
  const decoder = new TextDecoder(encoding);
  for await (const chunk of input) yield Buffer.from(decoder.decode(chunk, { stream: true }));
  yield Buffer.from(decoder.decode());
}

/** Returns the share of characters that are not UTF-8 or not part of texts. A NUL counts ten times, to detect tar archives. */
function unreadable(sample: Buffer): number {
  const text = sample.toString("utf8");
  // biome-ignore lint/suspicious/noControlCharactersInRegex: those that logs have are tab, line ends, bell, backspace and escape
  const found = text.match(/[\0-\x06\x0e-\x1a\x1c-\x1f\x7f\ufffd]/g)?.length ?? 0;
  const nuls = text.split("\0").length - 1;
  return (found + 9 * nuls) / Math.max(1, text.length);
}

/** Decompresses gzip, and passes other bytes on. @throws {Error} with the remedy, if the file is compressed otherwise. */
export async function unpack(input: Bytes, name: string): Promise<Bytes> {
  const [sample, all] = await peek(input);
  if (startsWith(sample, gzip)) return gunzip(all, name);
  const found = packed.find(([magic]) => startsWith(sample, magic));
  if (found === undefined) return all;
  const [, what, tool] = found;
  throw new Error(`${name}: is compressed as ${what}; decompress it: ${tool} FILE | driftlock … -`);
}

/**
 * Decompresses like `unpack`, and converts UTF-16 with a byte order mark to UTF-8.
 * @throws {Error} with the remedy, also if the file is not text.
 */
export async function unpackText(input: Bytes, name: string): Promise<Bytes> {
  const [sample, all] = await peek(await unpack(input, name));
  const mark = sample.toString("hex", 0, 2) as keyof typeof utf16;
  if (mark in utf16 && !startsWith(sample, "fffe0000")) return transcode(all, utf16[mark]);
  if (unreadable(sample.subarray(0, sampleSize)) > maxUnreadable) {
    throw new Error(
      `${name}: does not begin like text in UTF-8; if it is text in another encoding, convert it: iconv -f ENCODING -t UTF-8 FILE | driftlock … -`,
    );
  }
  return all;
}
