/** Notifications: which channels there are, what goes to each of them, and when nothing does. */
import { z } from "zod";
import { path, section, url } from "./values.ts";

const pattern = z.string().min(1).max(256);

export const severities = ["low", "medium", "high", "critical"] as const;

/** What a channel or a window is for: everything that is set must match. */
const match = z
  .strictObject({
    tenant: pattern.optional(),
    service: pattern.optional(),
    min_severity: z.enum(severities).optional(),
  })
  .default({});

/** A secret is named by its place and is never part of the configuration. */
const secret = z
  .strictObject({ file: path.optional(), env: z.string().min(1).max(256).optional() })
  .refine(
    ({ file, env }) => (file === undefined) !== (env === undefined),
    "must have either file or env, the place of the secret",
  );

const name = z
  .string()
  .regex(/^[A-Za-z0-9_.-]{1,64}$/, "must be 1 to 64 letters, digits, dots, - or _, and unique");

const maxPerHour = z.number().int().min(1).max(1_000).default(20);

/** An address that holds no secret, since it is shown. */
const plainUrl = url.refine((text) => {
  const { username, password } = new URL(text);
  return username === "" && password === "";
}, "must not contain credentials");

const person = z.email().max(320);

export const channelSchemas = {
  alertmanager: z.strictObject({ name, match, url: plainUrl }),
  webhook: z.strictObject({ name, match, url: plainUrl, secret, max_per_hour: maxPerHour }),
  slack: z.strictObject({ name, match, url: secret, max_per_hour: maxPerHour }),
  teams: z.strictObject({ name, match, url: secret, max_per_hour: maxPerHour }),
  pagerduty: z.strictObject({
    name,
    match,
    routing_key: secret,
    url: plainUrl.default("https://events.pagerduty.com/v2/enqueue"),
    max_per_hour: maxPerHour,
  }),
  email: z.strictObject({
    name,
    match,
    host: z.string().min(1).max(253),
    port: z.number().int().min(1).max(65_535).default(587),
    tls: z.enum(["starttls", "implicit", "none"]).default("starttls"),
    user: z.string().min(1).max(256).optional(),
    password: secret.optional(),
    from: person,
    to: z.array(person).min(1).max(50),
    max_per_hour: maxPerHour,
  }),
  grafana: z.strictObject({
    name,
    match,
    url: plainUrl,
    token: secret,
    dashboard: z.string().min(1).max(40).optional(),
    tags: z.array(z.string().min(1).max(100)).max(10).default([]),
  }),
} as const;

const localTime = z
  .string()
  .regex(
    /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d)?$/,
    "must be a date and a time of day without a zone, such as 2026-01-31T22:00",
  );

const window = z.strictObject({
  name,
  match,
  start: localTime,
  end: localTime,
  time_zone: z.string().min(1).max(64).default("UTC"),
  rrule: z.string().min(1).max(512).optional(),
});

export type Secret = z.output<typeof secret>;
export type NoticeMatch = z.output<typeof match>;
export type ChannelConfig = {
  [Type in keyof typeof channelSchemas]: z.output<(typeof channelSchemas)[Type]> & { type: Type };
}[keyof typeof channelSchemas];
export type ConfigOf<Type extends ChannelConfig["type"]> = Extract<ChannelConfig, { type: Type }>;
export type WindowConfig = z.output<typeof window>;

const maxChannels = 20;
const maxWindows = 100;

const list = <T extends z.ZodType>(item: T, description: string, expected: string) =>
  z.array(item).max(maxChannels).default([]).meta({ expected }).describe(description);

const every =
  "Each has a `name` and may have a `match`, all of which must fit: patterns of the `tenant` and the `service`, and `min_severity`.";
const limited = "Beyond `max_per_hour` (20), incidents are held back and sent as one summary.";

export const notify = section({
  public_url: plainUrl
    .optional()
    .describe("The address at which people reach the API. Notifications then link to what they are about."),
  alertmanager: list(
    channelSchemas.alertmanager,
    `Alertmanagers, by their API v2; \`url\` is the address without \`/api/v2\`. ${every}`,
    "a list such as [{name: am, url: http://127.0.0.1:9093}]",
  ),
  webhook: list(
    channelSchemas.webhook,
    `Webhooks that receive JSON, signed by the Standard Webhooks specification with \`secret\` (\`whsec_…\`). ${every} ${limited}`,
    "a list such as [{name: hook, url: https://ops.example.com/hook, secret: {env: HOOK_SECRET}}]",
  ),
  slack: list(
    channelSchemas.slack,
    `Incoming webhooks of Slack, whose URL is a secret. ${every} ${limited}`,
    "a list such as [{name: slack, url: {env: SLACK_URL}}]",
  ),
  teams: list(
    channelSchemas.teams,
    `Webhooks of Microsoft Teams workflows, whose URL is a secret. ${every} ${limited}`,
    "a list such as [{name: teams, url: {file: /run/secrets/teams}}]",
  ),
  pagerduty: list(
    channelSchemas.pagerduty,
    `Services of PagerDuty, by the Events API v2 and their \`routing_key\`. ${every} ${limited}`,
    "a list such as [{name: pager, routing_key: {env: PAGERDUTY_KEY}}]",
  ),
  email: list(
    channelSchemas.email,
    `Recipients of e-mail by SMTP. \`tls\` is \`starttls\`, \`implicit\` or \`none\`. ${every} ${limited}`,
    "a list such as [{name: mail, host: smtp.example.com, from: driftlock@example.com, to: [ops@example.com]}]",
  ),
  grafana: list(
    channelSchemas.grafana,
    `Grafanas, which receive incidents, and changes that are posted, as annotations by the HTTP API. \`token\` is that of a service account that may read and write annotations. They are for all dashboards, or for the one with the UID \`dashboard\`, and have \`tags\` besides their own. ${every}`,
    "a list such as [{name: grafana, url: https://grafana.example.com, token: {env: GRAFANA_TOKEN}}]",
  ),
  otlp: z
    .boolean()
    .default(false)
    .describe(
      "If true, incidents are also sent downstream as log records with the event name `driftlock.incident`.",
    ),
  windows: z
    .array(window)
    .max(maxWindows)
    .default([])
    .meta({
      expected:
        "a list such as [{name: night, start: 2026-01-01T22:00, end: 2026-01-02T06:00, time_zone: Europe/Berlin, rrule: FREQ=DAILY}]",
    })
    .describe(
      "Maintenance windows and quiet hours: while one is open, incidents that `match` are held back, and those that are resolved before it closes are not sent at all. `start` and `end` are times of day in `time_zone`; `rrule` repeats the window by RFC 5545.",
    ),
});

/** Returns all channels of a configuration, in the order of its sections. */
export function channelsOf(config: z.output<typeof notify>): ChannelConfig[] {
  const types = Object.keys(channelSchemas) as ChannelConfig["type"][];
  return types.flatMap((type) => config[type].map((each) => ({ ...each, type }) as ChannelConfig));
}
