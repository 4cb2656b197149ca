import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  constants,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
} from "node:http2";
import { truncateLine } from "../../base/truncate.ts";
import { codeName } from "../../otlp/codes.ts";
import { formatTimeout, messagePrefix } from "../../otlp/grpc.ts";
import { Code, type Signal } from "../../otlp/protocol.ts";
import { explainNetwork } from "../remedies.ts";
import { notGrpc, readAnswer } from "./grpc-answer.ts";
import type { GrpcConnection } from "./grpc-connection.ts";
import { maxResponseSize, type Outcome, unreadRequest } from "./transport.ts";

export interface Message {
  signal: Signal;
  /** Pseudo-headers and metadata. */
  headers: OutgoingHttpHeaders;
  bytes: Buffer;
  compressed: boolean;
}

/** One unary call, the connection to it included. */
export function call(
  connection: GrpcConnection,
  message: Message,
  timeoutMs: number,
  abort: AbortSignal,
): Promise<Outcome> {
  return new Promise((resolve) => {
    if (abort.aborted) return resolve(aborted);
    const deadline = performance.now() + timeoutMs;
    let session: ClientHttp2Session | undefined;
    let stream: ClientHttp2Stream | undefined;
    let settled = false;
    const settle = (outcome: Outcome) => {
      if (settled) return;
      settled = true;
      clearTimeout(timer);
      abort.removeEventListener("abort", cancel);
      // What is still to be sent or to come changes nothing.
      const sent = stream?.writableFinished === true;
      if (stream && !(sent && stream.readableEnded)) stream.close(constants.NGHTTP2_CANCEL);
      resolve({ ...outcome, bodyRead: sent });
    };
    const cancel = () => settle(aborted);
    const late = () => {
      settle(failed(Code.DEADLINE_EXCEEDED, `no answer within ${timeoutMs} ms`));
      if (session) connection.unanswered(session);
    };
    const timer = setTimeout(late, timeoutMs);
    abort.addEventListener("abort", cancel, { once: true });

    const send = (on: ClientHttp2Session) => {
      if (settled) return;
      session = on;
      const timeout = { "grpc-timeout": formatTimeout(deadline - performance.now()) };
      try {
        stream = session.request({ ...message.headers, ...timeout });
      } catch (error) {
        return settle({ ...failed(Code.UNAVAILABLE, explainNetwork(error)), unprocessed: true });
      }
      const written = Promise.withResolvers<boolean>();
      const onWritten = (error?: Error | null) => written.resolve(!error);
      receive(stream, message.signal, written.promise, settle, () => connection.answered());
      // Together, so that they leave as one write and no copy is made to join them.
      stream.cork();
      stream.write(messagePrefix(message.bytes.length, message.compressed), onWritten);
      // Node never finishes a stream whose last write is empty.
      if (message.bytes.length > 0) stream.write(message.bytes);
      stream.end();
    };
    connection
      .session()
      .then(send)
      .catch((error) => settle(failed(Code.UNAVAILABLE, explainNetwork(error))));
  });
}

/** @param written resolves to whether the whole request has been sent, once that is known. */
function receive(
  stream: ClientHttp2Stream,
  signal: Signal,
  written: Promise<boolean>,
  onOutcome: (outcome: Outcome) => void,
  onAnswer: () => void,
): void {
  let settled = false;
  const settle = (outcome: Outcome) => {
    settled = true;
    onOutcome(outcome);
  };
  let headers: IncomingHttpHeaders = {};
  let trailers: IncomingHttpHeaders | undefined;
  const chunks: Buffer[] = [];
  let size = 0;
  const answer = () =>
    readAnswer(signal, headers, trailers, size > maxResponseSize ? undefined : Buffer.concat(chunks));
  stream.on("response", (received) => {
    headers = received;
    onAnswer();
    const strange = notGrpc(received);
    if (strange) settle(strange);
  });
  stream.on("data", (chunk: Buffer) => {
    size += chunk.length;
    // The status follows the message, whose size does not change it.
    if (size > maxResponseSize) chunks.length = 0;
    else chunks.push(chunk);
  });
  stream.on("trailers", (received) => {
    trailers = received;
  });
  stream.on("end", () => {
    const said = answer();
    if (!said) return;
    if (isFinal(said, stream)) settle(said);
    else stream.once("finish", () => settle(said));
  });
  /** A stream that was reset or lost its connection may have had its answer before. */
  const end = (error?: Error) => {
    if (settled) return;
    const said = answer();
    if (said && isFinal(said, stream)) return settle(said);
    const failure = () =>
      settle({
        ...failed(Code.UNAVAILABLE, said ? unreadRequest : explainNetwork(error ?? ending(stream))),
        ...ofReset(stream),
      });
    // An answered stream ends as the last of its request leaves, before Node says that this has left.
    if (said && stream.rstCode === constants.NGHTTP2_NO_ERROR) {
      written.then((whole) => (whole ? settle(said) : failure()));
    } else failure();
  };
  stream.on("error", end);
  stream.on("close", () => end());
}

/** A refusal holds at once; a success holds once the request has been sent whole: no peer takes what it cannot have read. */
function isFinal({ code }: Outcome, stream: ClientHttp2Stream): boolean {
  return code !== Code.OK || stream.writableFinished;
}

/** Returns what the end of a stream without a status means for its request. */
function ofReset({ id, rstCode }: ClientHttp2Stream): Partial<Outcome> {
  // It never left; or the peer refused it, by itself or as one behind the last that a GOAWAY names.
  if (id === undefined || rstCode === constants.NGHTTP2_REFUSED_STREAM) return { unprocessed: true };
  // The peer works, and asks for fewer.
  return rstCode === constants.NGHTTP2_ENHANCE_YOUR_CALM ? { retryAfterMs: 0 } : {};
}

/**
 * Such a request is always sent again: if there was no status, it is the connection that failed and not the request. gRPC's own table
 * makes INTERNAL of most resets, which OTLP would have the sender drop.
 */
function ending(stream: ClientHttp2Stream): Error {
  if (stream.session === undefined || stream.session.closed)
    return new Error("Connection closed before an answer");
  return new Error(`the stream ended without a status (HTTP/2 code ${stream.rstCode})`);
}

const aborted: Outcome = { code: Code.CANCELLED, message: "aborted" };

function failed(code: Code, text: string): Outcome {
  return { code, message: `${codeName(code)}: ${truncateLine(text)}` };
}
