import { toJson } from "../../base/printable.ts";
import type { IncidentDetailJson, IncidentJson } from "../../json/incident-schema.ts";
import { accessHelp, follow, readAsked, shortTime } from "../shared/ask.ts";
import { helpText } from "../shared/help.ts";
import { exit, type Io } from "../shared/io.ts";
import { callAction } from "../shared/subcommand.ts";
import { truncate } from "../terminal/cells.ts";
import { renderIncident } from "../terminal/incident.ts";
import { table } from "../terminal/table.ts";

export const help = helpText({
  usage: [
    "incidents list [FILTER]... [--limit 100] [--after CURSOR] [--json]",
    "incidents show ID [--json]",
    "incidents tail [FILTER]... [--json]",
  ],
  about:
    "Reads incidents from the API of a running Driftlock: what belongs together, and its likeliest cause.",
  lists: [
    [
      "Actions",
      [
        ["list", "list incidents, the latest first"],
        ["show", "show one incident with its ranking, evidence and timeline"],
        ["tail", "print incidents as they begin, grow and end, until it is interrupted"],
      ],
    ],
    [
      "Filters; all that are given must match, a list matches any of its values",
      [
        ["--service NAME", "a service that the incident includes"],
        ["--severity LIST", "low, medium, high, critical"],
        ["--state LIST", "open, ended, merged, acknowledged, resolved, expected, false"],
        ["--minor true|false", "whether the incident notifies nobody"],
        ["--from TIME", "the earliest start: RFC 3339, or how long ago, such as 2h (`list` only)"],
        ["--until TIME", "the latest start, in the same form (`list` only)"],
      ],
    ],
  ],
  options: [
    ["--limit N", "how many incidents `list` prints at most (100)"],
    ["--after CURSOR", "continue a list behind the cursor that it ended with"],
    ["--json", "print JSON as the API returns it, one line per incident"],
    ...accessHelp,
  ],
  exit: ["The API answered.", "The API refused the request or cannot be reached."],
});

const sharedFilters = ["service", "severity", "state", "minor"];
const listFilters = [...sharedFilters, "from", "until", "limit", "after"];

/** The state, and whether the incident notifies nobody. */
const stateOf = ({ state, minor }: IncidentJson) => (minor ? `${state}, minor` : state);

async function list(args: string[], io: Io): Promise<number> {
  const asked = readAsked(args, { filters: listFilters }, io);
  const page = await asked.client.json<{ items: IncidentJson[]; next?: string }>(
    "/v1/incidents",
    asked.query,
  );
  if (asked.json) {
    for (const item of page.items) io.out(`${toJson(item)}\n`);
  } else {
    const rows = page.items.map((item) => [
      shortTime(item.start_time),
      item.severity,
      stateOf(item),
      item.cause?.service ?? "",
      item.id,
      item.sentence,
    ]);
    io.out(table(["STARTED", "SEVERITY", "STATE", "CAUSE", "ID", "WHAT"], rows));
  }
  if (page.next !== undefined) io.err(`There are more incidents; continue with --after ${page.next}\n`);
  return exit.ok;
}

async function show(args: string[], io: Io): Promise<number> {
  const asked = readAsked(args, { positionals: ["ID"] }, io);
  const path = `/v1/incidents/${encodeURIComponent(asked.positionals[0]!)}`;
  const detail = await asked.client.json<IncidentDetailJson>(path);
  io.out(asked.json ? `${toJson(detail)}\n` : renderIncident(detail));
  return exit.ok;
}

function line(name: string, data: string): string {
  const item = JSON.parse(data) as IncidentJson;
  const what = name === "judgement" ? item.state : `${item.severity} ${stateOf(item)}`;
  return [shortTime(item.end_time), what, item.id, item.sentence]
    .map((part) => truncate(part, 512))
    .join("  ");
}

async function tail(args: string[], io: Io): Promise<number> {
  const asked = readAsked(args, { filters: sharedFilters }, io);
  await follow(asked, "/v1/stream/incidents", line, io);
  return exit.ok;
}

export function run(args: string[], io: Io): Promise<number> {
  return callAction("incidents", { list, show, tail }, args, io);
}
