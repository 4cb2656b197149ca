/** Live events over WebSocket, each as a JSON text `{"id", "event", "data"}`. */
import type { Duplex } from "node:stream";
import type { WebSocket } from "@fastify/websocket";
import { toJson } from "../../base/printable.ts";
import type { Batch, LiveItem } from "./event.ts";
import type { Reader } from "./hub.ts";

/** How long the connection stays open after the reader was sent the reason for its end. */
const graceMs = 5_000;
/** The bytes that may wait for a reader before it counts as slow. */
const highWater = 64 * 2 ** 10;

/** The bytes that a reader may send between two of our pings. It needs to send only pongs, and some send pings. */
const maxReceived = 64 * 2 ** 10;

/** Close codes of RFC 6455 and its registry: going away, try again later, policy violation. */
const closeCode = { shutdown: 1001, slow: 1013, crowded: 1013, refused: 1008 };
/** Maximum length of the reason in a close frame, which has room for 123 bytes. */
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

/** @param connection the connection that carries the frames */
export function socketReader<T extends LiveItem>(
  socket: WebSocket,
  connection: Duplex,
  reader: Pick<Reader<T>, "tenant" | "peer" | "accepts">,
): Reader<T> {
  let answered = true;
  let received = 0;
  socket.on("pong", () => {
    answered = true;
  });
  // The library would answer each ping, even if the reader does not read the answers.
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
    heartbeat() {
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
