import { createGunzip, createInflate } from "node:zlib";
import { native } from "../native.ts";
import { Code, ExportError } from "../otlp/protocol.ts";
import type { Permit } from "./admission.ts";
import { GrowingBuffer } from "./growing-buffer.ts";
import { TooLarge } from "./too-large.ts";

/**
 * How bodies may be compressed, by the names of HTTP and gRPC. zlib is the Collector's other name for deflate. Under both
 * names of Snappy, blocks and frames are distinguished by how they begin: the Collector has sent either as "snappy".
 */
export const encodings = ["gzip", "deflate", "zstd", "zlib", "lz4", "snappy", "x-snappy-framed"] as const;
export type Encoding = (typeof encodings)[number];

/** Output that one job of the thread pool fills, where nothing better is known. */
const minChunk = 64 * 2 ** 10;

/** Telemetry seldom expands by more. */
const usualRatio = { zstd: 16, lz4: 8, snappy: 8 };

/**
 * Decompresses a body while the permit grows with the output, so that a bomb is refused before it has expanded
 * beyond `maxSize` bytes or the memory that is left. On return the permit holds the result alone.
 * @throws {TooLarge} when larger than `maxSize`. @throws {ExportError} INVALID_ARGUMENT when malformed.
 */
export async function decompress(
  encoding: Encoding,
  bytes: Buffer,
  maxSize: number,
  permit: Permit,
): Promise<Buffer> {
  const result = await expand(encoding, bytes, maxSize, permit);
  permit.hold(result.length);
  return result;
}

function expand(encoding: Encoding, bytes: Buffer, maxSize: number, permit: Permit): Promise<Buffer> {
  switch (encoding) {
    case "gzip":
      return inflate("gzip", bytes, maxSize, permit);
    case "deflate":
    case "zlib":
      return inflate("deflate", bytes, maxSize, permit);
    case "zstd":
      return byAddon("zstd", zstdHint(bytes), bytes, maxSize, permit);
    case "lz4":
      return byAddon("lz4-frames", usualRatio.lz4 * bytes.length, bytes, maxSize, permit);
    case "snappy":
    case "x-snappy-framed":
      return byAddon("snappy", usualRatio.snappy * bytes.length, bytes, maxSize, permit);
  }
}

function inflate(
  encoding: "gzip" | "deflate",
  bytes: Buffer,
  maxSize: number,
  permit: Permit,
): Promise<Buffer> {
  // A gzip member ends with its size (RFC 1952, ISIZE): a chunk that fits it means one job and no copy. It may lie, so it
  // decides nothing else; one byte more lets zlib see the end within the same chunk.
  const hint =
    encoding === "gzip" && bytes.length >= 18 ? bytes.readUInt32LE(bytes.length - 4) : 4 * bytes.length;
  const chunkSize = Math.max(minChunk, Math.min(hint, maxSize) + 1);
  const stream = encoding === "gzip" ? createGunzip({ chunkSize }) : createInflate({ chunkSize });
  // zlib holds a chunk of its own besides what is kept.
  const besides = bytes.length + chunkSize;
  return new Promise((resolve, reject) => {
    let first: Buffer | undefined;
    let all: GrowingBuffer | undefined;
    let length = 0;
    const fail = (error: unknown) => {
      stream.destroy();
      reject(error);
    };
    stream.on("data", (chunk: Buffer) => {
      length += chunk.length;
      try {
        if (length > maxSize) throw tooLarge(maxSize);
        if (first === undefined) {
          first = chunk;
          return;
        }
        if (all === undefined) {
          all = new GrowingBuffer(permit, { most: maxSize }, besides);
          all.push(first);
        }
        all.push(chunk);
      } catch (error) {
        fail(error);
      }
    });
    stream.on("error", (error) => fail(malformed(encoding, error)));
    stream.on("end", () => {
      try {
        if (all !== undefined) resolve(all.finish());
        else if (first === undefined) resolve(Buffer.alloc(0));
        // A chunk much larger than what is in it would be held with it.
        else resolve(2 * length >= chunkSize ? first : Buffer.concat([first]));
      } catch (error) {
        fail(error);
      }
    });
    try {
      permit.hold(besides);
      stream.end(bytes);
    } catch (error) {
      fail(error);
    }
  });
}

/**
 * The size of the first frame's content as its header declares it (RFC 8878, section 3.1.1.1), or a guess. It may lie, so it
 * decides nothing but how much is tried first.
 */
function zstdHint(bytes: Buffer): number {
  const guess = usualRatio.zstd * bytes.length;
  if (bytes.length < 18 || bytes.readUInt32LE(0) !== 0xfd2fb528) return guess;
  const descriptor = bytes[4]!;
  const single = (descriptor & 0x20) !== 0;
  const at = 5 + (single ? 0 : 1) + [0, 1, 2, 4][descriptor & 3]!;
  switch (descriptor >> 6) {
    case 0:
      return single ? bytes[at]! : guess;
    case 1:
      return 256 + bytes.readUInt16LE(at);
    case 2:
      return bytes.readUInt32LE(at);
    default:
      return Number(bytes.readBigUInt64LE(at));
  }
}

/**
 * On libuv's pool as well. What a body holds is known only once it has been read, so room for it is held in steps: a step
 * that proves too small costs less than the next.
 * @param hint bytes that the first step has room for.
 */
async function byAddon(
  codec: "zstd" | "lz4-frames" | "snappy",
  hint: number,
  bytes: Buffer,
  maxSize: number,
  permit: Permit,
): Promise<Buffer> {
  for (let room = Math.min(maxSize, Math.max(minChunk, hint)); ; ) {
    // The addon reads a copy of the bytes.
    permit.hold(2 * bytes.length + room);
    try {
      return await native.decompressAsync(codec, bytes, room);
    } catch (error) {
      if (!(error instanceof RangeError)) throw malformed(codec, error);
      if (room === maxSize) throw tooLarge(maxSize);
      room = Math.min(maxSize, 4 * room);
    }
  }
}

function tooLarge(maxSize: number): TooLarge {
  return new TooLarge(
    `the request is larger than receive.limits.max_request_size (${maxSize} bytes) once decompressed`,
  );
}

function malformed(encoding: string, cause: unknown): ExportError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new ExportError(Code.INVALID_ARGUMENT, `the body is not valid ${encoding}: ${reason}`, undefined, {
    cause,
  });
}
