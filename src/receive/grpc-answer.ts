import { constants, type OutgoingHttpHeaders, type ServerHttp2Stream } from "node:http2";
import { frameMessage, grpcContentType, percentEncode } from "../otlp/grpc.ts";
import type { ExportError, PartialSuccess, Signal } from "../otlp/protocol.ts";
import { encodeResponse, encodeStatus, statusMessage } from "../otlp/response-encoder.ts";
import { encodings } from "./decompress.ts";

const acceptEncoding = { "grpc-accept-encoding": ["identity", ...encodings].join(",") };

/** Answers calls, and makes sure that the answers leave. */
export class GrpcAnswers {
  readonly #timeout: number;
  readonly #onUnread: (stream: ServerHttp2Stream) => void;

  /**
   * @param timeout milliseconds within which a peer has to take an answer.
   * @param onUnread called for a stream whose answer was not taken, before it is reset.
   */
  constructor(timeout: number, onUnread: (stream: ServerHttp2Stream) => void) {
    this.#timeout = timeout;
    this.#onUnread = onUnread;
  }

  succeed(stream: ServerHttp2Stream, signal: Signal, partial: PartialSuccess | undefined): void {
    if (!answerable(stream)) return;
    stream.respond(
      { ":status": 200, "content-type": grpcContentType, ...acceptEncoding },
      { waitForTrailers: true },
    );
    stream.once("wantTrailers", () => {
      if (!stream.closed) stream.sendTrailers({ "grpc-status": "0" });
    });
    stream.end(frameMessage(encodeResponse(signal, partial)));
    this.expectTaken(stream);
  }

  refuse(stream: ServerHttp2Stream, error: ExportError): void {
    if (!answerable(stream)) return;
    const headers: OutgoingHttpHeaders = {
      ":status": 200,
      "content-type": grpcContentType,
      "grpc-status": String(error.code),
      "grpc-message": percentEncode(statusMessage(error)),
      ...acceptEncoding,
    };
    if (error.retryAfterMs !== undefined) {
      headers["grpc-status-details-bin"] = Buffer.from(encodeStatus(error)).toString("base64");
    }
    this.short(stream, headers);
  }

  /** Answers with headers and nothing else; what is still to come of the request is not read. */
  short(stream: ServerHttp2Stream, headers: OutgoingHttpHeaders): void {
    stream.respond(headers, { endStream: true });
    if (!stream.readableEnded) {
      stream.resume();
      stream.close(constants.NGHTTP2_NO_ERROR);
    }
    this.expectTaken(stream);
  }

  /** Limits the time for an answer to leave. A peer that opens no window, or does not read at all, would hold it forever. */
  expectTaken(stream: ServerHttp2Stream): void {
    const late = setTimeout(() => {
      this.#onUnread(stream);
      stream.close(constants.NGHTTP2_CANCEL);
    }, this.#timeout).unref();
    stream.once("close", () => clearTimeout(late));
  }
}

/** A stream that its peer has reset throws when it is answered, and may come to us so. */
export function answerable(stream: ServerHttp2Stream): boolean {
  return !stream.headersSent && !stream.closed && !stream.destroyed;
}
