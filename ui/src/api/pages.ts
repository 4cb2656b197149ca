/** A list of the API that is loaded page by page. */
import { type Signal, signal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";
import { request } from "./client.ts";
import type { Page } from "./types.ts";

const pageSize = "200";

export class Pages<T> {
  rows: T[] = [];
  /** Whether the first page has arrived. */
  loaded = false;
  readonly error: Signal<Error | undefined> = signal(undefined);
  /** Increases with every change. */
  readonly version = signal(0);
  readonly #path: string;
  readonly #query: URLSearchParams;
  #next: string | undefined;
  #loading: AbortController | undefined;

  constructor(path: string, query: URLSearchParams) {
    this.#path = path;
    this.#query = query;
  }

  /** Whether there are more pages. */
  get hasMore(): boolean {
    return this.#next !== undefined;
  }

  async #load(after: string | undefined): Promise<void> {
    if (this.#loading !== undefined && after !== undefined) return;
    this.#loading?.abort();
    const abort = new AbortController();
    this.#loading = abort;
    try {
      const query = new URLSearchParams(this.#query);
      query.set("limit", pageSize);
      if (after !== undefined) query.set("after", after);
      const page = await request<Page<T>>(this.#path, { query, signal: abort.signal });
      this.rows = after === undefined ? page.items : this.rows.concat(page.items);
      this.#next = page.next;
      this.loaded = true;
      this.error.value = undefined;
    } catch (error) {
      if (abort.signal.aborted) return;
      this.error.value = error as Error;
    } finally {
      if (this.#loading === abort) this.#loading = undefined;
    }
    this.version.value += 1;
  }

  reload = (): void => {
    void this.#load(undefined);
  };

  more = (): void => {
    if (this.#next !== undefined && this.error.value === undefined) void this.#load(this.#next);
  };

  /** Loads again unless that would shorten the list. */
  refresh(): void {
    if (this.rows.length <= Number(pageSize)) this.reload();
  }

  end(): void {
    this.#loading?.abort();
  }
}

/** @param everyMs how often it is loaded again while the page is visible; never if it is undefined */
export function usePages<T>(path: string, query: URLSearchParams, everyMs?: number): Pages<T> {
  const text = query.toString();
  const pages = useMemo(() => new Pages<T>(path, new URLSearchParams(text)), [path, text]);
  useEffect(() => {
    pages.reload();
    const timer =
      everyMs === undefined ? undefined : setInterval(() => document.hidden || pages.refresh(), everyMs);
    return () => {
      clearInterval(timer);
      pages.end();
    };
  }, [pages, everyMs]);
  // Reading it renders the component again with each change.
  void pages.version.value;
  return pages;
}
