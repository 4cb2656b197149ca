import type { IncomingMessage, ServerResponse } from "node:http";
import { Code, ExportError } from "../otlp/protocol.ts";

/**
 * Keeps a connection open however long the answer takes: it counts as idle meanwhile. Returns a signal that is aborted if the caller
 * closes it before that. Whoever calls this limits how long the answer may take, or how many callers may wait.
 */
export function keepOpen(
  { raw: request }: { raw: IncomingMessage },
  { raw: response }: { raw: ServerResponse },
): AbortSignal {
  request.setTimeout(0);
  const gone = new AbortController();
  response.once("close", () => {
    if (response.writableFinished) return;
    gone.abort(new ExportError(Code.CANCELLED, "the caller closed the connection"));
  });
  return gone.signal;
}
