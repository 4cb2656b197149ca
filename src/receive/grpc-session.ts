import type { ServerHttp2Session } from "node:http2";
import type { ReceiveConfig } from "../config/schema.ts";
import { handshakeTimeout, maxTimer } from "./listen.ts";

type Keepalive = ReceiveConfig["grpc"]["keepalive"];

/**
 * Ends connections that are dead, idle or old, with the meaning that gRPC gives these settings
 * (https://github.com/grpc/proposal/blob/master/A9-server-side-conn-mgt.md).
 */
export function supervise(session: ServerHttp2Session, keepalive: Keepalive): void {
  const timers = new Set<NodeJS.Timeout>();
  const after = (ms: number, action: () => void) => {
    const timer = setTimeout(action, Math.min(ms, maxTimer)).unref();
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

  if (keepalive.max_connection_idle !== undefined) {
    const idle = after(keepalive.max_connection_idle, () => {
      if (open === 0) session.close();
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

  if (keepalive.max_connection_age !== undefined) {
    // Spread by a tenth, or clients that connected together come back together.
    const age = keepalive.max_connection_age * (0.9 + 0.2 * Math.random());
    after(age, () => {
      session.close();
      if (keepalive.max_connection_age_grace !== undefined) {
        after(keepalive.max_connection_age_grace, () => session.destroy());
      }
    });
  }
}
