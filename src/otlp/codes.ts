import { Code } from "./protocol.ts";

const codes: ReadonlySet<number> = new Set(Object.values(Code));
const names: Readonly<Record<number, string>> = {
  ...Object.fromEntries(Object.entries(Code).map(([name, code]) => [code, name])),
  5: "NOT_FOUND",
  6: "ALREADY_EXISTS",
};

/** Returns the name of any status on the wire, including those that this process never sends. */
export function codeName(code: number): string {
  return names[code] ?? `status ${code}`;
}

/** Maps a status from the wire to one that this process sends. */
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

/**
 * Whether a request may be sent again, by the table of codes in OTLP 1.11.0, Failures: RESOURCE_EXHAUSTED only if the server says
 * that it can recover.
 */
export function isRetryable(code: Code, retryAfterMs: number | undefined): boolean {
  return retryableCodes.has(code) || (code === Code.RESOURCE_EXHAUSTED && retryAfterMs !== undefined);
}

/** Whether a request may be sent again, by OTLP 1.11.0, Retryable Response Codes; no other 4xx or 5xx is retryable. */
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

/** Returns the gRPC code with the meaning of an HTTP status. It is retryable exactly if the status is. */
export function httpCode(status: number): Code {
  if (status >= 200 && status < 300) return Code.OK;
  if (isRetryableHttp(status)) return Code.UNAVAILABLE;
  if (status >= 300 && status < 400) return Code.FAILED_PRECONDITION;
  return httpCodes[status] ?? (status >= 500 ? Code.INTERNAL : Code.UNKNOWN);
}
