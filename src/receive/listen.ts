import type { AddressInfo, Server, Socket } from "node:net";
import { listenError, parseListen } from "../base/address.ts";
import { Connections, maxPipelined } from "../base/connections.ts";
import type { ReceiveHooks, Transport } from "./hooks.ts";

/** A server that takes Export requests. */
export interface Endpoint {
  /** host:port, with the port that was bound. */
  address: string;
  /** Accepts no more connections or requests. Resolves when those in progress have been answered. */
  close(): Promise<void>;
  /** Closes all connections at once. */
  destroy(): void;
}

/** From the TCP connection until TLS, and then HTTP/2, are agreed. */
export const handshakeTimeout = 10_000;

export interface Listening {
  address: string;
  /** Open connections, those without a TLS handshake as well. */
  sockets: ReadonlySet<Socket>;
  /** Returns the accepted connection below one of TLS or HTTP/2; undefined once it is closed. */
  socketOf(connection: Socket): Socket | undefined;
  /** A request begins on the connection, which is not idle until the function that is returned is called. */
  begin(connection: Socket): () => void;
}

/** A connection that has just been used is not closed for a newcomer: its sender would lose a request that is on its way. */
const settledMs = 1_000;

/** @throws {Error} that names the key, the address and the remedy. */
export async function listen(
  server: Server,
  transport: Transport,
  endpoint: string,
  maxConnections: number,
  hooks: ReceiveHooks,
  displace: (socket: Socket) => void = (socket) => void socket.destroy(),
): Promise<Listening> {
  const key = `receive.${transport}`;
  const sockets = new Set<Socket>();
  const bySource = new Map<string, Socket>();
  const connections = new Connections(maxConnections, {
    // HTTP/2 has max_concurrent_streams.
    ...(transport === "http" && { maxInFlight: maxPipelined }),
    settledMs,
    displace(socket) {
      hooks.onConnectionClosed(transport, "displaced");
      displace(socket);
    },
  });
  server.on("connection", (socket: Socket) => {
    if (!connections.admit(socket)) {
      hooks.onConnectionRefused(transport);
      return;
    }
    const source = sourceOf(socket);
    sockets.add(socket);
    bySource.set(source, socket);
    socket.once("close", () => {
      sockets.delete(socket);
      if (bySource.get(source) === socket) bySource.delete(source);
    });
  });

  const socketOf = (connection: Socket) =>
    sockets.has(connection) ? connection : bySource.get(sourceOf(connection));

  await new Promise<void>((resolve, reject) => {
    const refuse = (error: NodeJS.ErrnoException) => {
      reject(listenError(`${key}.endpoint`, endpoint, error));
    };
    server.once("error", refuse);
    server.listen(parseListen(endpoint), () => {
      server.off("error", refuse);
      server.on("error", (error) => hooks.log.error({ err: error }, `${key}: the listening socket failed`));
      resolve();
    });
  });
  const bound = server.address() as AddressInfo;
  return {
    address: `${bound.family === "IPv6" ? `[${bound.address}]` : bound.address}:${bound.port}`,
    sockets,
    socketOf,
    begin(connection) {
      const socket = socketOf(connection);
      if (socket === undefined) return () => {};
      if (!connections.begin(socket)) hooks.onConnectionClosed(transport, "pipelined");
      return () => connections.end(socket);
    },
  };
}

/** The other end of a connection, the same for the protocols on top of it. */
export function sourceOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}
