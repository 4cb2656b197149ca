/** Records the events of receivers and forwarder as metrics. */
import type { DurableHooks } from "../forward/index.ts";
import type { ReceiveHooks } from "../receive/index.ts";
import type { Logger } from "./log.ts";
import { codeLabel, type Metrics } from "./metrics.ts";

export function receiveHooks({ receiver }: Metrics, log: Logger): ReceiveHooks {
  return {
    log,
    onRequest({ signal, transport, code, bytes, wireBytes, seconds }) {
      receiver.requests.inc({ signal, transport, code: codeLabel(code) });
      receiver.bytes.inc({ signal, transport }, bytes);
      receiver.wireBytes.inc({ signal, transport }, wireBytes);
      receiver.seconds.observe({ signal, transport }, seconds);
    },
    onRequestCut(reason) {
      receiver.abortedRequests.inc({ reason });
    },
    onConnectionRefused(transport) {
      receiver.refusedConnections.inc({ transport });
    },
    onConnectionClosed(transport, reason) {
      receiver.closedConnections.inc({ transport, reason });
    },
  };
}

export function forwardHooks({ forward }: Metrics, log: Logger): DurableHooks {
  return {
    log,
    onAttempt({ signal, code }) {
      forward.attempts.inc({ signal, code: codeLabel(code) });
    },
    onDelivered({ signal, seconds, bytes, rejected }) {
      forward.requests.inc({ signal });
      forward.bytes.inc({ signal }, bytes);
      if (rejected > 0) forward.rejected.inc({ signal }, rejected);
      forward.seconds.observe({ signal }, seconds);
    },
    onOversize({ signal }) {
      forward.oversize.inc({ signal });
    },
    onRefusedPart({ signal, records }) {
      forward.rejected.inc({ signal }, records);
    },
    onDrop({ signal, reason }) {
      forward.undelivered.inc({ signal, reason });
    },
    onDeadLetter({ signal, kept }) {
      (kept ? forward.deadLetters : forward.lostDeadLetters).inc({ signal });
    },
    onDamage({ bytes }) {
      forward.damaged.inc(bytes);
    },
  };
}

export function notifyHooks({ notifications }: Metrics, log: Logger) {
  return {
    log,
    onResult(type: string, result: string, count: number) {
      notifications.inc({ type, result }, count);
    },
  };
}
