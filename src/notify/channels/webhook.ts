/** Webhooks by the Standard Webhooks specification (https://www.standardwebhooks.com). */
import { createHmac } from "node:crypto";
import type { ConfigOf, Secret } from "../../config/schema/notify.ts";
import { type Channel, DeliveryError, type Message } from "../channel.ts";
import { postJson } from "../http.ts";
import { type Notice, noticeMatcher } from "../notice.ts";
import { readSecret } from "../secret.ts";
import { iso } from "../text.ts";

export function webhook({ name, match, url, secret, max_per_hour }: ConfigOf<"webhook">): Channel {
  return {
    name,
    type: "webhook",
    matches: noticeMatcher(match),
    maxPerHour: max_per_hour,
    async send(message, abort) {
      const key = signingKey(secret);
      const now = Date.now();
      const body = JSON.stringify(payload(message, now));
      const seconds = String(Math.floor(now / 1_000));
      const signature = createHmac("sha256", key).update(`${message.id}.${seconds}.${body}`).digest("base64");
      const headers = {
        "webhook-id": message.id,
        "webhook-timestamp": seconds,
        "webhook-signature": `v1,${signature}`,
      };
      await postJson(url, body, { headers, abort });
    },
  };
}

/** @throws {DeliveryError} if the secret is not one of the specification. */
function signingKey(secret: Secret): Buffer {
  const text = readSecret(secret).replace(/^whsec_/, "");
  const key = Buffer.from(text, "base64");
  if (key.length < 24 || key.length > 64 || !/^[A-Za-z0-9+/]+={0,2}$/.test(text)) {
    throw new DeliveryError(
      "the secret must be whsec_ and the Base64 of 24 to 64 bytes; create one with: echo whsec_$(openssl rand -base64 32)",
    );
  }
  return key;
}

function payload(message: Message, now: number): object {
  if (message.kind !== "summary") {
    const { kind, key, notice } = message;
    return { type: `incident.${kind}`, timestamp: iso(now), data: { key, ...json(notice) } };
  }
  return { type: "incident.summary", timestamp: iso(now), data: { incidents: message.notices.map(json) } };
}

function json({ startsAt, endsAt, link, ...notice }: Notice): object {
  return {
    ...notice,
    starts_at: iso(startsAt),
    ends_at: endsAt === undefined ? null : iso(endsAt),
    link: link ?? null,
  };
}
