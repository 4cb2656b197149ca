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
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from "node:http2";
import type { Socket } from "node:net";
import { maxTimerMs } from "../base/deadline.ts";
import type { ReceiveConfig } from "../config/schema.ts";
import { parseTimeout } from "../otlp/grpc.ts";
import { Code, ExportError, grpcMethod, type Signal, signals } from "../otlp/protocol.ts";
import type { Permit } from "./admission.ts";
import { decompress, type Encoding, encodings } from "./decompress.ts";
import { answerable, GrpcAnswers } from "./grpc-answer.ts";
import { type Message, MessageReader } from "./grpc-message.ts";
import { closeTimeout, supervise } from "./grpc-session.ts";
import type { CloseReason, ReceiveHooks } from "./hooks.ts";
import type { Intake, Received } from "./intake.ts";
import { type Endpoint, handshakeTimeout, type Listening, listen, sourceOf } from "./listen.ts";
import { listenForHttp2, WrongPort } from "./preface.ts";
import { ServerCertificate } from "./tls.ts";

const signalOf = new Map<string | undefined, Signal>(signals.map((signal) => [grpcMethod[signal], signal]));

/** Flow control, of a stream and of a connection: at the protocol's 64 KiB senders would wait for us at every request. */
const streamWindow = 2 ** 20;
const connectionWindow = 4 * 2 ** 20;

/** For an answer to be taken, where `request_timeout` is off. */
const answerTimeout = 30_000;

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
  const certificate = grpc.tls && new ServerCertificate(grpc.tls, "receive.grpc.tls");
  // HTTP/1.1 is agreed to, so that its clients can be told what is wrong. A list of protocols would be overridden by Node's own.
  const alpn = {
    ALPNCallback: ({ protocols }: { protocols: string[] }) =>
      ["h2", "http/1.1"].find((protocol) => protocols.includes(protocol)),
  };
  const secure =
    certificate && createSecureServer({ ...options, ...certificate.context, ...alpn, handshakeTimeout });
  const stopReload = secure && certificate.keepFresh(secure, hooks.log);
  // To TypeScript, the union of the two has no events at all.
  const server = (secure ?? createServer(options)) as Http2Server;

  // Imported where wanted: what they stand on is large.
  const services =
    grpc.health || grpc.reflection ? new (await import("./grpc-services.ts")).GrpcServices(grpc) : undefined;
  const sessions = new Map<string, ServerHttp2Session>();
  /** A session knows its connection only until it is destroyed, and its streams may begin after that. */
  const connections = new WeakMap<ServerHttp2Session, Socket>();
  const onClosed = (reason: CloseReason) => hooks.onConnectionClosed("grpc", reason);
  const end = (session: ServerHttp2Session, reason: CloseReason, graceMs: number) => {
    if (session.closed) return;
    onClosed(reason);
    // A session that is closed lets go of its socket, which then waits for its peer to close as well.
    const socket = connections.get(session);
    session.close();
    if (socket === undefined || graceMs === 0) return;
    const late = setTimeout(() => socket.destroy(), Math.min(graceMs, maxTimerMs)).unref();
    socket.once("close", () => clearTimeout(late));
  };
  const answerMs = Math.min(grpc.request_timeout || answerTimeout, maxTimerMs);
  const answers = new GrpcAnswers(answerMs, ({ session }) => {
    if (session !== undefined) end(session as ServerHttp2Session, "unread", closeTimeout);
  });
  const wrongPort = new WrongPort("grpc", "OTLP/gRPC, which is HTTP/2", hooks);
  const onOther = (socket: Socket) => {
    const { endpoint, enabled } = config.http;
    const there = `OTLP/HTTP is at ${endpoint} (receive.http.endpoint)`;
    wrongPort.refuse(socket, "HTTP/1.1", enabled ? there : "receive.http is disabled");
  };
  const onTls = (socket: Socket) =>
    wrongPort.refuse(socket, "TLS", "set receive.grpc.tls, or send without TLS");
  const front = secure ?? listenForHttp2(server, { onOther, onTls });
  secure?.on("unknownProtocol", onOther);
  server.on("session", (session) => {
    const connection = listening.socketOf(session.socket);
    if (connection === undefined) {
      session.destroy();
      return;
    }
    connections.set(session, connection);
    const source = sourceOf(connection);
    sessions.set(source, session);
    session.once("close", () => sessions.delete(source));
    session.setLocalWindowSize(connectionWindow);
    supervise(session, grpc.keepalive, (reason, graceMs) => end(session, reason, graceMs));
    session.on("stream", (stream) => stream.once("close", listening.begin(connection)));
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
      answers.refuse(stream, new ExportError(Code.RESOURCE_EXHAUSTED, text));
      return;
    }
    if (headers[":method"] !== "POST") {
      answers.short(stream, { ":status": 405, allow: "POST" });
      return;
    }
    if (!/^application\/grpc(\+proto)?(;|$)/.test(headers["content-type"] ?? "")) {
      answers.short(stream, { ":status": 415 });
      return;
    }
    const path = headers[":path"];
    const signal = signalOf.get(path);
    if (signal !== undefined) {
      const peer = connections.get(stream.session as ServerHttp2Session)?.remoteAddress;
      void serveExport(stream, headers, signal, peer, config, intake, answers);
    } else if (services?.has(path)) services.serve(stream, headers, answers);
    else answers.refuse(stream, new ExportError(Code.UNIMPLEMENTED, `no method ${path}`));
  });

  /** Closes a connection for a newcomer. No request is lost: GOAWAY shows the client which ones were not accepted. */
  const displace = (socket: Socket) => {
    const session = sessions.get(sourceOf(socket));
    if (session === undefined) {
      socket.destroy();
      return;
    }
    session.goaway();
    setImmediate(() => session.destroy());
  };
  let listening: Listening;
  try {
    listening = await listen(front, "grpc", grpc.endpoint, limits.max_connections, hooks, displace);
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
      const closed = new Promise<void>((resolve) => front.close(() => resolve()));
      services?.close();
      for (const session of sessions.values()) session.close();
      for (const socket of listening.sockets) if (!sessions.has(sourceOf(socket))) socket.destroy();
      return closed;
    },
    destroy() {
      for (const session of sessions.values()) session.destroy(undefined, constants.NGHTTP2_CANCEL);
      for (const socket of listening.sockets) socket.destroy();
    },
  };
}

