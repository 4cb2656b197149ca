/** OTLP/HTTP over node:http: a framework between would add only its own parsing and copying of bodies. */
import {
  createServer,
  type IncomingMessage,
  type OutgoingHttpHeaders,
  type ServerOptions,
  type ServerResponse,
} from "node:http";
import { createServer as createSecureServer } from "node:https";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { maxTimerMs } from "../base/deadline.ts";
import { PendingResponses } from "../base/pending-responses.ts";
import { toJson } from "../base/printable.ts";
import type { ReceiveConfig } from "../config/schema.ts";
import { Code, ExportError, httpPath, type PartialSuccess, type Signal, signals } from "../otlp/protocol.ts";
import { encodeResponse, encodeStatus, responseJson, statusJson } from "../otlp/response-encoder.ts";
import type { Permit } from "./admission.ts";
import { BodyCut } from "./arrivals.ts";
import { Cors } from "./cors.ts";
import { decompress, type Encoding, encodings } from "./decompress.ts";
import type { ReceiveHooks } from "./hooks.ts";
import { announcedLength, readBody } from "./http-body.ts";
import type { Intake, Received } from "./intake.ts";
import { JsonReader } from "./json.ts";
import { type Endpoint, handshakeTimeout, type Listening, listen } from "./listen.ts";
import { WrongPort } from "./preface.ts";
import { ServerCertificate } from "./tls.ts";

const signalOf = new Map<string | undefined, Signal>(signals.map((signal) => [httpPath[signal], signal]));

/** For headers to arrive, and for an answer to be taken, where `request_timeout` is off. */
const answerTimeout = 30_000;

const protobuf = "application/x-protobuf";
const json = "application/json";

/** An error of HTTP itself, with a status that its code alone would not give it. */
class HttpError extends ExportError {
  readonly status: number;
  readonly headers: OutgoingHttpHeaders;

  constructor(status: number, code: Code, message: string, headers: OutgoingHttpHeaders = {}) {
    super(code, message);
    this.status = status;
    this.headers = headers;
  }
}

/** @throws {Error} that names the key of the configuration, when it cannot listen or TLS files are wrong. */
export async function startHttp(
  config: ReceiveConfig,
  intake: Intake,
  hooks: ReceiveHooks,
): Promise<Endpoint> {
  const { http, limits } = config;
  const requestTimeout = Math.min(http.request_timeout, maxTimerMs);
  const options: ServerOptions = {
    maxHeaderSize: limits.max_header_size,
    requestTimeout,
    // Without a limit for requests there is one for their headers: nobody needs long for those.
    headersTimeout: requestTimeout || answerTimeout,
    // How late a timeout may be noticed.
    connectionsCheckingInterval: Math.min(Math.max((requestTimeout || answerTimeout) / 10, 50), 1_000),
    keepAliveTimeout: Math.min(http.keep_alive_timeout, maxTimerMs),
    noDelay: true,
  };
  const certificate = http.tls && new ServerCertificate(http.tls, "receive.http.tls");
  const secure = certificate && createSecureServer({ ...options, ...certificate.context, handshakeTimeout });
  const stopReload = secure && certificate.keepFresh(secure, hooks.log);
  const server = secure ?? createServer(options);

  const jsonReader = new JsonReader();
  const cors = new Cors(http.cors);
  /** The request that each connection is in, so that it can be ended on a timeout. */
  const exchanges = new WeakMap<Duplex, Exchange>();
  const pending = new PendingResponses();
  let closing = false;
  const answerMs = requestTimeout || answerTimeout;
  const serve = async (request: IncomingMessage, response: ServerResponse) => {
    response.once("close", listening.begin(request.socket));
    // Of a connection that was just closed, such as for pipelining too many requests.
    if (request.socket.destroyed) return;
    pending.add(response);
    const exchange = new Exchange(request, response, config, jsonReader, cors);
    exchanges.set(request.socket, exchange);
    await exchange.serve(intake, () => closing);
    expectTaken(response, answerMs, () => hooks.onConnectionClosed("http", "unread"));
    if (exchanges.get(request.socket) === exchange) exchanges.delete(request.socket);
  };
  server.on("request", serve);
  // Instead of "request" where the sender waits to be told to go on; it is told when the body is wanted.
  server.on("checkContinue", serve);
  const wrongPort = new WrongPort("http", "OTLP/HTTP, which is HTTP/1.1", hooks);
  server.on("clientError", (error: NodeJS.ErrnoException, socket: Duplex) => {
    hooks.log.debug({ err: error }, "receive.http: a connection failed");
    if (error.code === "HPE_PAUSED_H2_UPGRADE") {
      const { endpoint, enabled } = config.grpc;
      const there = `OTLP/gRPC is at ${endpoint} (receive.grpc.endpoint)`;
      wrongPort.refuse(socket as Socket, "HTTP/2", enabled ? there : "receive.grpc is disabled");
      return;
    }
    const exchange = exchanges.get(socket);
    if (exchange?.isWhole === false && error.code === "ERR_HTTP_REQUEST_TIMEOUT") exchange.timeOut();
    else if (exchange?.isArriving && isMalformed(error)) exchange.refuseBody(error);
    else if (!pending.endAfterAnswers(socket as Socket)) {
      refuseConnection(error, socket as Socket, exchange !== undefined);
    }
  });
  server.on("tlsClientError", (error) =>
    hooks.log.debug({ err: error }, "receive.http.tls: a handshake failed"),
  );

  let listening: Listening;
  try {
    listening = await listen(server, "http", http.endpoint, limits.max_connections, hooks);
  } catch (error) {
    stopReload?.();
    throw error;
  }
  return {
    address: listening.address,
    async close() {
      closing = true;
      stopReload?.();
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeIdleConnections();
      // To Node, a connection that has not sent a byte is not idle.
      for (const socket of listening.sockets) if (socket.bytesRead === 0) socket.destroy();
      await closed;
      jsonReader.close();
    },
    destroy() {
      for (const socket of listening.sockets) socket.destroy();
    },
  };
}

