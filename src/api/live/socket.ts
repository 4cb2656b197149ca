/** The same events by WebSocket: a JSON text each, `{"id", "event", "data"}`. */
import type { WebSocket } from "@fastify/websocket";
import type { Batch, Reader } from "./hub.ts";

/** After a reader has been told why it is dropped. */
const graceMs = 5_000;
/** Bytes that wait for a reader before it counts as slow. */
const highWater = 64 * 2 ** 10;

/** RFC 6455 and its registry: going away, try again later, policy violation. */
const closeCode = { shutdown: 1001, slow: 1013, refused: 1008 };
/** Of the frame that closes: 123 bytes of reason. */
const maxReason = 120;

const encoded = new WeakMap<Batch, string[]>();

function encode(batch: Batch): string[] {
  const known = encoded.get(batch);
  if (known !== undefined) return known;
  const texts = batch.map((event) => {
    const { name, data } = event;
    return JSON.stringify(event.name === "gap" ? { event: name, data } : { id: event.id, event: name, data });
  });
  encoded.set(batch, texts);
  return texts;
}

export function socketReader(socket: WebSocket, reader: Pick<Reader, "tenant" | "accepts">): Reader {
  let answered = true;
  socket.on("pong", () => {
    answered = true;
  });
  return {
    ...reader,
    ready: () => socket.bufferedAmount < highWater,
    give(batch) {
      for (const text of encode(batch)) socket.send(text);
    },
    beat() {
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
