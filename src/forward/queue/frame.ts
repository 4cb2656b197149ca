/** How a request stands in a segment: 16 bytes of header, then its body. */
import { crc32 } from "node:zlib";
import { type Signal, signals } from "../../otlp/protocol.ts";

/**
 * Little-endian: magic (4), CRC-32 of all that follows it (4), length of the body (4), signal (1), zero (3). The magic
 * is where reading goes on after damage; CRC-32 and not CRC-32C, since Node computes it.
 */
export const headerSize = 16;
const magic = Buffer.from("DLQ1");

export function frameHeader(signal: Signal, body: Buffer): Buffer {
  const header = Buffer.alloc(headerSize);
  header.set(magic);
  header.writeUInt32LE(body.length, 8);
  header[12] = signals.indexOf(signal);
  header.writeUInt32LE(checksum(header, body), 4);
  return header;
}

/**
 * What a frame that starts with `header` takes, header included; undefined where none starts there.
 * @param header at least `headerSize` bytes.
 */
export function frameSize(header: Buffer): number | undefined {
  return magic.equals(header.subarray(0, 4)) ? headerSize + header.readUInt32LE(8) : undefined;
}

/** @param frame of its very size. @returns undefined where it is damaged. */
export function readFrame(frame: Buffer): { signal: Signal; body: Buffer } | undefined {
  const body = frame.subarray(headerSize);
  const signal = signals[frame[12]!];
  if (signal === undefined || checksum(frame, body) !== frame.readUInt32LE(4)) return undefined;
  return { signal, body };
}

/** Returns where the next frame may start, or `bytes.length` if there is no sign of one. */
export function findFrame(bytes: Buffer, from: number): number {
  const found = bytes.indexOf(magic, from);
  return found === -1 ? bytes.length : found;
}

function checksum(header: Buffer, body: Buffer): number {
  return crc32(body, crc32(header.subarray(8, headerSize)));
}
