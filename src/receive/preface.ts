import type { Http2Server } from "node:http2";
import { createServer, type Server, type Socket } from "node:net";
import { handshakeTimeout } from "./listen.ts";

/** With which a client begins HTTP/2 (RFC 9113, section 3.4). */
const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

/** Time for a client that speaks another protocol to read what it is told. */
const readMs = 1_000;

/**
 * Listens for an HTTP/2 server without TLS. That would greet whoever connects with frames, which nobody else can read; here
 * a connection is handed over once it has begun as HTTP/2 does.
 * @param onOther called with a connection that speaks another protocol, which is to be answered with text and closed.
 */
export function listenForHttp2(server: Http2Server, onOther: (socket: Socket) => void): Server {
  return createServer({ noDelay: true }, (socket) => {
    socket.on("error", () => {});
    const silent = setTimeout(() => socket.destroy(), handshakeTimeout).unref();
    socket.once("close", () => clearTimeout(silent));
    socket.once("data", (head: Buffer) => {
      clearTimeout(silent);
      const compared = Math.min(head.length, preface.length);
      if (head.compare(preface, 0, compared, 0, compared) !== 0) {
        onOther(socket);
        return;
      }
      socket.pause();
      socket.unshift(head);
      server.emit("connection", socket);
    });
  });
}

/** Tells a client of HTTP/1.1 that it is at the wrong port. */
export function answerHttp1(socket: Socket, text: string): void {
  const body = `${text}\n`;
  socket.end(
    `HTTP/1.1 505 HTTP Version Not Supported\r\nConnection: close\r\nContent-Type: text/plain\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
  // What it still sends is read past, or the reset that follows would cost it the answer.
  socket.resume();
  const late = setTimeout(() => socket.destroy(), readMs).unref();
  socket.once("close", () => clearTimeout(late));
}
