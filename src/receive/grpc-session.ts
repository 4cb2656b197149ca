import type { ServerHttp2Session } from "node:http2";
import { maxTimerMs } from "../base/deadline.ts";
import type { ReceiveConfig } from "../config/schema.ts";
import type { CloseReason } from "./hooks.ts";
import { handshakeTimeout } from "./listen.ts";

type Keepalive = ReceiveConfig["grpc"]["keepalive"];

/** Time for a peer to close a connection that is closed here. */
export const closeTimeout = 5_000;

/**
 * Ends connections that are dead, idle or old, with the meaning that gRPC gives these settings
 * (https://github.com/grpc/proposal/blob/master/A9-server-side-conn-mgt.md).
 * @param end asks the peer to go elsewhere, lets open calls finish, and cuts the connection after so many milliseconds.
 */
export function supervise(
  session: ServerHttp2Session,
  keepalive: Keepalive,
  end: (reason: CloseReason, graceMs: number) => void,
): void {
  const timers = new Set<NodeJS.Timeout>();
  const after = (ms: number, action: () => void) => {
    const timer = setTimeout(action, Math.min(ms, maxTimerMs)).unref();
    timers.add(timer);
    return timer;
  };
  session.once("close", () => {
    for (const timer of timers) clearTimeout(timer);
  });

  // A peer that connects and never speaks HTTP/2.
  const silent = after(handshakeTimeout, () => session.destroy());
  session.once("remoteSettings", () => clearTimeout(silent));

  if (keepalive.time > 0) {
    const ping = after(keepalive.time, () => {
      const lost = setTimeout(() => session.destroy(), keepalive.timeout).unref();
      timers.add(lost);
      const sent = session.ping((error) => {
        clearTimeout(lost);
        timers.delete(lost);
        if (error) session.destroy();
        else ping.refresh();
      });
      if (!sent) session.destroy();
    });
  }

  if (keepalive.max_connection_idle > 0) {
    const idle = after(keepalive.max_connection_idle, () => {
      if (open === 0) end("idle", closeTimeout);
    });
    let open = 0;
    session.on("stream", (stream) => {
      open += 1;
      stream.once("close", () => {
        open -= 1;
        if (open === 0) idle.refresh();
      });
    });
  }

  if (keepalive.max_connection_age > 0) {
    // Spread by a tenth, or clients that connected together come back together.
    const age = keepalive.max_connection_age * (0.9 + 0.2 * Math.random());
    after(age, () => end("age", keepalive.max_connection_age_grace));
  }
}
