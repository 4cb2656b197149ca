import type { Server as HttpServer } from "node:http";
import type { Socket } from "node:net";
import { peerOf } from "./peer.ts";
import { type Owner, Shares } from "./shares.ts";

interface Open {
  owner: Owner;
  /** In flight. */
  requests: number;
  /** When its last request ended, by `performance.now()`. */
  idleSince: number;
}

/**
 * Requests that a connection of HTTP/1.1 may have unanswered. Few clients send one before the answer to the one before has come;
 * Node reads up to 2 MiB at a time, which may be a hundred thousand of them.
 */
export const maxPipelined = 500;

export interface ConnectionsOptions {
  /** A connection with more requests in flight is closed. */
  maxInFlight?: number;
  /** A connection keeps its place for so many milliseconds after a request. */
  settledMs?: number;
  /** Closes an idle connection for a newcomer. */
  displace?(socket: Socket): void;
}

/**
 * The open connections of a listener, shared out among the peers: one alone gets seven eighths of them, two get seven
 * fifteenths each. A newcomer for which there is no room takes the place of the connection that has been idle for longest,
 * of its own peer or of one that has as many. So those who connect and send nothing keep nobody out.
 */
export class Connections {
  readonly #shares: Shares;
  readonly #maxInFlight: number;
  readonly #settledMs: number;
  readonly #displace: (socket: Socket) => void;
  /** The one that has been idle for longest comes before the others that are idle. */
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

  /** Newcomers that were closed since the start, and idle connections that were closed for a newcomer. */
  get counts(): { refused: number; displaced: number } {
    return { refused: this.#refused, displaced: this.#displaced };
  }

  /** Returns false for a connection that was closed because there is no room for it. */
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

  /** A request begins: the connection is idle no more. Returns false if it was closed now, for having too many. */
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

  /** Of peers with at least so many connections. */
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

/** Keeps the connections of a server of HTTP/1.1 within a limit. */
export function limitConnections(server: HttpServer, limit: number): Connections {
  const connections = new Connections(limit, { maxInFlight: maxPipelined });
  server.on("connection", (socket: Socket) => connections.admit(socket));
  // Before the listener that answers, which need not answer on a connection that is closed now.
  server.prependListener("request", ({ socket }, response) => {
    connections.begin(socket);
    response.once("close", () => connections.end(socket));
  });
  server.on("upgrade", ({ socket }) => connections.begin(socket));
  return connections;
}
