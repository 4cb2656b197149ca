/** A downstream at the level of HTTP/2 frames, for answers that a gRPC library would never give. */
import {
  createSecureServer,
  createServer,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
  type SecureServerOptions,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from "node:http2";
import type { AddressInfo } from "node:net";

export interface Call {
  stream: ServerHttp2Stream;
  headers: IncomingHttpHeaders;
  /** The content of all DATA frames of the request. */
  body: Promise<Buffer>;
  session: ServerHttp2Session;
}

export interface RawDownstream {
  endpoint: string;
  port: number;
  sessions: ServerHttp2Session[];
  /**
   * Calls with a message; an empty request, which checks whether the downstream is available, is answered with success.
   */
  calls: Call[];
  close(): Promise<void>;
}

const responseHeaders = { ":status": 200, "content-type": "application/grpc" };

/** Returns the message with its prefix. */
export function framed(message: Buffer, flag = 0): Buffer {
  const prefix = Buffer.from([flag, 0, 0, 0, 0]);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}

export function respond(
  { stream }: Call,
  body: Buffer = framed(Buffer.alloc(0)),
  trailers: OutgoingHttpHeaders = { "grpc-status": "0" },
  headers: OutgoingHttpHeaders = {},
): void {
  if (stream.destroyed) return;
  stream.respond({ ...responseHeaders, ...headers }, { waitForTrailers: true });
  stream.once("wantTrailers", () => stream.sendTrailers(trailers));
  stream.end(body);
}

export function trailersOnly({ stream }: Call, trailers: OutgoingHttpHeaders): void {
  stream.respond({ ...responseHeaders, ...trailers }, { endStream: true });
}

export async function startRaw(
  onCall: (call: Call, index: number) => unknown,
  options: SecureServerOptions = {},
  port = 0,
): Promise<RawDownstream> {
  const sessions: ServerHttp2Session[] = [];
  const calls: Call[] = [];
  const secure = options.cert !== undefined;
  const server = secure ? createSecureServer(options) : createServer(options);
  server.on("session", (session) => {
    sessions.push(session);
    session.on("error", () => {});
  });
  server.on("stream", (stream, headers) => {
    stream.on("error", () => {});
    const chunks: Buffer[] = [];
    let size = 0;
    const { promise, resolve } = Promise.withResolvers<Buffer>();
    const call = { stream, headers, body: promise, session: stream.session as ServerHttp2Session };
    // The first bytes show whether the request is empty.
    const onData = (chunk: Buffer) => {
      const before = size;
      size += chunk.length;
      chunks.push(chunk);
      if (before <= 5 && size > 5) onCall(call, calls.push(call) - 1);
    };
    stream.on("data", onData);
    stream.on("end", () => {
      if (size <= 5) respond(call);
      resolve(Buffer.concat(chunks));
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.on("error", reject);
    server.listen(port, "127.0.0.1", resolve);
  });
  const bound = (server.address() as AddressInfo).port;
  return {
    endpoint: `${secure ? "https" : "http"}://127.0.0.1:${bound}`,
    port: bound,
    sessions,
    calls,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const session of sessions) session.destroy();
      }),
  };
}
