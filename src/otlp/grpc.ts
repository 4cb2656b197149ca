/**
 * What gRPC fixes of a unary call: the framing of its one message, and the text in its headers.
 * Specification: https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md
 */
import { maxTimerMs } from "../base/deadline.ts";

export const grpcContentType = "application/grpc";

/** Bytes before a message: a flag that says whether it is compressed, and its length in 4 bytes. */
export const prefixSize = 5;

/** Returns the prefix of a message of so many bytes. */
export function messagePrefix(length: number, compressed: boolean): Buffer {
  const prefix = Buffer.alloc(prefixSize);
  prefix[0] = compressed ? 1 : 0;
  prefix.writeUInt32BE(length, 1);
  return prefix;
}

/** Returns an uncompressed message with its prefix. */
export function frameMessage(message: Uint8Array): Buffer {
  const framed = Buffer.alloc(prefixSize + message.length);
  framed.writeUInt32BE(message.length, 1);
  framed.set(message, prefixSize);
  return framed;
}

/** Returns the one message of a response; undefined if there is not exactly one whole message. */
export function readMessage(bytes: Buffer): { compressed: boolean; bytes: Buffer } | undefined {
  if (bytes.length < prefixSize || bytes.readUInt32BE(1) !== bytes.length - prefixSize) return undefined;
  return { compressed: bytes[0] === 1, bytes: bytes.subarray(prefixSize) };
}

/** Encodes text for `grpc-message`: the percent-encoding of UTF-8, in which printable ASCII other than % stays. */
export function percentEncode(text: string): string {
  return text.replace(/[^\x20-\x24\x26-\x7e]+/gu, (part) =>
    [...Buffer.from(part)].map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, "0")}`).join(""),
  );
}

/** Decodes `grpc-message`. What is not percent-encoding is left as it stands, as the specification asks. */
export function percentDecode(text: string): string {
  return text.replace(/(?:%[0-9A-Fa-f]{2})+/g, (part) =>
    Buffer.from(part.replaceAll("%", ""), "hex").toString(),
  );
}

/** Formats `grpc-timeout`: at most 8 digits and a unit, and never 0. */
export function formatTimeout(milliseconds: number): string {
  const whole = Math.max(1, Math.ceil(milliseconds));
  return whole < 1e8 ? `${whole}m` : `${Math.ceil(whole / 1e3)}S`;
}

const timeoutUnits: Readonly<Record<string, number>> = { H: 36e5, M: 6e4, S: 1e3, m: 1, u: 1e-3, n: 1e-6 };

/** Returns the milliseconds of a `grpc-timeout`, as far as timers go; undefined if it is malformed. */
export function parseTimeout(text: string | string[]): number | undefined {
  const match = typeof text === "string" ? /^(\d{1,8})([HMSmun])$/.exec(text) : null;
  return match ? Math.min(Number(match[1]) * timeoutUnits[match[2]!]!, maxTimerMs) : undefined;
}
