/** A client of the HTTP API of a running Driftlock. */
import { type Io, UsageError } from "./io.ts";
import type { Options } from "./options.ts";

const timeoutMs = 30_000;

/** An error response of the API. */
export class ApiRefusal extends Error {
  /** Whether the same request may succeed later. */
  readonly temporary: boolean;
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
    this.temporary = status >= 500 || status === 429;
  }
}

export class ApiClient {
  readonly url: string;
  readonly #key: string | undefined;

  constructor(url: string, key: string | undefined) {
    this.url = url.replace(/\/$/, "");
    this.#key = key;
  }

  /** @throws {Error} that reports the error response of the API, or why it cannot be reached. */
  async json<T>(path: string, query = new URLSearchParams()): Promise<T> {
    try {
      const response = await this.#get(path, query, {}, AbortSignal.timeout(timeoutMs));
      return (await response.json()) as T;
    } catch (error) {
      if (!(error instanceof TypeError)) throw error;
      const reason =
        error.cause instanceof Error ? error.cause.message || String(error.cause) : error.message;
      throw new Error(`${this.url} cannot be reached: ${reason}; is driftlock running, and is --url right?`, {
        cause: error,
      });
    }
  }

  /**
   * @throws {TypeError} by `fetch`, if the API cannot be reached.
   * @throws {ApiRefusal} if the API responds with an error.
   */
  async stream(
    path: string,
    query: URLSearchParams,
    lastId: string | undefined,
    signal: AbortSignal,
  ): Promise<ReadableStream<Uint8Array>> {
    const headers: Record<string, string> = lastId === undefined ? {} : { "last-event-id": lastId };
    return (await this.#get(path, query, headers, signal)).body!;
  }

  async #get(
    path: string,
    query: URLSearchParams,
    headers: Record<string, string>,
    signal: AbortSignal,
  ): Promise<Response> {
    const url = `${this.url}${path}${query.size > 0 ? `?${query}` : ""}`;
    const authorization = this.#key === undefined ? {} : { authorization: `Bearer ${this.#key}` };
    const response = await fetch(url, { headers: { ...headers, ...authorization }, signal });
    if (response.ok) return response;
    const problem = (await response.json().catch(() => ({}))) as { detail?: string; title?: string };
    const reason = problem.detail ?? problem.title ?? "no reason was given";
    throw new ApiRefusal(response.status, `${this.url} responded with ${response.status}: ${reason}`);
  }
}

/** Returns the client that `--url` and `--key` describe. @throws {UsageError} if `--url` is no URL. */
export function apiClientOf({ values }: Pick<Options, "values">, { env }: Io, defaultUrl = ""): ApiClient {
  const url = values.get("url") ?? defaultUrl;
  if (!URL.canParse(url)) {
    throw new UsageError(`--url must be a URL such as http://127.0.0.1:8080, is ${JSON.stringify(url)}`);
  }
  return new ApiClient(url, values.get("key") ?? env.DRIFTLOCK_API_KEY);
}
