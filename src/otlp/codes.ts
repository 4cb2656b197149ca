import { Code } from "./protocol.ts";

const codes: ReadonlySet<number> = new Set(Object.values(Code));
const names: Readonly<Record<number, string>> = {
  ...Object.fromEntries(Object.entries(Code).map(([name, code]) => [code, name])),
  5: "NOT_FOUND",
  6: "ALREADY_EXISTS",
};

/** Of any status on the wire, also of those that this process does not give itself. */
export function codeName(code: number): string {
  return names[code] ?? `status ${code}`;
}

/** A status from the wire as one that this process gives. */
export function toCode(status: number): Code {
  return codes.has(status) ? (status as Code) : Code.UNKNOWN;
}

const retryableCodes: ReadonlySet<Code> = new Set([
  Code.CANCELLED,
  Code.DEADLINE_EXCEEDED,
  Code.ABORTED,
  Code.OUT_OF_RANGE,
  Code.UNAVAILABLE,
  Code.DATA_LOSS,
]);

/** OTLP 1.11.0, Failures: the table of codes, and RESOURCE_EXHAUSTED where the server says that it can recover. */
export function isRetryable(code: Code, retryAfterMs: number | undefined): boolean {
  return retryableCodes.has(code) || (code === Code.RESOURCE_EXHAUSTED && retryAfterMs !== undefined);
}

/** An answer of a downstream that works, even where it does not like this one request. */
export function isGood({ code, retryAfterMs }: { code: Code; retryAfterMs?: number | undefined }): boolean {
  if (code === Code.OK || code === Code.INVALID_ARGUMENT) return true;
  return code === Code.RESOURCE_EXHAUSTED && retryAfterMs === undefined;
}

/** OTLP 1.11.0, Retryable Response Codes of OTLP/HTTP; no other 4xx or 5xx may be sent again. */
export function isRetryableHttp(status: number): boolean {
  return status === 429 || status === 502 || status === 503 || status === 504;
}

const httpCodes: Readonly<Record<number, Code>> = {
  400: Code.INVALID_ARGUMENT,
  401: Code.UNAUTHENTICATED,
  403: Code.PERMISSION_DENIED,
  404: Code.UNIMPLEMENTED,
  405: Code.UNIMPLEMENTED,
  407: Code.UNAUTHENTICATED,
  413: Code.RESOURCE_EXHAUSTED,
  415: Code.UNIMPLEMENTED,
  422: Code.INVALID_ARGUMENT,
  501: Code.UNIMPLEMENTED,
};

/** The gRPC code that tells what an HTTP status means; retryable exactly where the status is. */
export function httpCode(status: number): Code {
  if (status >= 200 && status < 300) return Code.OK;
  if (isRetryableHttp(status)) return Code.UNAVAILABLE;
  if (status >= 300 && status < 400) return Code.FAILED_PRECONDITION;
  return httpCodes[status] ?? (status >= 500 ? Code.INTERNAL : Code.UNKNOWN);
}

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
  return known ? `${clip(what)} (${known[1]})` : clip(what);
}

/** Text from the network for logs and answers: bounded, on one line. */
export function clip(text: string, maxLength = 1_000): string {
  const line = text
    .slice(0, maxLength + 1)
    .replace(/\p{Cc}+/gu, " ")
    .trim();
  return line.length > maxLength ? `${line.slice(0, maxLength)}…` : line;
}
