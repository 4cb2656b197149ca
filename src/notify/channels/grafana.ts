/**
 * Annotations in Grafana, by its HTTP API. An incident is a region from its start to its end, a change is a moment. An
 * annotation is found again by a tag of its own, so that a message that is sent again changes it and adds no other one.
 */
import type { ConfigOf } from "../../config/schema/notify.ts";
import { type Channel, DeliveryError } from "../channel.ts";
import { requestJson } from "../http.ts";
import { type Notice, noticeMatcher } from "../notice.ts";
import { readSecret } from "../secret.ts";
import { truncated } from "../text.ts";

const maxTag = 100;
const maxServices = 10;

export function grafana({ name, match, url, token, dashboard, tags }: ConfigOf<"grafana">): Channel {
  const api = `${url.replace(/\/+$/, "")}/api/annotations`;
  const matches = noticeMatcher(match);
  const { min_severity: _, ...ofChanges } = match;
  const matchesChange = noticeMatcher(ofChanges);
  return {
    name,
    type: "grafana",
    takesChanges: true,
    matches: (notice) => (notice.about === "change" ? matchesChange(notice) : matches(notice)),
    async send(message, abort) {
      // Nobody is disturbed, so there is no limit per hour and there are no summaries.
      if (message.kind === "summary") return;
      const { key, notice } = message;
      const headers = { authorization: `Bearer ${readSecret(token)}` };
      const own = `driftlock:${key}`;
      const annotation = {
        time: notice.startsAt,
        ...(notice.endsAt !== undefined && { timeEnd: notice.endsAt }),
        tags: [...tagsOf(notice), ...tags, own].map((tag) => truncated(tag, maxTag)),
        text: textOf(notice),
      };
      const query = new URLSearchParams({ type: "annotation", tags: own, limit: "1" });
      const found = await requestJson("GET", `${api}?${query}`, undefined, { headers, abort });
      const id = idOf(found);
      if (id === undefined) {
        const place = dashboard === undefined ? {} : { dashboardUID: dashboard };
        await requestJson("POST", api, { ...place, ...annotation }, { headers, abort });
      } else {
        await requestJson("PATCH", `${api}/${id}`, annotation, { headers, abort });
      }
    },
  };
}

/** Returns the id of the annotation that was found. @throws {DeliveryError} if the answer is not Grafana's. */
function idOf(answer: string): number | undefined {
  try {
    const [first] = JSON.parse(answer) as [{ id: number }?];
    return first?.id;
  } catch {
    throw new DeliveryError(
      "the answer is no list of annotations; notify.grafana url must be Grafana's address",
    );
  }
}

function tagsOf({ about, tenant, severity, services }: Notice): string[] {
  const kind = about === undefined ? ["incident", severity] : [about];
  return ["driftlock", ...kind, `tenant:${tenant}`, ...services.slice(0, maxServices)];
}

/** Grafana shows the text as HTML, from which it removes what is dangerous. */
function textOf({ about, title, sentence, causes, link }: Notice): string {
  const cause = causes[0] && `Likely cause: ${causes[0].service}: ${causes[0].reason}`;
  const lines = [title, ...(sentence.startsWith(title) ? [sentence.slice(title.length)] : [sentence]), cause]
    .map((line) => truncated((line ?? "").replace(/^[;\s]+/, ""), 2_000))
    .filter((line) => line !== "")
    .map(escapeHtml);
  if (link !== undefined)
    lines.push(`<a href="${escapeHtml(link)}">${about === "change" ? "Details" : "Open in Driftlock"}</a>`);
  return lines.join("<br>");
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);
}