/** Limits the time for an answer to leave. A peer that does not read would hold it, and the connection, forever. */
function expectTaken(response: ServerResponse, timeout: number, onUnread: () => void): void {
  if (response.closed) return;
  const late = setTimeout(() => {
    // The answer still waits for the answers to earlier requests on its connection.
    if (response.socket === null) {
      late.refresh();
      return;
    }
    onUnread();
    response.req.socket.destroy();
  }, timeout).unref();
  response.once("close", () => clearTimeout(late));
}

/** One request and its answer. */
class Exchange {
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #config: ReceiveConfig;
  readonly #jsonReader: JsonReader;
  readonly #cors: Cors;
  readonly #abort = new AbortController();
  readonly #contentType: string;

  constructor(
    request: IncomingMessage,
    response: ServerResponse,
    config: ReceiveConfig,
    jsonReader: JsonReader,
    cors: Cors,
  ) {
    this.#request = request;
    this.#response = response;
    this.#config = config;
    this.#jsonReader = jsonReader;
    this.#cors = cors;
    this.#contentType = mediaType(request.headers["content-type"]);
  }

  async serve(intake: Intake, closing: () => boolean): Promise<void> {
    if (this.#cors.isPreflight(this.#request) && signalOf.has(this.#path)) {
      this.#response.writeHead(204, this.#cors.preflight(this.#request)).end();
      this.#request.resume();
      return;
    }
    const { signal: abort } = this.#abort;
    // Its end is told by "close" of the response.
    this.#request.on("error", () => {});
    this.#response.once("close", () => {
      if (!this.#response.writableFinished) {
        this.#abort.abort(new ExportError(Code.CANCELLED, "the sender closed the connection"));
      }
    });
    let status = 200;
    let headers: OutgoingHttpHeaders = {};
    let body: Uint8Array | string;
    try {
      const signal = this.#route();
      const partial = await intake.take({
        signal,
        transport: "http",
        header: (name) => this.#request.headers[name],
        peer: this.#request.socket.remoteAddress,
        abort,
        receive: (permit, admitted) => this.#receive(signal, permit, admitted),
      });
      body = this.#encodeResponse(signal, partial);
    } catch (caught) {
      const error = caught as ExportError;
      status = error instanceof HttpError ? error.status : httpStatus(error);
      headers = error instanceof HttpError ? { ...error.headers } : {};
      if (error instanceof BodyCut) headers.connection = "close";
      if (error.retryAfterMs !== undefined)
        headers["retry-after"] = String(Math.max(1, Math.ceil(error.retryAfterMs / 1_000)));
      if (status === 401) headers["www-authenticate"] = "Bearer";
      body = this.#encodeStatus(error);
    }
    if (this.#response.destroyed) return;
    if (closing() || status === 408) headers.connection = "close";
    const length = Buffer.byteLength(body);
    this.#response.writeHead(status, {
      "content-type": this.#answerType,
      "content-length": length,
      ...this.#cors.headers(this.#request),
      ...headers,
    });
    this.#response.end(body);
    // What is still to come is read past, as long as request_timeout allows: a connection closed now would cost the sender
    // the answer.
    this.#request.resume();
  }

  /** Refuses a request that has not arrived in time. */
  timeOut(): void {
    if (this.#response.headersSent) {
      this.#request.socket.destroy();
      return;
    }
    const limit = `receive.http.request_timeout (${this.#config.http.request_timeout} ms)`;
    this.#abort.abort(
      new HttpError(408, Code.DEADLINE_EXCEEDED, `the request did not arrive within ${limit}`),
    );
  }

  /** Whether the request has arrived with its body. */
  get isWhole(): boolean {
    return this.#request.complete;
  }

  /** Whether the body is still to come, and nothing has been answered yet. */
  get isArriving(): boolean {
    return !this.isWhole && !this.#response.headersSent;
  }

  /** The body does not conform to HTTP/1.1, so that nothing after it can be read. */
  refuseBody({ code, message }: NodeJS.ErrnoException): void {
    const status = code === "HPE_CHUNK_EXTENSIONS_OVERFLOW" ? 413 : 400;
    const text = `the body is not well-formed: ${message}`;
    this.#abort.abort(new HttpError(status, Code.INVALID_ARGUMENT, text, { connection: "close" }));
  }

  get #path(): string | undefined {
    return this.#request.url?.split("?", 1)[0];
  }

  #route(): Signal {
    const signal = signalOf.get(this.#path);
    if (signal === undefined) {
      const known = Object.values(httpPath).join(", ");
      throw new HttpError(404, Code.UNIMPLEMENTED, `no such path; requests go to ${known}`);
    }
    if (this.#request.method !== "POST") {
      throw new HttpError(405, Code.UNIMPLEMENTED, "requests are sent with POST", { allow: "POST" });
    }
    return signal;
  }

  async #receive(signal: Signal, permit: Permit, admitted: Promise<unknown>): Promise<Received> {
    const { max_request_size: maxSize } = this.#config.limits;
    const reading = readBody(this.#request, maxSize, permit, this.#abort.signal);
    // Who may not send is told so, whatever is wrong with the body.
    reading.catch(() => {});
    await admitted;
    if (this.#contentType !== protobuf && this.#contentType !== json) {
      throw new HttpError(415, Code.INVALID_ARGUMENT, `content-type is neither ${protobuf} nor ${json}`);
    }
    const encoding = this.#encoding();
    if (this.#request.headers.expect !== undefined) {
      announcedLength(this.#request, maxSize);
      this.#response.writeContinue();
    }
    let body = await reading;
    const wireBytes = body.length;
    if (encoding !== undefined) body = await decompress(encoding, body, maxSize, permit);
    if (this.#contentType === json) body = await this.#jsonReader.read(signal, body, permit);
    return { body, wireBytes };
  }

  #encoding(): Encoding | undefined {
    const text = (this.#request.headers["content-encoding"] ?? "identity").trim().toLowerCase();
    if (text === "identity" || text === "") return undefined;
    if (encodings.includes(text as Encoding)) return text as Encoding;
    const accepted = encodings.join(", ");
    throw new HttpError(415, Code.INVALID_ARGUMENT, `content-encoding is not one of ${accepted}, identity`, {
      "accept-encoding": accepted,
    });
  }

  /** The request's own type, as OTLP requires. People who try it by hand are better served with JSON. */
  get #answerType(): string {
    return this.#contentType === protobuf ? protobuf : json;
  }

  #encodeResponse(signal: Signal, partial: PartialSuccess | undefined): Uint8Array | string {
    return this.#answerType === json
      ? toJson(responseJson(signal, partial))
      : encodeResponse(signal, partial);
  }

  #encodeStatus(error: ExportError): Uint8Array | string {
    return this.#answerType === json ? toJson(statusJson(error)) : encodeStatus(error);
  }
}