async function serveExport(
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  signal: Signal,
  peer: string | undefined,
  config: ReceiveConfig,
  intake: Intake,
  answers: GrpcAnswers,
): Promise<void> {
  const abort = new AbortController();
  const giveUp = (code: Code, message: string) => abort.abort(new ExportError(code, message));
  const gone = () => giveUp(Code.CANCELLED, "the sender cancelled the call or went away");
  stream.once("close", gone);
  // Answered at once, even while the consumer still holds the request.
  abort.signal.addEventListener("abort", () => answers.refuse(stream, abort.signal.reason), { once: true });
  let deadline: NodeJS.Timeout | undefined;
  try {
    const timeout = timeoutOf(headers);
    if (timeout !== undefined) {
      deadline = setTimeout(() => giveUp(Code.DEADLINE_EXCEEDED, "the call's deadline has passed"), timeout);
    }
    const partial = await intake.take({
      signal,
      transport: "grpc",
      header: (name) => headers[name],
      peer,
      abort: abort.signal,
      receive: (permit, admitted) => receive(stream, headers, config, permit, admitted, abort.signal, giveUp),
    });
    answers.succeed(stream, signal, partial);
  } catch (error) {
    answers.refuse(stream, error as ExportError);
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
    grpc.request_timeout > 0 ? setTimeout(late, Math.min(grpc.request_timeout, maxTimerMs)) : undefined;
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

function timeoutOf({ "grpc-timeout": text }: IncomingHttpHeaders): number | undefined {
  if (text === undefined) return undefined;
  const timeout = parseTimeout(text);
  if (timeout !== undefined) return timeout;
  throw new ExportError(Code.INVALID_ARGUMENT, "grpc-timeout is not digits and one of H M S m u n");
}
