/**
 * Live events, read by `fetch`: one connection for all that listen to the same. It is closed while nothing listens and while
 * the page is hidden, and continues where it was, so that many open tabs do not use up the browser's connections.
 */
import { computed, type Signal, signal } from "@preact/signals";
import { logIn, reachable, urlOf } from "./client.ts";
import type { Anomaly, Incident } from "./types.ts";

export type LiveEvent<T> =
  | { name: "anomaly" | "incident" | "judgement"; data: T }
  | { name: "gap"; data: { reason: string } }
  | { name: "dropped"; data: { reason: string } };

type Listener<T> = (events: LiveEvent<T>[]) => void;

/** Events are passed on this often at most. */
const flushMs = 250;
/** The server sends at least a comment every 15 s. */
const silentMs = 40_000;
const firstRetryMs = 1_000;
const maxRetryMs = 10_000;

class Feed<T> {
  /** `live`: events arrive. `connecting`: they will. `idle`: nothing listens, or the page is hidden. */
  readonly state: Signal<"live" | "connecting" | "idle"> = signal("idle");
  readonly #path: string;
  readonly #listeners = new Set<Listener<T>>();
  #waiting: LiveEvent<T>[] = [];
  #lastId: string | undefined;
  #current: AbortController | undefined;
  /** Ends the wait for the next attempt to connect. */
  #wake = () => {};

  constructor(path: string) {
    this.#path = path;
    const resume = () => this.#resume();
    document.addEventListener("visibilitychange", resume);
    addEventListener("online", () => this.#wake());
    addEventListener("offline", () => {
      reachable.value = false;
      this.#current?.abort();
    });
  }

  /** Calls the listener with new events, in batches. @returns a function that ends it */
  listen(listener: Listener<T>): () => void {
    this.#listeners.add(listener);
    this.#resume();
    return () => {
      this.#listeners.delete(listener);
      // Another page may listen in a moment.
      setTimeout(() => this.#resume(), 1_000);
    };
  }

  get #wanted(): boolean {
    return this.#listeners.size > 0 && !document.hidden;
  }

  #resume(): void {
    if (!this.#wanted) this.#current?.abort();
    else if (this.#current === undefined) void this.#connect();
  }

  async #connect(): Promise<void> {
    let retryMs = firstRetryMs;
    while (this.#wanted) {
      const abort = new AbortController();
      this.#current = abort;
      this.state.value = "connecting";
      try {
        await this.#read(abort, () => {
          retryMs = firstRetryMs;
        });
      } catch (error) {
        if (error instanceof TypeError) reachable.value = false;
      }
      if (!this.#wanted) break;
      this.state.value = "connecting";
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        setTimeout(resolve, retryMs);
      });
      retryMs = Math.min(2 * retryMs, maxRetryMs);
    }
    this.#current = undefined;
    this.state.value = "idle";
  }

  /** Reads events until the connection ends. */
  async #read(abort: AbortController, onOpen: () => void): Promise<void> {
    const last = this.#lastId;
    const response = await fetch(urlOf(this.#path), {
      credentials: "same-origin",
      headers: { accept: "text/event-stream", ...(last !== undefined && { "last-event-id": last }) },
      signal: abort.signal,
    });
    if (response.status === 401) logIn();
    if (!response.ok || response.body === null) throw new Error(`${this.#path}: ${response.status}`);
    reachable.value = true;
    this.state.value = "live";
    onOpen();
    const decoded = response.body.pipeThrough(new TextDecoderStream() as never) as ReadableStream<string>;
    const reader = decoded.getReader();
    let text = "";
    for (;;) {
      const silence = setTimeout(() => abort.abort(), silentMs);
      const { value, done } = await reader.read().finally(() => clearTimeout(silence));
      if (done) return;
      const blocks = (text + value).split("\n\n");
      text = blocks.pop()!;
      for (const block of blocks) this.#take(block);
    }
  }

  /** Takes one event of the stream: its lines up to the empty one. */
  #take(block: string): void {
    let name = "message";
    const data: string[] = [];
    for (const line of block.split("\n")) {
      const colon = line.indexOf(":");
      if (colon === 0) continue;
      const field = colon === -1 ? line : line.slice(0, colon);
      const value = colon === -1 ? "" : line.slice(colon + 1).replace(/^ /, "");
      if (field === "id") this.#lastId = value;
      else if (field === "event") name = value;
      else if (field === "data") data.push(value);
    }
    if (data.length === 0) return;
    const event = { name, data: JSON.parse(data.join("\n")) } as LiveEvent<T>;
    if (this.#waiting.push(event) === 1) setTimeout(() => this.#flush(), flushMs);
  }

  #flush(): void {
    const events = this.#waiting;
    this.#waiting = [];
    for (const listener of this.#listeners) listener(events);
  }
}

export const anomalyFeed = new Feed<Anomaly>("/v1/stream/anomalies");
export const incidentFeed = new Feed<Incident>("/v1/stream/incidents");

/** `paused`: the page is hidden. */
export const liveState = computed(() => {
  const states = [anomalyFeed.state.value, incidentFeed.state.value].filter((state) => state !== "idle");
  if (states.length === 0) return "paused";
  return states.every((state) => state === "live") ? "live" : "connecting";
});
