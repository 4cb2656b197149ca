/** Alertmanager, by its API v2. It groups, silences and routes by itself. */
import { isDeepStrictEqual } from "node:util";
import type { ConfigOf } from "../../config/schema/notify.ts";
import type { Channel } from "../channel.ts";
import { postJson } from "../http.ts";
import { type Notice, noticeMatcher } from "../notice.ts";
import { iso, truncated } from "../text.ts";

/** Alertmanager keeps alerts in memory only, and ends those that are not sent again. Prometheus repeats its alerts as often. */
const refreshMs = 60_000;
const validMs = 5 * refreshMs;

export function alertmanager({ name, match, url }: ConfigOf<"alertmanager">): Channel {
  const target = `${url.replace(/\/+$/, "")}/api/v2/alerts`;
  return {
    name,
    type: "alertmanager",
    matches: noticeMatcher(match),
    refreshMs,
    async send(message, abort) {
      // There is no limit per hour, so there are no summaries.
      if (message.kind === "summary") return;
      const { notice, previous } = message;
      const now = Date.now();
      const alerts = [alert(notice, now)];
      // Labels are the identity of an alert: if one has changed, the former alert is over.
      if (previous !== undefined && !isDeepStrictEqual(labels(previous), labels(notice))) {
        alerts.push(alert({ ...previous, endsAt: now }, now));
      }
      await postJson(target, JSON.stringify(alerts), { abort });
    },
  };
}

/** What routes and inhibitions go by. */
function labels({ tenant, incident, severity, services, causes }: Notice): Record<string, string> {
  const service = causes[0]?.service ?? services[0];
  return { alertname: "DriftlockIncident", tenant, incident, severity, ...(service && { service }) };
}

function alert(notice: Notice, now: number): object {
  const { title, sentence, services, causes, startsAt, endsAt, link } = notice;
  return {
    labels: labels(notice),
    annotations: {
      summary: truncated(title, 500),
      description: truncated(sentence, 2_000),
      services: truncated(services.join(", "), 1_000),
      ...(causes[0] && { cause: truncated(`${causes[0].service}: ${causes[0].reason}`, 500) }),
    },
    startsAt: iso(startsAt),
    endsAt: iso(endsAt ?? now + validMs),
    ...(link !== undefined && { generatorURL: link }),
  };
}
