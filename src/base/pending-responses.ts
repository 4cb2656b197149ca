import type { ServerResponse } from "node:http";
import type { Socket } from "node:net";

/** The requests of HTTP/1.1 connections that are not answered yet, of which a connection may have several. */
export class PendingResponses {
  readonly #bySocket = new WeakMap<Socket, Set<ServerResponse>>();
  readonly #ending = new WeakSet<Socket>();

  add(response: ServerResponse): void {
    const { socket } = response.req;
    const pending = this.#bySocket.get(socket) ?? new Set();
    this.#bySocket.set(socket, pending.add(response));
    response.once("close", () => pending.delete(response));
  }

  /**
   * Closes a connection of which nothing more can be read, once the requests before that are answered.
   * @returns false if there are none; the connection is left as it is then.
   */
  endAfterAnswers(socket: Socket): boolean {
    if (this.#ending.has(socket)) return true;
    const last = [...(this.#bySocket.get(socket) ?? [])].findLast(isDue);
    if (last === undefined) return false;
    this.#ending.add(socket);
    if (!last.headersSent) last.setHeader("connection", "close");
    last.once("close", () => socket.destroySoon());
    return true;
  }
}

/** Whether the request has arrived whole, or has been refused before that. */
function isDue({ req, headersSent }: ServerResponse): boolean {
  return req.complete || headersSent;
}
