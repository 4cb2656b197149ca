/** gRPC's framing of one message: a compressed-flag, a length of 4 bytes, the bytes; and its text in headers. */
// https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md

const prefixSize = 5;

/** What goes before a message of so many bytes. */
export function messagePrefix(length: number, compressed: boolean): Buffer {
  const prefix = Buffer.alloc(prefixSize);
  prefix[0] = compressed ? 1 : 0;
  prefix.writeUInt32BE(length, 1);
  return prefix;
}

/** The one message of an answer; undefined where there is not exactly one, and whole. */
export function readMessage(bytes: Buffer): { compressed: boolean; bytes: Buffer } | undefined {
  if (bytes.length < prefixSize || bytes.readUInt32BE(1) !== bytes.length - prefixSize) return undefined;
  return { compressed: bytes[0] === 1, bytes: bytes.subarray(prefixSize) };
}

/** `grpc-message` as text. What is not percent-encoding is left as it stands, as the specification asks. */
export function percentDecode(text: string): string {
  return text.replace(/(?:%[0-9A-Fa-f]{2})+/g, (part) =>
    Buffer.from(part.replaceAll("%", ""), "hex").toString(),
  );
}

/** `grpc-timeout`: at most 8 digits and a unit, and never nothing. */
export function timeoutHeader(milliseconds: number): string {
  const whole = Math.max(1, Math.ceil(milliseconds));
  return whole < 1e8 ? `${whole}m` : `${Math.ceil(whole / 1e3)}S`;
}
