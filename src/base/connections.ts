import type { Server as HttpServer } from "node:http";
import type { Socket } from "node:net";
import { peerOf } from "./peer.ts";
import { type Owner, Shares } from "./shares.ts";

interface Open {
  owner: Owner;
  /** Number of requests in flight. */
  requests: number;
  /** The value of `performance.now()` when its last request ended. */
  idleSince: number;
}

/**
 * The number of unanswered requests that an HTTP/1.1 connection may have. Few clients pipeline; Node.js reads up to 2 MiB at a
 * time, which may hold a hundred thousand requests.
 */
export const maxPipelined = 500;

export interface ConnectionsOptions {
  /** A connection with more requests in flight is closed. */
  maxInFlight?: number;
  /** A connection keeps its place for this many milliseconds after a request. */
  settledMs?: number;
  /** Closes an idle connection to make room for a new one. */
  displace?(socket: Socket): void;
}

/**
 * The open connections of a listener, shared out among peers: a single peer gets at most seven eighths of them, two peers get
 * seven fifteenths each. If there is no room for a new connection, it takes the place of the one that has been idle for longest
 * among those of its own peer and of peers with at least as many. So peers that connect and send nothing keep nobody out.
 */
export class Connections {
  readonly #shares: Shares;
  readonly #maxInFlight: number;
  readonly #settledMs: number;
  readonly #displace: (socket: Socket) => void;
  /** Among idle connections, the one that has been idle for longest comes first. */
  readonly #open = new Map<Socket, Open>();
  #refused = 0;
  #displaced = 0;

  constructor(
    limit: number,
    {
      maxInFlight = Infinity,
      settledMs = 0,
      displace = (socket) => void socket.destroy(),
    }: ConnectionsOptions = {},
  ) {
    this.#shares = new Shares(limit);
    this.#maxInFlight = maxInFlight;
    this.#settledMs = settledMs;
    this.#displace = displace;
  }

  get size(): number {
    return this.#open.size;
  }

  /** The number of new connections that were refused since the start, and of idle ones that were closed to make room. */
  get counts(): { refused: number; displaced: number } {
    return { refused: this.#refused, displaced: this.#displaced };
  }

  /** Admits a connection. Returns false if it was closed because there is no room for it. */
  admit(socket: Socket): boolean {
    const owner = { peer: peerOf(socket.remoteAddress), tenant: undefined };
    while (this.#shares.room(owner) < 1) {
      const idle = this.#longestIdle(this.#shares.held(owner));
      if (idle === undefined) {
        this.#refused += 1;
        socket.destroy();
        return false;
      }
      this.#displaced += 1;
      this.#remove(idle);
      this.#displace(idle);
    }
    this.#open.set(socket, { owner, requests: 0, idleSince: Number.NEGATIVE_INFINITY });
    this.#shares.take(owner, 1);
    socket.once("close", () => this.#remove(socket));
    return true;
  }

  /** Marks the beginning of a request. Returns false if the connection was closed because it has too many. */
  begin(socket: Socket): boolean {
    const open = this.#open.get(socket);
    if (open === undefined) return true;
    open.requests += 1;
    if (open.requests !== this.#maxInFlight + 1) return true;
    socket.destroy();
    return false;
  }

  end(socket: Socket): void {
    const open = this.#open.get(socket);
    if (open === undefined) return;
    open.requests -= 1;
    if (open.requests > 0) return;
    open.idleSince = performance.now();
    this.#open.delete(socket);
    this.#open.set(socket, open);
  }

  /** Returns the connection that has been idle for longest, of peers with at least `held` connections. */
  #longestIdle(held: number): Socket | undefined {
    const settled = performance.now() - this.#settledMs;
    for (const [socket, { owner, requests, idleSince }] of this.#open) {
      if (requests === 0 && idleSince <= settled && this.#shares.held(owner) >= held) return socket;
    }
    return undefined;
  }

  #remove(socket: Socket): void {
    const open = this.#open.get(socket);
    if (open === undefined) return;
    this.#open.delete(socket);
    this.#shares.take(open.owner, -1);
  }
}

/** Keeps the connections of an HTTP/1.1 server within a limit. */
export function limitConnections(server: HttpServer, limit: number): Connections {
  const connections = new Connections(limit, { maxInFlight: maxPipelined });
  server.on("connection", (socket: Socket) => connections.admit(socket));
  // This listener comes before the one that answers, which need not answer on a connection that is closed here.
  server.prependListener("request", ({ socket }, response) => {
    connections.begin(socket);
    response.once("close", () => connections.end(socket));
  });
  server.on("upgrade", ({ socket }) => connections.begin(socket));
  return connections;
}
