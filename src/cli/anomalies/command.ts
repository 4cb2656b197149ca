import { plural } from "../../base/plural.ts";
import { toJson } from "../../base/printable.ts";
import type { AnomalyJson } from "../../json/anomaly-schema.ts";
import type { ReportJson } from "../../json/report.ts";
import { accessHelp, follow, readAsked, shortTime } from "../shared/ask.ts";
import { helpText } from "../shared/help.ts";
import { exit, type Io } from "../shared/io.ts";
import { callAction } from "../shared/subcommand.ts";
import { truncate } from "../terminal/cells.ts";
import { table } from "../terminal/table.ts";

export const help = helpText({
  usage: [
    "anomalies list [FILTER]... [--limit 100] [--after CURSOR] [--json]",
    "anomalies show ID [--json]",
    "anomalies tail [FILTER]... [--json]",
  ],
  about: "Reads anomalies from the API of a running Driftlock.",
  lists: [
    [
      "Actions",
      [
        ["list", "list anomalies, the latest first"],
        ["show", "show one anomaly"],
        ["tail", "print anomalies as they are found, until it is interrupted"],
      ],
    ],
    [
      "Filters; all that are given must match, a list matches any of its values",
      [
        ["--service NAME", "the service.name of the resource"],
        ["--stream-id ID", "the ID of the stream"],
        ["--signal LIST", "logs, traces, metrics"],
        ["--channel LIST", "content, sequence, volume, value, fields, shift, novelty, group"],
        ["--severity LIST", "low, medium, high, critical"],
        ["--stream KEY", "the key of the stream (`list` only)"],
        ["--state LIST", "open, ended, acknowledged, resolved, accepted, false (`list` only)"],
        ["--text TEXT", "a text that the anomaly contains (`list` only)"],
        ["--from TIME", "the earliest start: RFC 3339, or how long ago, such as 2h (`list` only)"],
        ["--until TIME", "the latest start, in the same form (`list` only)"],
      ],
    ],
  ],
  options: [
    ["--limit N", "how many anomalies `list` prints at most (100)"],
    ["--after CURSOR", "continue a list behind the cursor that it ended with"],
    ["--json", "print JSON as the API returns it, one line per anomaly"],
    ...accessHelp,
  ],
  exit: ["The API answered.", "The API refused the request or cannot be reached."],
});

const sharedFilters = ["service", "stream-id", "signal", "channel", "severity"];
const listFilters = [...sharedFilters, "from", "until", "stream", "state", "text", "limit", "after"];

async function list(args: string[], io: Io): Promise<number> {
  const asked = readAsked(args, { filters: listFilters }, io);
  const page = await asked.client.json<{ items: AnomalyJson[]; next?: string }>("/v1/anomalies", asked.query);
  if (asked.json) {
    for (const item of page.items) io.out(`${toJson(item)}\n`);
  } else {
    const rows = page.items.map((item) => [
      shortTime(item.start_time),
      item.severity,
      item.state,
      item.channels.join(","),
      item.service,
      item.id,
      item.report?.explanation ?? "",
    ]);
    io.out(table(["STARTED", "SEVERITY", "STATE", "CHANNELS", "SERVICE", "ID", "WHY"], rows));
  }
  if (page.next !== undefined) io.err(`There are more anomalies; continue with --after ${page.next}\n`);
  return exit.ok;
}

async function show(args: string[], io: Io): Promise<number> {
  const asked = readAsked(args, { positionals: ["ID"] }, io);
  const detail = await asked.client.json<AnomalyJson & { events: object[] }>(
    `/v1/anomalies/${encodeURIComponent(asked.positionals[0]!)}`,
  );
  if (asked.json) {
    io.out(`${toJson(detail)}\n`);
    return exit.ok;
  }
  const { report } = detail;
  const facts: [string, string][] = [
    ["id", detail.id],
    ["stream", detail.stream],
    ["state", detail.state],
    ["severity", detail.severity],
    ["channels", detail.channels.join(", ")],
    ["started", detail.start_time],
    ["latest", detail.end_time],
    ["occurrences", String(detail.occurrences)],
    ["incident", detail.incident ?? ""],
  ];
  if (report !== null) {
    facts.push(
      ["why", report.explanation],
      ["field", report.field],
      ["score", `${report.score} (limit ${report.limit}, p ${report.p_value})`],
      ["surprise", `${report.surprise_bits} bits (usually ${report.baseline_bits})`],
      ["withheld", report.withheld === null ? "" : withheldText(report.withheld)],
      ["record", report.record?.text ?? ""],
      ["nearest", report.expected?.nearest ?? ""],
    );
  }
  for (const event of detail.events as { state: string; author: string; time: string; note: string }[]) {
    facts.push([event.state, `${event.time} by ${event.author}${event.note ? `: ${event.note}` : ""}`]);
  }
  const shown = facts.filter(([, value]) => value !== "");
  const width = Math.max(...shown.map(([name]) => name.length));
  for (const [name, value] of shown) io.out(`${name.padEnd(width)}  ${truncate(value, 4_096)}\n`);
  return exit.ok;
}

function withheldText({ count, channel, score, time }: NonNullable<ReportJson["withheld"]>): string {
  return `${plural(count, "alarm")} since the previous one (strangest: ${channel}, ${score} times what one in a hundred exceeds, ${time})`;
}

function line(name: string, item: AnomalyJson): string {
  const what = name === "judgement" ? item.state : `${item.severity} ${item.channels.join(",")}`;
  const { report } = item;
  const parts = [
    shortTime(report?.time ?? item.end_time),
    what,
    item.stream,
    item.id,
    report?.explanation ?? "",
  ];
  return parts.map((part) => truncate(part, 512)).join("  ");
}

async function tail(args: string[], io: Io): Promise<number> {
  const asked = readAsked(args, { filters: sharedFilters }, io);
  const format = (name: string, data: string) => line(name, JSON.parse(data) as AnomalyJson);
  await follow(asked, "/v1/stream/anomalies", format, io);
  return exit.ok;
}

export function run(args: string[], io: Io): Promise<number> {
  return callAction("anomalies", { list, show, tail }, args, io);
}