/** Returns a media type without its parameters, such as charset. */
function mediaType(contentType: string | undefined): string {
  return (contentType ?? "").split(";", 1)[0]!.trim().toLowerCase();
}

/**
 * OTLP/HTTP senders try again after 429, 502, 503 and 504, and after nothing else
 * (https://opentelemetry.io/docs/specs/otlp/#retryable-response-codes).
 */
function httpStatus(error: ExportError): number {
  if (error instanceof BodyCut && error.reason === "slow") return 408;
  if (error.retryAfterMs !== undefined) return error.code === Code.RESOURCE_EXHAUSTED ? 429 : 503;
  switch (error.code) {
    case Code.INVALID_ARGUMENT:
    case Code.FAILED_PRECONDITION:
      return 400;
    case Code.UNAUTHENTICATED:
      return 401;
    case Code.PERMISSION_DENIED:
      return 403;
    case Code.RESOURCE_EXHAUSTED:
      return 413;
    case Code.UNIMPLEMENTED:
      return 501;
    case Code.DEADLINE_EXCEEDED:
      return 504;
    case Code.CANCELLED:
    case Code.ABORTED:
    case Code.OUT_OF_RANGE:
    case Code.UNAVAILABLE:
    case Code.DATA_LOSS:
      return 503;
    default:
      return 500;
  }
}

/** Whether Node's parser refused the bytes. A connection that ended or failed is something else. */
function isMalformed({ code = "" }: NodeJS.ErrnoException): boolean {
  return code.startsWith("HPE_") && code !== "HPE_INVALID_EOF_STATE";
}

/** For a connection whose bytes are no request; `busy` with the answer to the one before, it takes no other. */
function refuseConnection(error: NodeJS.ErrnoException, socket: Socket, busy: boolean): void {
  const status = {
    HPE_HEADER_OVERFLOW: "431 Request Header Fields Too Large",
    HPE_CHUNK_EXTENSIONS_OVERFLOW: "413 Payload Too Large",
    ERR_HTTP_REQUEST_TIMEOUT: "408 Request Timeout",
  }[error.code ?? ""];
  if (socket.writable && !busy) {
    socket.write(`HTTP/1.1 ${status ?? "400 Bad Request"}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
  }
  socket.destroySoon();
  socket.setTimeout(handshakeTimeout, () => socket.destroy());
}
