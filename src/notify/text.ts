/** How messages for people put an incident. */
import type { Message } from "./channel.ts";
import type { Notice } from "./notice.ts";

const maxTitle = 200;
const maxListed = 10;

const words = { opened: "", updated: "Update: ", refreshed: "", resolved: "Resolved: " } as const;

export const iso = (ms: number) => new Date(ms).toISOString();

export function truncated(text: string, max: number): string {
  return text.length <= max ? text : `${text.slice(0, max - 1).toWellFormed()}…`;
}

/** One line, without line breaks. */
export function titleOf(message: Message): string {
  if (message.kind === "summary") {
    const { length } = message.notices;
    return `${length} more incidents within an hour`;
  }
  const { kind, notice } = message;
  return truncated(`${words[kind]}[${notice.severity}] ${notice.title}`.replace(/\s+/g, " "), maxTitle);
}

/** The facts about an incident, as names and values. */
export function factsOf(notice: Notice): (readonly [name: string, value: string])[] {
  const { services, causes, startsAt, endsAt, tenant, severity, incident } = notice;
  return [
    ["Severity", severity],
    ["Services", truncated(services.join(", "), 500)],
    ["Started", iso(startsAt)],
    ...(endsAt === undefined ? [] : ([["Ended", iso(endsAt)]] as const)),
    ...causes
      .slice(0, 3)
      .map(({ service, reason }, i) => [i === 0 ? "Likely cause" : "Or", `${service}: ${reason}`] as const),
    ["Tenant", tenant],
    ["Incident", incident],
  ];
}

/** Several lines of plain text. */
export function textOf(message: Message): string {
  if (message.kind !== "summary") {
    const { notice } = message;
    const facts = factsOf(notice).map(([name, value]) => `${name}: ${value}`);
    return [`${notice.sentence}.`, "", ...facts, ...(notice.link ? ["", notice.link] : [])].join("\n");
  }
  return [...summaryLines(message.notices), ""].join("\n");
}

/** A line for each of the gravest incidents, and how many more there are. */
export function summaryLines(notices: readonly Notice[]): string[] {
  const shown = notices.slice(0, maxListed).map((notice) => {
    const state = notice.state === "resolved" ? "resolved, " : "";
    return `- [${state}${notice.severity}] ${truncated(notice.title, maxTitle)} (${iso(notice.startsAt)})`;
  });
  const left = notices.length - shown.length;
  return left > 0 ? [...shown, `- and ${left} more`] : shown;
}
