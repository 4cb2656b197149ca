/** What went wrong with a downstream, in words, with what an operator can do about it. */
import { truncateLine } from "../base/truncate.ts";
import { isRetryable } from "../otlp/codes.ts";
import { Code } from "../otlp/protocol.ts";

/** A refusal's text with what an operator can do about it. */
export function withRemedy(
  text: string,
  code: Code,
  retryAfterMs: number | undefined,
  protocol: "grpc" | "http",
): string {
  const advice = isRetryable(code, retryAfterMs) ? undefined : remedy(code, protocol);
  return advice ? `${text} (${advice})` : text;
}

/** Undefined where the request itself is at fault. */
function remedy(code: Code, protocol: "grpc" | "http"): string | undefined {
  switch (code) {
    case Code.UNAUTHENTICATED:
      return "check the credentials in forward.headers";
    case Code.PERMISSION_DENIED:
      return "check the rights of the credentials in forward.headers";
    case Code.UNIMPLEMENTED:
      return protocol === "http"
        ? "check the path of forward.endpoint, and that the downstream takes OTLP/HTTP with protobuf for this signal"
        : "check forward.endpoint and forward.protocol, and that the downstream takes OTLP/gRPC with forward.compression for this signal";
    case Code.RESOURCE_EXHAUSTED:
      return "raise the downstream's limit, or let the sender make smaller requests";
    case Code.FAILED_PRECONDITION:
      return protocol === "http"
        ? "set forward.endpoint to where a redirect leads; none is followed"
        : undefined;
    default:
      return undefined;
  }
}

/** First match wins. Node and OpenSSL name these faults by code or only by text. */
const networkRemedies: readonly (readonly [RegExp, string])[] = [
  [/ECONNREFUSED/, "nothing listens there: start the downstream or correct forward.endpoint"],
  [/ENOTFOUND|EAI_AGAIN/, "the host's name does not resolve: check forward.endpoint"],
  [/EHOSTUNREACH|ENETUNREACH/, "no route to the host: check forward.endpoint"],
  [
    /wrong version number|packet length too long|unsupported protocol|tlsv1 alert protocol version/i,
    "the downstream does not speak TLS there: use http:// in forward.endpoint, or its TLS port",
  ],
  [
    /altname|does not match certificate/i,
    "the certificate is for another name: correct forward.endpoint or set forward.tls.server_name_override",
  ],
  [/CERT_HAS_EXPIRED|certificate has expired/i, "renew the downstream's certificate"],
  [/CERT_NOT_YET_VALID|not yet valid/i, "check both clocks"],
  [
    /self.signed|SELF_SIGNED|UNABLE_TO_(VERIFY|GET)|unable to (verify|get)/,
    "the authority of its certificate is not trusted here: set forward.tls.ca_file",
  ],
  [
    /certificate required|bad certificate|handshake failure|unknown ca|certificate unknown/i,
    "the downstream does not take our certificate: check forward.tls.cert_file and key_file",
  ],
  [/HPE_HEADER_OVERFLOW/, "the answer has more than 16 KiB of header fields: check what answers there"],
  [
    /HPE_|Expected HTTP\/|Protocol error/,
    "no HTTP of the kind expected: check forward.protocol, and http:// against https:// in forward.endpoint",
  ],
  [
    /ECONNRESET|EPIPE|socket hang up|disconnected before secure|Connection dropped|Socket closed|Connection closed|Failed to connect/i,
    "the downstream closed the connection: where this lasts, check http:// against https:// in forward.endpoint",
  ],
];

/** A network fault in words, with the remedy where the fault has a known one. */
export function explainNetwork(error: unknown): string {
  const { code, message } = error as { code?: unknown; message?: unknown };
  const what = typeof message === "string" && message ? message : String(code ?? error);
  const known = networkRemedies.find(([pattern]) => pattern.test(`${String(code ?? "")} ${what}`));
  return known ? `${truncateLine(what)} (${known[1]})` : truncateLine(what);
}
