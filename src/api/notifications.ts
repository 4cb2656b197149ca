import { z } from "zod";
import { channelSchemas, severities } from "../config/schema/notify.ts";
import { examples } from "../json/examples.ts";
import { formatMs } from "../json/time.ts";
import type { OutboxEntry, Store } from "../store/index.ts";
import type { App } from "./app.ts";
import { guarded, problems } from "./openapi.ts";
import { ApiError } from "./problem.ts";
import { noParameters } from "./query.ts";

/** A channel as far as a tenant may know it: neither its address nor its secrets. */
export interface ChannelInfo {
  name: string;
  type: keyof typeof channelSchemas | "otlp";
  /** The services and the severity that it is for. */
  service?: string | undefined;
  minSeverity?: (typeof severities)[number] | undefined;
}

/** The channels and windows of this process. */
export interface NotificationChannels {
  channels(tenant: string): ChannelInfo[];
  /** Returns the windows that are for the tenant, and until when those that are open stay so. */
  windows(tenant: string): { name: string; openUntil: number | undefined }[];
  /** Sends a test to a channel. Resolves to why the receiver has not accepted it; undefined if it has. */
  test(channel: string, tenant: string, author: string): Promise<string | undefined>;
}

export interface NotificationOptions {
  store: Store;
  notifications: NotificationChannels;
}

/** The number of incidents and channels whose messages are listed. */
const shown = 100;

const nullableTime = z.string().nullable();
const channelSchema = z.object({
  name: z.string(),
  type: z.enum([...(Object.keys(channelSchemas) as (keyof typeof channelSchemas)[]), "otlp"]),
  service: z.string().nullable().describe("The services that it is for, as a pattern; null for all"),
  min_severity: z.enum(severities).nullable().describe("The least severity that it is for; null for all"),
  waiting: z.number().int().describe("Incidents of the tenant whose latest change was not sent yet"),
  failing: z.number().int().describe("Those of them for which the latest attempt has failed"),
  sent_at: nullableTime.describe(
    "When the receiver has last accepted a message about an incident of the tenant",
  ),
});
const entrySchema = z.object({
  incident: z.string(),
  channel: z.string(),
  title: z.string(),
  state: z
    .enum(["delivered", "waiting", "failing", "held by a window", "held by the limit per hour"])
    .describe("Of the latest change of the incident"),
  attempts: z.number().int().describe("Failed attempts to send it"),
  changed_at: z.string(),
  sent_at: nullableTime,
  next_at: nullableTime.describe("When the next message is due"),
});
export const notificationsSchema = z
  .object({
    channels: z.array(channelSchema),
    windows: z.array(
      z.object({ name: z.string(), open_until: nullableTime.describe("Null while it is closed") }),
    ),
    outbox: z
      .array(entrySchema)
      .describe(
        `The latest ${shown} messages of the outbox by incident and channel, the latest changed first`,
      ),
  })
  .meta({
    id: "Notifications",
    description: "The channels of notifications, and what they have sent of the tenant's incidents",
    examples: [examples.notifications],
  });

const testSchema = z
  .strictObject({ channel: z.string().min(1).max(64).describe("The name of the channel") })
  .meta({ examples: [{ channel: "slack" }] });
const testedSchema = z
  .object({
    accepted: z.boolean(),
    reason: z.string().nullable().describe("Why the receiver has not accepted it; null if it has"),
  })
  .meta({ examples: [{ accepted: true, reason: null }] });

const atOrNull = (time: number | undefined) => (time === undefined ? null : formatMs(time));

function stateOf({ delivered, held, attempts }: OutboxEntry): z.output<typeof entrySchema>["state"] {
  if (delivered) return "delivered";
  if (held === "window") return "held by a window";
  if (held === "cap") return "held by the limit per hour";
  return attempts > 0 ? "failing" : "waiting";
}

function entryJson(entry: OutboxEntry): z.output<typeof entrySchema> {
  const { incident, channel, notice, attempts, changedAt, sentAt, nextAt } = entry;
  return {
    incident,
    channel,
    title: (JSON.parse(notice) as { title: string }).title,
    state: stateOf(entry),
    attempts,
    changed_at: formatMs(changedAt),
    sent_at: atOrNull(sentAt),
    next_at: atOrNull(nextAt),
  };
}

export function notificationRoutes(app: App, { store, notifications }: NotificationOptions): void {
  const tags = ["tenant"];
  const security = [{ bearer: [] }];
  /** The tenants whose test is on its way. */
  const testing = new Set<string>();
  app.get(
    "/v1/notifications",
    {
      config: { scope: "read" },
      schema: {
        tags,
        security,
        operationId: "getNotifications",
        summary: "The channels of notifications and their outbox",
        querystring: noParameters,
        response: { 200: notificationsSchema.describe("Channels and outbox"), ...problems(...guarded, 503) },
      },
    },
    async ({ principal: { tenant } }) => {
      const [counts, outbox] = await Promise.all([
        store.notifications.counts(tenant),
        store.notifications.list(tenant, shown),
      ]);
      return {
        channels: notifications.channels(tenant).map(({ name, type, service, minSeverity }) => {
          const { waiting = 0, failing = 0, sentAt } = counts.get(name) ?? {};
          return {
            name,
            type,
            service: service ?? null,
            min_severity: minSeverity ?? null,
            waiting,
            failing,
            sent_at: atOrNull(sentAt),
          };
        }),
        windows: notifications
          .windows(tenant)
          .map(({ name, openUntil }) => ({ name, open_until: atOrNull(openUntil) })),
        outbox: outbox.map(entryJson),
      };
    },
  );
  app.post(
    "/v1/notifications/test",
    {
      config: { scope: "admin" },
      schema: {
        tags,
        security,
        operationId: "testNotifications",
        summary: "Send a test message to a channel",
        description:
          "Sends that a test incident has begun, and that it is resolved, whatever the channel's `match`, windows and limits are. An entry is appended to the audit log.",
        querystring: noParameters,
        body: testSchema,
        response: {
          200: testedSchema.describe("What the receiver has answered"),
          ...problems(...guarded, 404, 409, 413, 415, 503),
        },
      },
    },
    async ({ body: { channel }, principal: { tenant, subject } }) => {
      if (!notifications.channels(tenant).some(({ name }) => name === channel)) {
        throw new ApiError(404, "there is no channel with this name; GET /v1/notifications lists them");
      }
      if (testing.has(tenant)) throw new ApiError(409, "another test is on its way; wait for its end");
      testing.add(tenant);
      try {
        await store.audit.append(tenant, { actor: subject, action: "notification.tested", target: channel });
        const reason = await notifications.test(channel, tenant, subject);
        return { accepted: reason === undefined, reason: reason ?? null };
      } finally {
        testing.delete(tenant);
      }
    },
  );
}
