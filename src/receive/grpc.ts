/**
 * OTLP/gRPC over node:http2. grpc-js would serve the same calls, but it gathers and decompresses a message before anybody
 * can count its bytes, so that memory has no bound but streams times message size, and it takes nearly twice the CPU.
 */
import {
  constants,
  createSecureServer,
  createServer,
  type Http2Server,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from "node:http2";
import type { ReceiveConfig } from "../config/schema.ts";
import { Code, ExportError, grpcMethod, type PartialSuccess, type Signal, signals } from "../otlp.ts";
import type { Permit } from "./admission.ts";
import { encodeResponse, encodeStatus, statusMessage } from "./answer.ts";
import { decompress, type Encoding, encodings } from "./decompress.ts";
import { frame, type Message, MessageReader } from "./grpc-message.ts";
import { supervise } from "./grpc-session.ts";
import type { ReceiveHooks } from "./hooks.ts";
import type { Intake, Received } from "./intake.ts";
import { type Endpoint, handshakeTimeout, listen, maxTimer } from "./listen.ts";
import { loadServerContext, reloadServerContext } from "./tls.ts";

const signalOf = new Map<string | undefined, Signal>(signals.map((signal) => [grpcMethod[signal], signal]));

/** Flow control, of a stream and of a connection: at the protocol's 64 KiB senders would wait for us at every request. */
const streamWindow = 2 ** 20;
const connectionWindow = 4 * 2 ** 20;

const contentType = "application/grpc";
const acceptEncoding = { "grpc-accept-encoding": ["identity", ...encodings].join(",") };

export interface GrpcEndpoint extends Endpoint {
  /** What the health service reports, where it is on. */
  setServing(serving: boolean): void;
}

/** @throws {Error} that names the key of the configuration, when it cannot listen or TLS files are wrong. */
export async function startGrpc(
  config: ReceiveConfig,
  intake: Intake,
  hooks: ReceiveHooks,
): Promise<GrpcEndpoint> {
  const { grpc, limits } = config;
  const options = {
    settings: {
      maxConcurrentStreams: grpc.max_concurrent_streams,
      maxHeaderListSize: limits.max_header_size,
      initialWindowSize: streamWindow,
      enablePush: false,
    },
  };
  const tls = grpc.tls && (await loadServerContext(grpc.tls, "receive.grpc.tls"));
  const secure = tls && createSecureServer({ ...options, ...tls, handshakeTimeout });
  const stopReload = secure && reloadServerContext(secure, grpc.tls!, "receive.grpc.tls", tls, hooks.log);
  // To TypeScript, the union of the two has no events at all.
  const server = (secure ?? createServer(options)) as Http2Server;

  // Imported where wanted: what they stand on is large.
  const services =
    grpc.health || grpc.reflection ? new (await import("./grpc-services.ts")).GrpcServices(grpc) : undefined;
  const sessions = new Set<ServerHttp2Session>();
  server.on("session", (session) => {
    sessions.add(session);
    session.once("close", () => sessions.delete(session));
    session.setLocalWindowSize(connectionWindow);
    supervise(session, grpc.keepalive);
  });
  server.on("sessionError", (error) => hooks.log.debug({ err: error }, "receive.grpc: a connection failed"));
  server.on("tlsClientError", (error) =>
    hooks.log.debug({ err: error }, "receive.grpc.tls: a handshake failed"),
  );
  server.on("stream", (stream, headers, _flags, rawHeaders) => {
    // Its "close" tells all there is to know.
    stream.on("error", () => {});
    if (!answerable(stream)) return;
    // The peer may never acknowledge our settings, and then they do not hold.
    const headerSize = rawHeaders.reduce((sum, part) => sum + part.length + 16, 0);
    if (headerSize > limits.max_header_size) {
      const limit = `receive.limits.max_header_size (${limits.max_header_size})`;
      const text = `the headers have ${headerSize} bytes, more than ${limit}`;
      refuse(stream, new ExportError(Code.RESOURCE_EXHAUSTED, text));
      return;
    }
    if (headers[":method"] !== "POST") {
      answerShort(stream, { ":status": 405, allow: "POST" });
      return;
    }
    if (!/^application\/grpc(\+proto)?(;|$)/.test(headers["content-type"] ?? "")) {
      answerShort(stream, { ":status": 415 });
      return;
    }
    const path = headers[":path"];
    const signal = signalOf.get(path);
    if (signal !== undefined) void serveExport(stream, headers, signal, config, intake);
    else if (services?.has(path)) services.serve(stream, headers);
    else refuse(stream, new ExportError(Code.UNIMPLEMENTED, `no method ${path}`));
  });

  let listening: Awaited<ReturnType<typeof listen>>;
  try {
    listening = await listen(server, "grpc", grpc.endpoint, limits.max_connections, hooks);
  } catch (error) {
    stopReload?.();
    services?.close();
    throw error;
  }
  return {
    address: listening.address,
    setServing: (serving) => services?.setServing(serving),
    close() {
      stopReload?.();
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      services?.close();
      for (const session of sessions) session.close();
      return closed;
    },
    destroy() {
      for (const session of sessions) session.destroy(undefined, constants.NGHTTP2_CANCEL);
      for (const socket of listening.sockets) socket.destroy();
    },
  };
}

async function serveExport(
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  signal: Signal,
  config: ReceiveConfig,
  intake: Intake,
): Promise<void> {
  const abort = new AbortController();
  const giveUp = (code: Code, message: string) => abort.abort(new ExportError(code, message));
  const gone = () => giveUp(Code.CANCELLED, "the sender cancelled the call or went away");
  stream.once("close", gone);
  // Answered at once, even while the consumer still holds the request.
  abort.signal.addEventListener("abort", () => refuse(stream, abort.signal.reason), { once: true });
  let deadline: NodeJS.Timeout | undefined;
  try {
    const timeout = parseTimeout(headers["grpc-timeout"]);
    if (timeout !== undefined) {
      deadline = setTimeout(() => giveUp(Code.DEADLINE_EXCEEDED, "the call's deadline has passed"), timeout);
    }
    const partial = await intake.take({
      signal,
      transport: "grpc",
      header: (name) => headers[name],
      peer: stream.session?.socket.remoteAddress,
      abort: abort.signal,
      receive: (permit, admitted) => receive(stream, headers, config, permit, admitted, abort.signal, giveUp),
    });
    succeed(stream, signal, partial);
  } catch (error) {
    refuse(stream, error as ExportError);
  } finally {
    clearTimeout(deadline);
    stream.off("close", gone);
  }
}

async function receive(
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  { grpc, limits }: ReceiveConfig,
  permit: Permit,
  admitted: Promise<unknown>,
  abort: AbortSignal,
  giveUp: (code: Code, message: string) => void,
): Promise<Received> {
  const late = () => {
    const limit = `receive.grpc.request_timeout (${grpc.request_timeout} ms)`;
    giveUp(Code.DEADLINE_EXCEEDED, `the request did not arrive within ${limit}`);
  };
  const timer =
    grpc.request_timeout > 0 ? setTimeout(late, Math.min(grpc.request_timeout, maxTimer)) : undefined;
  let message: Message;
  try {
    message = await readMessage(stream, permit, limits.max_request_size, abort);
    await admitted;
  } finally {
    clearTimeout(timer);
  }
  const wireBytes = message.bytes.length;
  if (!message.compressed) return { body: message.bytes, wireBytes };
  const encoding = headers["grpc-encoding"];
  if (encoding === undefined || encoding === "identity") {
    throw new ExportError(
      Code.INTERNAL,
      "the message is marked as compressed, but grpc-encoding does not say how",
    );
  }
  if (!encodings.includes(encoding as Encoding)) {
    throw new ExportError(
      Code.UNIMPLEMENTED,
      `grpc-encoding is not one of identity, ${encodings.join(", ")}`,
    );
  }
  const body = await decompress(encoding as Encoding, message.bytes, limits.max_request_size, permit);
  return { body, wireBytes };
}

function readMessage(
  stream: ServerHttp2Stream,
  permit: Permit,
  maxSize: number,
  abort: AbortSignal,
): Promise<Message> {
  const reader = new MessageReader(maxSize, permit);
  return new Promise((resolve, reject) => {
    const fail = (error: unknown) => {
      stream.off("data", push);
      stream.off("end", end);
      permit.arrived();
      reject(error);
    };
    const push = (chunk: Buffer) => {
      try {
        reader.push(chunk);
      } catch (error) {
        fail(error);
      }
    };
    const end = () => {
      // A reset stream ends as well.
      if (stream.aborted) return;
      try {
        resolve(reader.finish());
        permit.arrived();
      } catch (error) {
        fail(error);
      }
    };
    if (abort.aborted) return fail(abort.reason);
    abort.addEventListener("abort", () => fail(abort.reason), { once: true });
    permit.arriving(fail);
    stream.on("data", push);
    stream.on("end", end);
  });
}

/** Milliseconds of a grpc-timeout, as far as timers go. */
function parseTimeout(text: string | string[] | undefined): number | undefined {
  if (text === undefined) return undefined;
  const match = typeof text === "string" ? /^(\d{1,8})([HMSmun])$/.exec(text) : null;
  if (match === null)
    throw new ExportError(Code.INVALID_ARGUMENT, "grpc-timeout is not digits and one of H M S m u n");
  const unit = { H: 3_600_000, M: 60_000, S: 1_000, m: 1, u: 1e-3, n: 1e-6 }[match[2]!]!;
  return Math.min(Number(match[1]) * unit, maxTimer);
}

/** A stream that its peer has reset throws when it is answered, and may come to us so. */
function answerable(stream: ServerHttp2Stream): boolean {
  return !stream.headersSent && !stream.closed && !stream.destroyed;
}

function succeed(stream: ServerHttp2Stream, signal: Signal, partial: PartialSuccess | undefined): void {
  if (!answerable(stream)) return;
  stream.respond(
    { ":status": 200, "content-type": contentType, ...acceptEncoding },
    { waitForTrailers: true },
  );
  stream.once("wantTrailers", () => {
    if (!stream.closed) stream.sendTrailers({ "grpc-status": "0" });
  });
  stream.end(frame(encodeResponse(signal, partial)));
}

function refuse(stream: ServerHttp2Stream, error: ExportError): void {
  if (!answerable(stream)) return;
  const headers: OutgoingHttpHeaders = {
    ":status": 200,
    "content-type": contentType,
    "grpc-status": String(error.code),
    "grpc-message": percentEncode(statusMessage(error)),
    ...acceptEncoding,
  };
  if (error.retryAfterMs !== undefined) {
    headers["grpc-status-details-bin"] = Buffer.from(encodeStatus(error)).toString("base64");
  }
  answerShort(stream, headers);
}

/** Answers with headers and nothing else; what is still to come of the request is not read. */
function answerShort(stream: ServerHttp2Stream, headers: OutgoingHttpHeaders): void {
  stream.respond(headers, { endStream: true });
  if (!stream.readableEnded) {
    stream.resume();
    stream.close(constants.NGHTTP2_NO_ERROR);
  }
}

/** Percent-encoding of UTF-8 as gRPC defines it for grpc-message: printable ASCII but % stays. */
function percentEncode(text: string): string {
  return text.replace(/[^\x20-\x24\x26-\x7e]+/gu, (part) =>
    [...Buffer.from(part)].map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, "0")}`).join(""),
  );
}
