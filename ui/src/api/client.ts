/** Requests to the API. The session is a cookie that scripts cannot read, so no key is kept here. */
import { signal } from "@preact/signals";
import { address, go, here, root } from "../shell/router.ts";
import type { Problem } from "./types.ts";

/** The API refused a request, or could not answer it. */
export class ApiError extends Error {
  override readonly name = "ApiError";
  readonly status: number;
  readonly fields: NonNullable<Problem["errors"]>;
  /** Seconds after which the request may succeed; undefined if the API does not say. */
  readonly retryAfter: number | undefined;

  constructor(problem: Problem, retryAfter: number | undefined) {
    super(problem.detail ?? problem.title);
    this.status = problem.status;
    this.fields = problem.errors ?? [];
    this.retryAfter = retryAfter;
  }
}

/** Driftlock does not answer at all. */
export class Unreachable extends Error {
  override readonly name = "Unreachable";
}

/** Whether the last request reached Driftlock. */
export const reachable = signal(true);

export interface Request {
  method?: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  query?: URLSearchParams | Record<string, string>;
  body?: unknown;
  headers?: Record<string, string>;
  signal?: AbortSignal;
  /** A status that is no error, although it would be one elsewhere. */
  also?: number;
  /** Whether the request outlives the page. */
  keepalive?: boolean;
}

export function urlOf(path: string, query?: Request["query"]): string {
  const text = query === undefined ? "" : new URLSearchParams(query).toString();
  return `${root}${path}${text && `?${text}`}`;
}

async function problemOf(response: Response): Promise<Problem> {
  const fallback = { type: "about:blank", title: response.statusText || "Error", status: response.status };
  if (!response.headers.get("content-type")?.includes("json")) return fallback;
  return response.json().catch(() => fallback) as Promise<Problem>;
}

/** Pages that show nothing of a tenant. */
const open: ReadonlySet<string> = new Set(["/login", "/verify"]);

/** Leads to the page for logging in, and back to this one afterwards. */
export function logIn(): void {
  const { path, query } = here.value;
  if (open.has(path)) return;
  const text = query.toString();
  go(address("/login", { next: path + (text && `?${text}`) }), { replace: true });
}

/**
 * Sends a request.
 * @throws {ApiError} if the API answers with a problem, {Unreachable} if it does not answer.
 */
export async function send(path: string, request: Request = {}): Promise<Response> {
  const { method = "GET", query, body, headers, signal: abort, keepalive, also } = request;
  let response: Response;
  try {
    response = await fetch(urlOf(path, query), {
      method,
      credentials: "same-origin",
      headers: { ...headers, ...(body !== undefined && { "content-type": "application/json" }) },
      ...(body !== undefined && { body: JSON.stringify(body) }),
      ...(abort && { signal: abort }),
      ...(keepalive && { keepalive }),
    });
  } catch (cause) {
    if (abort?.aborted) throw cause;
    reachable.value = false;
    throw new Unreachable("Driftlock does not answer", { cause });
  }
  reachable.value = true;
  if (response.ok || response.status === also) return response;
  const retryAfter = Number(response.headers.get("retry-after") ?? Number.NaN);
  if (response.status === 401) logIn();
  throw new ApiError(await problemOf(response), Number.isFinite(retryAfter) ? retryAfter : undefined);
}

/** Sends a request whose answer is JSON. */
export async function request<T>(path: string, options?: Request): Promise<T> {
  return (await send(path, options)).json() as Promise<T>;
}
