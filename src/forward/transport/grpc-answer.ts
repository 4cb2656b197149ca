/** Reads the answer to a unary call as an outcome. */
import { constants, type IncomingHttpHeaders } from "node:http2";
import { truncateLine } from "../../base/truncate.ts";
import { codeName, toCode } from "../../otlp/codes.ts";
import { grpcContentType, percentDecode, readMessage } from "../../otlp/grpc.ts";
import { Code, type Signal } from "../../otlp/protocol.ts";
import { readPartialSuccess, readStatus } from "../../otlp/response-decoder.ts";
import { withRemedy } from "../remedies.ts";
import { expand } from "./compress.ts";
import { maxResponseSize, type Outcome } from "./transport.ts";

/**
 * @param headers of the response; @param trailers undefined where the headers are all there is;
 * @param body undefined if it is larger than `maxResponseSize`.
 * @returns undefined where the stream ended without a status.
 */
export function readAnswer(
  signal: Signal,
  headers: IncomingHttpHeaders,
  trailers: IncomingHttpHeaders | undefined,
  body: Buffer | undefined,
): Outcome | undefined {
  const last = trailers ?? headers;
  const status = last["grpc-status"];
  if (status === undefined) return undefined;
  if (status === "0") return success(signal, headers, body);

  const number = /^\d{1,9}$/.test(String(status)) ? Number(status) : Code.UNKNOWN;
  const said = truncateLine(percentDecode(String(last["grpc-message"] ?? ""))) || "no message";
  // What tonic says of a message above its limit; OTLP has OUT_OF_RANGE tried again, which would never end.
  const tooLarge = number === Code.OUT_OF_RANGE && /message length too large/.test(said);
  const code = tooLarge ? Code.RESOURCE_EXHAUSTED : toCode(number);
  const binary = last["grpc-status-details-bin"];
  const { retryAfterMs } =
    typeof binary === "string" ? readStatus(Buffer.from(binary, "base64"), "protobuf") : {};
  return {
    code,
    message: withRemedy(`${codeName(number)}: ${said}`, code, retryAfterMs, "grpc"),
    retryAfterMs,
  };
}

/**
 * A unary call succeeds with one message. No server sends the status alone once it has handled a request, but a proxy that has
 * read none of it may: the request is sent again rather than lost. A message that cannot be read is no reason to do so.
 */
function success(signal: Signal, headers: IncomingHttpHeaders, body: Buffer | undefined): Outcome {
  const done: Outcome = { code: Code.OK, message: "" };
  if (body?.length === 0) {
    return {
      code: Code.UNAVAILABLE,
      message: "UNAVAILABLE: the status is OK, but there is no response message",
    };
  }
  const message = body && readMessage(body);
  if (!message) return done;
  if (!message.compressed) {
    return { ...done, partialSuccess: readPartialSuccess(signal, message.bytes, "protobuf") };
  }
  try {
    const bytes = expand(String(headers["grpc-encoding"]), message.bytes, maxResponseSize);
    return { ...done, partialSuccess: bytes && readPartialSuccess(signal, bytes, "protobuf") };
  } catch {
    return done;
  }
}

/** https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md */
const httpStatuses: Readonly<Record<number, Code>> = {
  400: Code.INTERNAL,
  401: Code.UNAUTHENTICATED,
  403: Code.PERMISSION_DENIED,
  404: Code.UNIMPLEMENTED,
  429: Code.UNAVAILABLE,
  502: Code.UNAVAILABLE,
  503: Code.UNAVAILABLE,
  504: Code.UNAVAILABLE,
};

/** A response of something that does not speak gRPC, such as a proxy; undefined where it is gRPC's. */
export function notGrpc(headers: IncomingHttpHeaders): Outcome | undefined {
  const status = Number(headers[":status"]);
  const type = headers["content-type"];
  if (headers["grpc-status"] !== undefined) return undefined;
  if (status === constants.HTTP_STATUS_OK && type?.startsWith(grpcContentType)) return undefined;
  const code = httpStatuses[status] ?? Code.UNKNOWN;
  const text = `${codeName(code)}: HTTP ${status} with content-type ${truncateLine(type ?? "none", 100)}, not gRPC`;
  return { code, message: withRemedy(text, code, undefined, "grpc") };
}
