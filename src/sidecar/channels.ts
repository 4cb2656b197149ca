/** The channels of notifications as the API shows and tests them. */
import type { NotificationChannels } from "../api/notifications.ts";
import { matcherOf } from "../base/pattern.ts";
import { channelsOf, type NoticeMatch } from "../config/schema/notify.ts";
import type { NotifyConfig } from "../config/schema.ts";
import { type Channel, sendTest, type Window } from "../notify/index.ts";

const isFor = ({ match }: { match: NoticeMatch }, tenant: string) =>
  match.tenant === undefined || matcherOf(match.tenant)(tenant);

/** @param windows those of the configuration, in its order */
export function notificationChannels(
  config: NotifyConfig,
  channels: readonly Channel[],
  windows: readonly Window[],
): NotificationChannels {
  return {
    channels: (tenant) => [
      ...channelsOf(config)
        .filter((channel) => isFor(channel, tenant))
        .map(({ name, type, match }) => ({
          name,
          type,
          service: match.service,
          minSeverity: match.min_severity,
        })),
      ...(config.otlp ? [{ name: "otlp", type: "otlp" as const }] : []),
    ],
    windows: (tenant) =>
      windows
        .filter((_, i) => isFor(config.windows[i]!, tenant))
        .map((window) => ({ name: window.name, openUntil: window.openUntil(Date.now()) })),
    test: (name, tenant, author) =>
      sendTest(channels.find((channel) => channel.name === name)!, tenant, author),
  };
}
