/** Frames of HTTP/2 (RFC 9113) as bytes, for clients that do what no library would. */
import { grpcMethod, type Signal } from "../src/otlp/protocol.ts";

export const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

export function http2Frame(
  type: number,
  flags: number,
  stream: number,
  payload: Buffer = Buffer.alloc(0),
): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/** The preface, empty SETTINGS, and the acknowledgement of the server's. */
export const hello = Buffer.concat([preface, http2Frame(4, 0, 0), http2Frame(4, 1, 0)]);

const literal = (value: string) => Buffer.concat([Buffer.from([value.length]), Buffer.from(value)]);

/** The headers of an Export call. HPACK (RFC 7541): POST and http from the static table, then literals without indexing. */
export function callHeaders(stream: number, signal: Signal): Buffer {
  const fields = [
    Buffer.from([0x83, 0x86, 0x04]),
    literal(grpcMethod[signal]),
    Buffer.from([0x0f, 0x10]),
    literal("application/grpc"),
  ];
  return http2Frame(1, 4, stream, Buffer.concat(fields));
}
