import { type ClientHttp2Session, connect } from "node:http2";
import type { Socket } from "node:net";

/**
 * Calls not answered in time, with no answer between them, after which a connection is taken for dead. Pings would tell no
 * sooner: in silence the forwarder's own probes are calls, and grpc-go ends a connection on which it counts three pings.
 */
const maxUnanswered = 2;

/**
 * An HTTP/2 connection that is made when it is wanted, and made anew when it is lost; the name is resolved each time.
 */
export class GrpcConnection {
  readonly #origin: string;
  readonly #dial: () => Socket;
  readonly #timeoutMs: number;
  #session: ClientHttp2Session | undefined;
  #connecting: Promise<ClientHttp2Session> | undefined;
  /** The sockets of the current session, and of former ones whose calls are not done. */
  readonly #sockets = new Map<ClientHttp2Session, Socket>();
  #unanswered = 0;
  #closed = false;

  /** @param timeoutMs from the name's resolution to the peer's settings. @param dial opens a socket to `origin`. */
  constructor(origin: string, timeoutMs: number, dial: () => Socket) {
    this.#origin = origin;
    this.#timeoutMs = timeoutMs;
    this.#dial = dial;
  }

  /**
   * A session of which the peer's settings, and with them its limit of streams, are known.
   * Rejects with the network's error.
   */
  async session(): Promise<ClientHttp2Session> {
    if (this.#session && !this.#session.closed) return this.#session;
    this.#connecting ??= this.#connect();
    return this.#connecting;
  }

  /** A call on it was answered. */
  answered(): void {
    this.#unanswered = 0;
  }

  /** A call on it was not answered in time. */
  unanswered(session: ClientHttp2Session): void {
    if (session === this.#session && ++this.#unanswered === maxUnanswered) this.renew();
  }

  /** Later calls go on a new connection; those under way end where they are. */
  renew(): void {
    this.#session?.close();
    this.#session = undefined;
    this.#connecting = undefined;
  }

  /** That to which later calls go, where there is one. */
  addresses(): (string | undefined)[] {
    const socket = this.#session && this.#sockets.get(this.#session);
    return socket ? [socket.remoteAddress] : [];
  }

  close(): void {
    this.#closed = true;
    for (const socket of this.#sockets.values()) socket.destroy();
  }

  /** A `renew` meanwhile makes that of no account. */
  #connect(): Promise<ClientHttp2Session> {
    const attempt: Promise<ClientHttp2Session> = this.#handshake()
      .then((session) => {
        if (attempt === this.#connecting) {
          this.#session = session;
          this.#unanswered = 0;
        }
        return session;
      })
      .finally(() => {
        if (attempt === this.#connecting) this.#connecting = undefined;
      });
    return attempt;
  }

  #handshake(): Promise<ClientHttp2Session> {
    return new Promise((resolve, reject) => {
      if (this.#closed) return reject(new Error("Connection closed"));
      const socket = this.#dial();
      const session = connect(this.#origin, {
        createConnection: () => socket,
        settings: { enablePush: false },
        // Counts what waits to be sent, which the queue bounds already.
        maxSessionMemory: Number.MAX_SAFE_INTEGER,
      });
      endGracefully(session);
      this.#sockets.set(session, socket);
      const late = () =>
        socket.destroy(new Error(`Failed to connect: no HTTP/2 settings within ${this.#timeoutMs} ms`));
      const timer = setTimeout(late, this.#timeoutMs);
      session.once("remoteSettings", () => {
        clearTimeout(timer);
        resolve(session);
      });
      // Calls under way see their own streams fail.
      session.on("error", reject);
      session.once("goaway", () => this.#forget(session));
      session.once("close", () => this.#forget(session));
      // The session does not end by itself when TLS fails after the handshake, as it does where our certificate is refused.
      socket.on("error", (error) => {
        reject(error);
        socket.destroy();
      });
      socket.once("close", () => {
        clearTimeout(timer);
        this.#sockets.delete(session);
        this.#forget(session);
        reject(new Error("Connection closed before HTTP/2 was agreed"));
      });
    });
  }

  #forget(session: ClientHttp2Session): void {
    if (session === this.#session) this.#session = undefined;
  }
}

/**
 * Node destroys a session at once, with all that is under way, when the peer's GOAWAY has an error code. Yet the peer still
 * answers the streams up to the last that it names, so that they would be sent twice.
 */
function endGracefully(session: ClientHttp2Session): void {
  const destroy = session.destroy.bind(session);
  session.destroy = (error?: Error, code?: number) => {
    if ((error as NodeJS.ErrnoException | undefined)?.code === "ERR_HTTP2_SESSION_ERROR") session.close();
    else destroy(error, code);
  };
}
