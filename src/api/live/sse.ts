/** Server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html). */
import type { OutgoingHttpHeader, ServerResponse } from "node:http";
import { toJson } from "../../base/printable.ts";
import type { Batch } from "./event.ts";
import type { Reader } from "./hub.ts";

/** After a reader has been told why it is dropped. */
const graceMs = 5_000;
/** What browsers wait before they come back. */
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

/** @param headers of the answer, which begins now. */
export function sseReader(
  response: ServerResponse,
  headers: Readonly<Record<string, OutgoingHttpHeader | undefined>>,
  reader: Pick<Reader, "tenant" | "peer" | "accepts">,
): Reader {
  response.writeHead(200, {
    ...headers,
    "content-type": "text/event-stream",
    // Proxies would hold events back.
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
    beat() {
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
