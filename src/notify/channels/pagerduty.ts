/** PagerDuty, by the Events API v2 (https://developer.pagerduty.com/docs/events-api-v2-overview). */
import type { ConfigOf } from "../../config/schema/notify.ts";
import type { Channel, Message } from "../channel.ts";
import { postJson } from "../http.ts";
import { noticeMatcher, type Severity } from "../notice.ts";
import { readSecret } from "../secret.ts";
import { factsOf, iso, summaryLines, titleOf, truncated } from "../text.ts";

const severities = {
  low: "info",
  medium: "warning",
  high: "error",
  critical: "critical",
} as const satisfies Record<Severity, string>;
const maxSummary = 1_024;

export function pagerduty({ name, match, routing_key, url, max_per_hour }: ConfigOf<"pagerduty">): Channel {
  return {
    name,
    type: "pagerduty",
    matches: noticeMatcher(match),
    maxPerHour: max_per_hour,
    async send(message, abort) {
      const body = JSON.stringify({
        routing_key: readSecret(routing_key),
        client: "Driftlock",
        ...event(message),
      });
      await postJson(url, body, { abort, shownAs: "PagerDuty" });
    },
  };
}

function event(message: Message): object {
  const summary = truncated(titleOf(message), maxSummary);
  if (message.kind === "summary") {
    const custom_details = { incidents: summaryLines(message.notices) };
    return {
      event_action: "trigger",
      dedup_key: message.id,
      payload: { summary, source: "driftlock", severity: "warning", custom_details },
    };
  }
  const { kind, key, notice } = message;
  if (kind === "resolved") return { event_action: "resolve", dedup_key: key };
  const { services, severity, startsAt, sentence, link } = notice;
  return {
    // PagerDuty joins events with the same key.
    event_action: "trigger",
    dedup_key: key,
    payload: {
      summary,
      source: truncated(services[0] ?? "driftlock", 255),
      severity: severities[severity],
      timestamp: iso(startsAt),
      component: truncated(services.join(", "), 255),
      custom_details: { explanation: sentence, ...Object.fromEntries(factsOf(notice)) },
    },
    ...(link !== undefined && { links: [{ href: link, text: "Details" }] }),
  };
}
