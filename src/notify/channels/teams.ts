/** Microsoft Teams: a workflow "when a webhook request is received" that posts an Adaptive Card. */
import type { ConfigOf } from "../../config/schema/notify.ts";
import type { Channel, Message } from "../channel.ts";
import { postJson } from "../http.ts";
import { noticeMatcher } from "../notice.ts";
import { readSecret } from "../secret.ts";
import { factsOf, summaryLines, titleOf, truncated } from "../text.ts";

const colours = { low: "Default", medium: "Warning", high: "Attention", critical: "Attention" } as const;
/** A message has at most 28 KB. */
const maxText = 4_000;

export function teams({ name, match, url, max_per_hour }: ConfigOf<"teams">): Channel {
  return {
    name,
    type: "teams",
    matches: noticeMatcher(match),
    maxPerHour: max_per_hour,
    async send(message, abort) {
      await postJson(readSecret(url), JSON.stringify(payload(message)), {
        abort,
        shownAs: "Microsoft Teams",
      });
    },
  };
}

function payload(message: Message): object {
  const content = {
    $schema: "http://adaptivecards.io/schemas/adaptive-card.json",
    type: "AdaptiveCard",
    version: "1.4",
    msteams: { width: "Full" },
    body: [
      { ...textBlock(titleOf(message)), size: "Medium", weight: "Bolder", color: colour(message) },
      ...body(message),
    ],
    ...(message.kind !== "summary" &&
      message.notice.link !== undefined && {
        actions: [{ type: "Action.OpenUrl", title: "Show the details", url: message.notice.link }],
      }),
  };
  const attachment = { contentType: "application/vnd.microsoft.card.adaptive", contentUrl: null, content };
  return { type: "message", attachments: [attachment] };
}

function colour(message: Message): string {
  if (message.kind === "summary") return "Attention";
  return message.kind === "resolved" ? "Good" : colours[message.notice.severity];
}

function body(message: Message): object[] {
  if (message.kind === "summary") return summaryLines(message.notices).map(textBlock);
  const { notice } = message;
  const facts = factsOf(notice)
    .filter(([, value]) => value !== "")
    .map(([title, value]) => ({ title, value: escaped(truncated(value, 1_000)) }));
  return [textBlock(`${truncated(notice.sentence, maxText)}.`), { type: "FactSet", facts }];
}

const textBlock = (text: string) => ({ type: "TextBlock", text: escaped(text), wrap: true });

/** Texts of records must not make links or other formatting. */
const escaped = (text: string) => text.replace(/[\\`*_[\]<>]/g, "\\$&");
