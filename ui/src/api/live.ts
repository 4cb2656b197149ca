/**
 * Live events, read by `fetch`: one connection for all pages. It is closed while the page is hidden and continues where it
 * was, so that many open tabs do not use up the browser's connections.
 */
import { signal } from "@preact/signals";
import { logIn, reachable, urlOf } from "./client.ts";
import type { Anomaly } from "./types.ts";

export type LiveEvent =
  | { name: "anomaly" | "judgement"; data: Anomaly }
  | { name: "gap" | "dropped"; data: { reason: string } };

/** `live`: events arrive. `connecting`: they will. `paused`: the page is hidden. */
export const liveState = signal<"live" | "connecting" | "paused">("connecting");

type Listener = (events: LiveEvent[]) => void;
const listeners = new Set<Listener>();

/** Events are passed on this often at most. */
const flushMs = 250;
/** The server sends at least a comment every 15 s. */
const silentMs = 40_000;
const firstRetryMs = 1_000;
const maxRetryMs = 10_000;

let waiting: LiveEvent[] = [];
let lastId: string | undefined;
let current: AbortController | undefined;
/** Ends the wait for the next attempt to connect. */
let wake = () => {};
/** Whether anything shows events. */
let wanted = false;

function flush(): void {
  const events = waiting;
  waiting = [];
  for (const listener of listeners) listener(events);
}

function pass(event: LiveEvent): void {
  if (waiting.push(event) === 1) setTimeout(flush, flushMs);
}

/** Calls the listener with new events, in batches. @returns a function that ends it */
export function onLive(listener: Listener): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Reads one event of the stream: its lines up to the empty one. */
function readEvent(block: string): void {
  let name = "message";
  const data: string[] = [];
  for (const line of block.split("\n")) {
    const colon = line.indexOf(":");
    if (colon === 0) continue;
    const field = colon === -1 ? line : line.slice(0, colon);
    const value = colon === -1 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (field === "id") lastId = value;
    else if (field === "event") name = value;
    else if (field === "data") data.push(value);
  }
  if (data.length === 0) return;
  pass({ name, data: JSON.parse(data.join("\n")) } as LiveEvent);
}

/** Reads events until the connection ends. */
async function readFrom(abort: AbortController, onOpen: () => void): Promise<void> {
  const response = await fetch(urlOf("/v1/stream/anomalies"), {
    credentials: "same-origin",
    headers: { accept: "text/event-stream", ...(lastId !== undefined && { "last-event-id": lastId }) },
    signal: abort.signal,
  });
  if (response.status === 401) logIn();
  if (!response.ok || response.body === null) throw new Error(`live events: ${response.status}`);
  reachable.value = true;
  liveState.value = "live";
  onOpen();
  const decoder = new TextDecoderStream();
  const reader = response.body
    .pipeThrough(decoder as never)
    .getReader() as ReadableStreamDefaultReader<string>;
  let text = "";
  for (;;) {
    const silence = setTimeout(() => abort.abort(), silentMs);
    const { value, done } = await reader.read().finally(() => clearTimeout(silence));
    if (done) return;
    const blocks = (text + value).split("\n\n");
    text = blocks.pop()!;
    for (const block of blocks) readEvent(block);
  }
}

async function connect(): Promise<void> {
  let retryMs = firstRetryMs;
  while (wanted && !document.hidden) {
    const abort = new AbortController();
    current = abort;
    liveState.value = "connecting";
    try {
      await readFrom(abort, () => {
        retryMs = firstRetryMs;
      });
    } catch (error) {
      if (error instanceof TypeError) reachable.value = false;
    }
    if (!wanted || document.hidden) break;
    liveState.value = "connecting";
    await new Promise<void>((resolve) => {
      wake = resolve;
      setTimeout(resolve, retryMs);
    });
    retryMs = Math.min(2 * retryMs, maxRetryMs);
  }
  current = undefined;
  liveState.value = "paused";
}

function resume(): void {
  if (!wanted || document.hidden) current?.abort();
  else if (current === undefined) void connect();
}

document.addEventListener("visibilitychange", resume);
addEventListener("online", () => wake());
addEventListener("offline", () => {
  reachable.value = false;
  current?.abort();
});

/** Connects now and whenever the page is shown again. */
export function startLive(): void {
  wanted = true;
  resume();
}

export function stopLive(): void {
  wanted = false;
  resume();
}
