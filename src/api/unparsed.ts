/**
 * Answers what Node's parser or the WebSocket handshake rejects before there is a request, in the same way as other
 * errors.
 */
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { PendingResponses } from "../base/pending-responses.ts";
import { toJson } from "../base/printable.ts";
import { problem, problemType } from "./problem.ts";

/** Sends the problem and ends the connection. */
function end(socket: Duplex, status: number, detail: string): void {
  const body = problem(status, detail);
  const text = toJson(body);
  socket.end(
    `HTTP/1.1 ${status} ${body.title}\r\ncontent-type: ${problemType}\r\n` +
      `content-length: ${Buffer.byteLength(text)}\r\nconnection: close\r\n\r\n${text}`,
  );
}

/** Handles Node's event `clientError`. */
export function refuseUnparsed(
  { headerBytes, requestMs }: { headerBytes: number; requestMs: number },
  pending: PendingResponses,
) {
  return ({ code = "" }: Error & { code?: string }, socket: Socket): void => {
    if (!socket.writable || code === "ECONNRESET") {
      socket.destroy();
    } else if (pending.endAfterAnswers(socket)) {
      // The answers of what was well-formed leave before the connection ends.
    } else if (code === "HPE_HEADER_OVERFLOW") {
      end(socket, 431, `the headers are larger than ${headerBytes} bytes together, or too many`);
    } else if (code === "ERR_HTTP_REQUEST_TIMEOUT") {
      end(socket, 408, `the request was not whole within ${requestMs / 1_000} s`);
    } else {
      end(socket, 400, "this is no well-formed request of HTTP/1.1");
    }
  };
}

/** Handles the event `wsClientError` of ws. */
export function refuseHandshake({ message }: Error, socket: Duplex): void {
  end(socket, 400, message);
}
