/** The same events by WebSocket: a JSON text each, `{"id", "event", "data"}`. */
import type { Duplex } from "node:stream";
import type { WebSocket } from "@fastify/websocket";
import { toJson } from "../../base/printable.ts";
import type { Batch } from "./event.ts";
import type { Reader } from "./hub.ts";

/** After a reader has been told why it is dropped. */
const graceMs = 5_000;
/** Bytes that wait for a reader before it counts as slow. */
const highWater = 64 * 2 ** 10;

/** Bytes that a reader may send between two pings of ours. It has nothing to say but pongs, and some send pings. */
const maxReceived = 64 * 2 ** 10;

/** RFC 6455 and its registry: going away, try again later, policy violation. */
const closeCode = { shutdown: 1001, slow: 1013, crowded: 1013, refused: 1008 };
/** Of the frame that closes: 123 bytes of reason. */
const maxReason = 120;

const encoded = new WeakMap<Batch, string[]>();

function encode(batch: Batch): string[] {
  const known = encoded.get(batch);
  if (known !== undefined) return known;
  const texts = batch.map((event) => {
    const { name, data } = event;
    return toJson(event.name === "gap" ? { event: name, data } : { id: event.id, event: name, data });
  });
  encoded.set(batch, texts);
  return texts;
}

/** @param connection what the frames come on */
export function socketReader(
  socket: WebSocket,
  connection: Duplex,
  reader: Pick<Reader, "tenant" | "peer" | "accepts">,
): Reader {
  let answered = true;
  let received = 0;
  socket.on("pong", () => {
    answered = true;
  });
  // The library would answer each ping, whether the reader takes the answers or not.
  socket.on("ping", (data) => {
    if (socket.bufferedAmount === 0) socket.pong(data);
  });
  connection.on("data", (chunk: Buffer) => {
    received += chunk.length;
    if (received > maxReceived) socket.terminate();
  });
  return {
    ...reader,
    ready: () => socket.bufferedAmount < highWater,
    give(batch) {
      for (const text of encode(batch)) socket.send(text);
    },
    beat() {
      received = 0;
      if (!answered) {
        socket.terminate();
        return;
      }
      answered = false;
      socket.ping();
    },
    drop(ending, reason) {
      socket.close(closeCode[ending], reason.slice(0, maxReason));
      const cut = setTimeout(() => socket.terminate(), graceMs).unref();
      socket.once("close", () => clearTimeout(cut));
    },
  };
}
