/** A client of the HTTP API of a running Driftlock. */
import { type Io, UsageError } from "./io.ts";
import type { Options } from "./parse-options.ts";

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
    return this.#reach(async (signal) => (await (await this.#ask(path, { signal }, query)).json()) as T);
  }

  /**
   * Posts JSON and resolves to the JSON of the answer.
   * @param maxMs how long to wait for the answer, of at most 300,000 ms: `fetch` waits no longer for its head
   * @throws {Error} as `json` does.
   */
  async post<T>(path: string, body: object, maxMs = timeoutMs): Promise<T> {
    return this.#send("POST", path, body, maxMs);
  }

  /** Changes something by JSON and resolves to the JSON of the answer. @throws {Error} as `json` does. */
  async patch<T>(path: string, body: object): Promise<T> {
    return this.#send("PATCH", path, body);
  }

  async #send<T>(method: string, path: string, body: object, maxMs = timeoutMs): Promise<T> {
    const headers = { "content-type": "application/json" };
    const init = { method, headers, body: JSON.stringify(body) };
    return this.#reach(
      async (signal) => (await (await this.#ask(path, { ...init, signal })).json()) as T,
      maxMs,
    );
  }

  /** Deletes what is at a path. @throws {Error} as `json` does. */
  async delete(path: string): Promise<void> {
    await this.#reach(async (signal) => (await this.#ask(path, { method: "DELETE", signal })).body?.cancel());
  }

  /** Resolves to the bytes of an answer of a type. @throws {Error} as `json` does. */
  async bytes(path: string, accept: string): Promise<Uint8Array> {
    return this.#reach(async (signal) => {
      const response = await this.#ask(path, { headers: { accept }, signal });
      return new Uint8Array(await response.arrayBuffer());
    });
  }

  async #reach<T>(ask: (signal: AbortSignal) => Promise<T>, maxMs = timeoutMs): Promise<T> {
    try {
      return await ask(AbortSignal.timeout(maxMs));
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
    return (await this.#ask(path, { headers, signal }, query)).body!;
  }

  async #ask(path: string, init: RequestInit, query = new URLSearchParams()): Promise<Response> {
    const url = `${this.url}${path}${query.size > 0 ? `?${query}` : ""}`;
    const headers = new Headers(init.headers);
    if (this.#key !== undefined) headers.set("authorization", `Bearer ${this.#key}`);
    const response = await fetch(url, { ...init, headers });
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
