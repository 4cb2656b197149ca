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
