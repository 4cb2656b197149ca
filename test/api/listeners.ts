/** Listeners to live events, by server-sent events or WebSocket. */
import { once } from "node:events";
import { get as httpGet, type IncomingMessage } from "node:http";
import { expect } from "vitest";
import { afterwards, type Running } from "./support.ts";

export const path = "/v1/stream/anomalies";

export interface Event {
  id?: string;
  event: string;
  data: { id?: string; reason?: string; [field: string]: unknown };
}

/** A queue to which events are added and from which a test takes them. */
export class Inbox {
  readonly #events: Event[] = [];
  #wake: () => void = () => {};

  add(event: Event): void {
    this.#events.push(event);
    this.#wake();
  }

  async next(): Promise<Event> {
    while (this.#events.length === 0) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    return this.#events.shift()!;
  }

  async ids(count: number): Promise<number[]> {
    const found: number[] = [];
    while (found.length < count) found.push(Number.parseInt((await this.next()).data.id!, 16));
    return found;
  }
}

export interface Listener {
  inbox: Inbox;
  response: IncomingMessage;
  /** Comments received so far. */
  comments: string[];
  ended: Promise<unknown>;
}

export async function listen(
  running: Running,
  query = "",
  headers: Record<string, string> = {},
  at = path,
): Promise<Listener> {
  const request = httpGet(running.url(at + query), { headers, agent: false });
  afterwards(() => request.destroy());
  const [response] = (await once(request, "response")) as [IncomingMessage];
  expect(response.statusCode).toBe(200);
  expect(response.headers["content-type"]).toBe("text/event-stream");
  const inbox = new Inbox();
  const comments: string[] = [];
  let text = "";
  response.setEncoding("utf8").on("data", (chunk: string) => {
    text += chunk;
    for (;;) {
      const end = text.indexOf("\n\n");
      if (end < 0) return;
      const block = text.slice(0, end);
      text = text.slice(end + 2);
      const fields = new Map(block.split("\n").map((line) => line.split(/: ?(.*)/s, 2) as [string, string]));
      if (!fields.has("event")) comments.push(block);
      else
        inbox.add({
          event: fields.get("event")!,
          data: JSON.parse(fields.get("data")!),
          ...(fields.has("id") && { id: fields.get("id")! }),
        });
    }
  });
  response.on("error", () => {});
  return { inbox, response, comments, ended: new Promise((resolve) => response.once("close", resolve)) };
}

export interface SocketListener {
  inbox: Inbox;
  socket: WebSocket;
  closed: Promise<{ code: number; reason: string }>;
}

export async function connect(
  running: Running,
  query = "",
  options: string[] | { headers: Record<string, string> } = [],
): Promise<SocketListener> {
  const socket = new WebSocket(running.url(path + query).replace("http:", "ws:"), options as string[]);
  afterwards(() => socket.close());
  const inbox = new Inbox();
  socket.addEventListener("message", ({ data }) => inbox.add(JSON.parse(data as string)));
  const closed = new Promise<{ code: number; reason: string }>((resolve) =>
    socket.addEventListener("close", ({ code, reason }) => resolve({ code, reason })),
  );
  await new Promise<void>((resolve, reject) => {
    socket.addEventListener("open", () => resolve());
    socket.addEventListener("error", () => reject(new Error("refused")));
  });
  return { inbox, socket, closed };
}
