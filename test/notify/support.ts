import { configSchema } from "../../src/config/schema.ts";
import {
  createChannels,
  createWindows,
  type Notice,
  type NotificationResult,
  Notifier,
  type OtlpParts,
} from "../../src/notify/index.ts";
import type { Store } from "../../src/store/index.ts";

export function notice(init: Partial<Notice> = {}): Notice {
  return {
    tenant: "acme",
    incident: "a1",
    state: "open",
    severity: "high",
    title: "checkout is slow",
    sentence: "Requests take 812 ms; usually 6.19 to 18.5 ms",
    startsAt: Date.parse("2026-01-31T12:00:00Z"),
    services: ["checkout", "payments"],
    causes: [{ service: "payments", reason: "its own time explains 94 % of the delay" }],
    link: "http://127.0.0.1:8080/v1/anomalies/a1",
    ...init,
  };
}

/** A notifier of a store, with counts of what became of the messages. */
export function notifierOf(store: Store, notify: object, downstream?: OtlpParts) {
  const config = configSchema.parse({ notify }).notify;
  const results: Partial<Record<NotificationResult, number>> = {};
  const logged: string[] = [];
  const log = (fields: object, message: string) => void logged.push(`${message} ${JSON.stringify(fields)}`);
  const notifier = new Notifier({
    outbox: store.notifications,
    channels: createChannels(config, downstream as OtlpParts),
    windows: createWindows(config),
    mask: (text) => text,
    hooks: {
      log: { warn: log, info: log },
      onResult(_type, result, count) {
        results[result] = (results[result] ?? 0) + count;
      },
    },
  });
  return { notifier, results, logged };
}
