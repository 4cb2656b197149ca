import type { Http2Server } from "node:http2";
import { createServer, type Server, type Socket } from "node:net";
import { RateLimitedLog } from "../base/rate-limited-log.ts";
import type { ReceiveHooks, Transport } from "./hooks.ts";
import { handshakeTimeout } from "./listen.ts";

/** The bytes with which a client begins HTTP/2 (RFC 9113, section 3.4). */
const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

/** The first byte of a record with which a client of TLS begins. */
const tlsHandshake = 22;

/** The time in which a client of another protocol can read the error. */
const readMs = 1_000;

/**
 * Listens for an HTTP/2 server without TLS. That would greet whoever connects with frames, which nobody else can read; here
 * a connection is handed over once it has begun as HTTP/2 does.
 * `onTls` and `onOther` close connections that begin with TLS, or with anything else.
 */
export function listenForHttp2(
  server: Http2Server,
  { onTls, onOther }: { onTls(socket: Socket): void; onOther(socket: Socket): void },
): Server {
  return createServer({ noDelay: true }, (socket) => {
    socket.on("error", () => {});
    const silent = setTimeout(() => socket.destroy(), handshakeTimeout).unref();
    socket.once("close", () => clearTimeout(silent));
    let head = Buffer.alloc(0);
    const take = (chunk: Buffer) => {
      head = Buffer.concat([head, chunk]);
      const compared = Math.min(head.length, preface.length);
      const begins = head.compare(preface, 0, compared, 0, compared) === 0;
      if (begins && compared < preface.length) return;
      clearTimeout(silent);
      socket.off("data", take);
      if (!begins) {
        if (head[0] === tlsHandshake) onTls(socket);
        else onOther(socket);
        return;
      }
      socket.pause();
      socket.unshift(head);
      server.emit("connection", socket);
    };
    socket.on("data", take);
  });
}

/** Closes connections that speak another protocol than their port takes, counts them, and logs them now and then. */
export class WrongPort {
  readonly #transport: Transport;
  readonly #takes: string;
  readonly #hooks: ReceiveHooks;
  readonly #log = new RateLimitedLog();

  /** @param takes names the protocol of the port. */
  constructor(transport: Transport, takes: string, hooks: ReceiveHooks) {
    this.#transport = transport;
    this.#takes = takes;
    this.#hooks = hooks;
  }

  /** @param came names the protocol of the connection; anything but TLS is answered with text. */
  refuse(socket: Socket, came: string, remedy: string): void {
    this.#hooks.onConnectionClosed(this.#transport, "protocol");
    this.#log.write(came, (connections) =>
      this.#hooks.log.warn(
        { peer: socket.remoteAddress, connections },
        `receive.${this.#transport}: ${came} arrived at the port for ${this.#takes}; ${remedy}`,
      ),
    );
    if (came === "TLS") socket.destroy();
    else answerHttp1(socket, `this port takes ${this.#takes}; ${remedy}`);
  }
}

function answerHttp1(socket: Socket, text: string): void {
  const body = `${text}\n`;
  socket.end(
    `HTTP/1.1 505 HTTP Version Not Supported\r\nConnection: close\r\nContent-Type: text/plain\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
  // What it still sends is read past, or the reset that follows would cost it the answer.
  socket.resume();
  const late = setTimeout(() => socket.destroy(), readMs).unref();
  socket.once("close", () => clearTimeout(late));
}
