/** Incoming webhooks of Slack (https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks). */
import type { ConfigOf } from "../../config/schema/notify.ts";
import type { Channel, Message } from "../channel.ts";
import { postJson } from "../http.ts";
import { noticeMatcher } from "../notice.ts";
import { readSecret } from "../secret.ts";
import { factsOf, summaryLines, titleOf, truncated } from "../text.ts";

/** Limits of Slack's blocks, in characters. */
const maxHeader = 150;
const maxText = 2_900;
const maxFields = 10;

export function slack({ name, match, url, max_per_hour }: ConfigOf<"slack">): Channel {
  return {
    name,
    type: "slack",
    matches: noticeMatcher(match),
    maxPerHour: max_per_hour,
    async send(message, abort) {
      await postJson(readSecret(url), JSON.stringify(payload(message)), { abort, shownAs: "Slack" });
    },
  };
}

function payload(message: Message): object {
  const title = titleOf(message);
  const header = { type: "header", text: { type: "plain_text", text: truncated(title, maxHeader) } };
  // Notifications of clients show `text`, without the blocks.
  return { text: escaped(title), blocks: [header, ...blocks(message)] };
}

function blocks(message: Message): object[] {
  if (message.kind === "summary") {
    return [section(truncated(summaryLines(message.notices).map(escaped).join("\n"), maxText))];
  }
  const { notice } = message;
  const fields = factsOf(notice)
    .filter(([, value]) => value !== "")
    .slice(0, maxFields)
    .map(([name, value]) => mrkdwn(`*${name}*\n${truncated(escaped(value), 1_900)}`));
  return [
    section(truncated(escaped(`${notice.sentence}.`), maxText)),
    { type: "section", fields },
    ...(notice.link === undefined ? [] : [section(`<${escaped(notice.link)}|Show the details>`)]),
  ];
}

const mrkdwn = (text: string) => ({ type: "mrkdwn", text });
const section = (text: string) => ({ type: "section", text: mrkdwn(text) });

/** Texts of records must not mention people or make links. */
const escaped = (text: string) =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
