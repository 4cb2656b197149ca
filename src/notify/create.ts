/** Makes the channels and windows of a configuration. */
import { type ChannelConfig, channelsOf, type Secret } from "../config/schema/notify.ts";
import type { NotifyConfig } from "../config/schema.ts";
import type { Channel } from "./channel.ts";
import { alertmanager } from "./channels/alertmanager.ts";
import { email } from "./channels/email.ts";
import { grafana } from "./channels/grafana.ts";
import { type OtlpParts, otlp } from "./channels/otlp.ts";
import { pagerduty } from "./channels/pagerduty.ts";
import { slack } from "./channels/slack.ts";
import { teams } from "./channels/teams.ts";
import { webhook } from "./channels/webhook.ts";
import { readSecret } from "./secret.ts";
import { Window } from "./windows.ts";

/** Returns what would keep notifications from being sent, as `key: what is wrong`. */
export function checkNotify(config: NotifyConfig): string[] {
  const channels = channelsOf(config);
  const names = [...channels, ...config.windows].map(({ name }) => name);
  if (config.otlp) names.push("otlp");
  const twice = [...new Set(names.filter((name, i) => names.indexOf(name) !== i))];
  return [
    ...twice.map((name) => `notify: the name ${name} is used twice; choose another one`),
    ...channels.flatMap(secretProblems),
    ...config.windows.flatMap((window, i) =>
      problemsOf(`notify.windows.${i}.`, () => {
        new Window(window);
      }),
    ),
  ];
}

/** @param downstream how incidents reach the downstream, if they are to */
export function createChannels(config: NotifyConfig, downstream: OtlpParts): Channel[] {
  return [...channelsOf(config).map(create), ...(config.otlp ? [otlp(downstream)] : [])];
}

export function createWindows({ windows }: NotifyConfig): Window[] {
  return windows.map((window) => new Window(window));
}

function create(config: ChannelConfig): Channel {
  switch (config.type) {
    case "alertmanager":
      return alertmanager(config);
    case "webhook":
      return webhook(config);
    case "slack":
      return slack(config);
    case "teams":
      return teams(config);
    case "pagerduty":
      return pagerduty(config);
    case "email":
      return email(config);
    case "grafana":
      return grafana(config);
  }
}

function secretProblems(config: ChannelConfig): string[] {
  const secrets = Object.entries(config as Record<string, unknown>).filter(
    ([key, value]) => key !== "match" && typeof value === "object" && !Array.isArray(value),
  );
  return secrets.flatMap(([key, value]) =>
    problemsOf(`notify.${config.type}: ${key} of ${config.name}: `, () => {
      readSecret(value as Secret);
    }),
  );
}

function problemsOf(prefix: string, check: () => void): string[] {
  try {
    check();
    return [];
  } catch (error) {
    return [`${prefix}${(error as Error).message}`];
  }
}
