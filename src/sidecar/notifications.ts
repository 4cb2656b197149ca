/** Starts what notifies people, as the configuration says. */
import type { Config } from "../config/schema.ts";
import { type EnginePrivacy, native } from "../native.ts";
import { createChannels, createWindows, Notifier } from "../notify/index.ts";
import type { Store } from "../store/index.ts";
import { notifyHooks } from "../telemetry/hooks.ts";
import type { Logger } from "../telemetry/log.ts";
import type { Metrics } from "../telemetry/metrics.ts";

interface Parts {
  notify: Config["notify"];
  /** Masks what the messages say, as in logs. It is asked for only if there is a channel. */
  privacy: () => EnginePrivacy;
  downstream: Parameters<typeof createChannels>[1];
  store: Pick<Store, "notifications">;
  metrics: Metrics;
  log: Logger;
}

/** Returns the channels and maintenance windows, and, if there is a channel, the notifier, which has started. */
export function startNotifications({ notify, privacy, downstream, store, metrics, log }: Parts) {
  const channels = createChannels(notify, downstream);
  const windows = createWindows(notify);
  if (channels.length === 0) return { channels, windows, notifier: undefined };
  const notifier = new Notifier({
    outbox: store.notifications,
    channels,
    windows,
    hooks: notifyHooks(metrics, log),
    mask: native.textMask(privacy(), "logs"),
  });
  notifier.start();
  return { channels, windows, notifier };
}
