/** Live events as server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html). */
import type { OutgoingHttpHeader, ServerResponse } from "node:http";
import { toJson } from "../../base/printable.ts";
import type { Batch, LiveItem } from "./event.ts";
import type { Reader } from "./hub.ts";

/** How long the connection stays open after the reader was sent the reason for its end. */
const graceMs = 5_000;
/** How long browsers wait before they reconnect. */
const retryMs = 2_000;

const encoded = new WeakMap<Batch, Buffer>();

function encode(batch: Batch): Buffer {
  const known = encoded.get(batch);
  if (known !== undefined) return known;
  const text = batch.map((event) => {
    const id = event.name === "gap" ? "" : `id: ${event.id}\n`;
    return `${id}event: ${event.name}\ndata: ${toJson(event.data)}\n\n`;
  });
  const bytes = Buffer.from(text.join(""));
  encoded.set(batch, bytes);
  return bytes;
}

/** @param headers the headers of the answer, which starts now */
export function sseReader<T extends LiveItem>(
  response: ServerResponse,
  headers: Readonly<Record<string, OutgoingHttpHeader | undefined>>,
  reader: Pick<Reader<T>, "tenant" | "peer" | "accepts">,
): Reader<T> {
  response.writeHead(200, {
    ...headers,
    "content-type": "text/event-stream",
    // Otherwise proxies would buffer events.
    "x-accel-buffering": "no",
  });
  response.write(`retry: ${retryMs}\n\n`);
  let dropped = false;
  return {
    ...reader,
    ready: () => !response.writableNeedDrain,
    give(batch) {
      if (!dropped) response.write(encode(batch));
    },
    heartbeat() {
      if (!dropped && !response.writableNeedDrain) response.write(": beat\n\n");
    },
    drop(_ending, reason) {
      if (dropped) return;
      dropped = true;
      response.end(`event: dropped\ndata: ${toJson({ reason })}\n\n`);
      const cut = setTimeout(() => response.destroy(), graceMs).unref();
      response.once("close", () => clearTimeout(cut));
    },
  };
}
