/** Sends JSON to receivers of notifications. */
import { readRetryAfter } from "../otlp/response-decoder.ts";
import { DeliveryError } from "./channel.ts";

const timeoutMs = 10_000;
/** The longest delay that a receiver may ask for. */
const maxRetryAfterMs = 3_600_000;
/** How much of an answer is read, and of an error shown. */
const maxBody = 65_536;
const maxShown = 200;

/** With these, the message itself is at fault, or the receiver is gone for good. */
const permanentCodes = new Set([400, 405, 410, 413, 415, 422]);

export interface PostOptions {
  headers?: Record<string, string>;
  abort: AbortSignal;
  /** How errors name the receiver, if its address is a secret. */
  shownAs?: string;
}

/** Resolves once the receiver has accepted the body. @throws {DeliveryError} */
export async function postJson(url: string, body: string, options: PostOptions): Promise<void> {
  await send("POST", url, body, options);
}

/** Resolves to the answer, which is truncated if it is long. @throws {DeliveryError} */
export function requestJson(
  method: "GET" | "POST" | "PATCH",
  url: string,
  body: object | undefined,
  options: PostOptions,
): Promise<string> {
  return send(method, url, body && JSON.stringify(body), options);
}

async function send(
  method: string,
  url: string,
  body: string | undefined,
  { headers = {}, abort, shownAs }: PostOptions,
): Promise<string> {
  const place = shownAs ?? url;
  let response: Response;
  try {
    response = await fetch(url, {
      method,
      ...(body !== undefined && { body }),
      headers: { "content-type": "application/json", "user-agent": "driftlock", ...headers },
      // A redirect could lead the message, or a secret in a header, elsewhere.
      redirect: "manual",
      signal: AbortSignal.any([abort, AbortSignal.timeout(timeoutMs)]),
    });
  } catch (error) {
    throw new DeliveryError(`${place} does not answer: ${reasonOf(error as Error)}`);
  }
  const text = await beginning(response).catch(() => "");
  if (response.ok) return text;
  const { status } = response;
  const said = text === "" ? "" : `: ${text.slice(0, maxShown)}`;
  throw new DeliveryError(`${place} answers with status ${status}${said}`, {
    retryAfterMs: retryAfterOf(response.headers.get("retry-after"), Date.now()),
    permanent: permanentCodes.has(status) || (status >= 300 && status < 400),
  });
}

async function beginning({ body }: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body ?? []) {
    chunks.push(chunk);
    size += chunk.length;
    if (size >= maxBody) break;
  }
  return Buffer.concat(chunks).toString("utf8").trim();
}

/** Returns the milliseconds from `now` that a receiver asks for, at most an hour; undefined if it does not. */
export function retryAfterOf(header: string | null, now: number): number | undefined {
  const ms = readRetryAfter(header ?? undefined, now);
  return ms === undefined ? undefined : Math.min(ms, maxRetryAfterMs);
}

/** `fetch` puts the reason into the cause. The messages of a malformed URL contain it, which may be a secret. */
function reasonOf(error: Error & { code?: string }): string {
  if (error.name === "TimeoutError") return `no answer within ${timeoutMs / 1_000} s`;
  const { cause } = error;
  if (cause instanceof Error) {
    const { code } = cause as NodeJS.ErrnoException;
    return code === "ERR_INVALID_URL" ? "its address is no URL" : (code ?? cause.message);
  }
  return error instanceof TypeError ? "the request cannot be made" : error.message;
}
