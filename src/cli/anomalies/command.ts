import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import type { AnomalyJson, ReportJson } from "../../api/anomaly.ts";
import { isWildcard, parseListen } from "../../base/address.ts";
import { printableJson, toJson } from "../../base/printable.ts";
import { type ApiClient, ApiRefusal, apiClientOf } from "../shared/api-client.ts";
import { helpText } from "../shared/help.ts";
import { exit, type Io } from "../shared/io.ts";
import { readOptions } from "../shared/options.ts";
import { callAction } from "../shared/subcommand.ts";
import { durationMs } from "../shared/values.ts";
import { configOf } from "../shared/with-store.ts";
import { truncate } from "../terminal/cells.ts";
import { table } from "../terminal/table.ts";
import { events } from "./events.ts";

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
    ["--url URL", "the address of the API (taken from the configuration)"],
    ["--key KEY", "an API key with the scope read; better passed as the variable DRIFTLOCK_API_KEY"],
  ],
  exit: ["The API answered.", "The API refused the request or cannot be reached."],
});

const sharedFilters = ["service", "stream-id", "signal", "channel", "severity"];
const listFilters = [...sharedFilters, "from", "until", "stream", "state", "text", "limit", "after"];
const lists = new Set(["signal", "channel", "severity", "state"]);
const access = ["url", "key"];

/** Delay before a lost connection is opened again. */
const retryMs = 2_000;
const timeColumns = 19;

interface Asked {
  client: ApiClient;
  query: URLSearchParams;
  positionals: readonly string[];
  json: boolean;
}

function read(
  args: string[],
  { filters = [], positionals = [] }: { filters?: readonly string[]; positionals?: readonly string[] },
  io: Io,
): Asked {
  const options = readOptions(args, {
    values: [...access, ...filters],
    switches: ["json"],
    positionals,
    config: true,
  });
  const query = new URLSearchParams();
  for (const name of filters) {
    const value = options.values.get(name);
    if (value === undefined) continue;
    for (const each of lists.has(name) ? value.split(",") : [value]) {
      query.append(name.replace("-", "_"), name === "from" || name === "until" ? timeOf(each) : each);
    }
  }
  const { api } = configOf(options, io);
  const { host, port } = parseListen(api.endpoint);
  const local = isWildcard(host) ? "127.0.0.1" : host.includes(":") ? `[${host}]` : host;
  const client = apiClientOf(options, io, `http://${local}:${port}`);
  return { client, query, positionals: options.positionals, json: options.switches.has("json") };
}

function timeOf(text: string): string {
  const ago = durationMs(text);
  return ago === undefined ? text : new Date(Date.now() - ago).toISOString();
}

const shortTime = (text: string) => text.slice(0, timeColumns).replace("T", " ");

async function list(args: string[], io: Io): Promise<number> {
  const asked = read(args, { filters: listFilters }, io);
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
  const asked = read(args, { positionals: ["ID"] }, io);
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
  const alarms = count === 1 ? "1 alarm" : `${count} alarms`;
  return `${alarms} since the previous one (strangest: ${channel}, ${score} times what one in a hundred exceeds, ${time})`;
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
  const asked = read(args, { filters: sharedFilters }, io);
  const stop = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => stop.abort());
  let last: string | undefined;
  while (!stop.signal.aborted) {
    try {
      const stream = await asked.client.stream("/v1/stream/anomalies", asked.query, last, stop.signal);
      for await (const event of events(stream)) {
        last = event.id ?? last;
        if (event.name === "gap" || event.name === "dropped") {
          io.err(`${event.name}: ${(JSON.parse(event.data) as { reason: string }).reason}\n`);
        } else {
          io.out(
            asked.json
              ? `${printableJson(event.data)}\n`
              : `${line(event.name, JSON.parse(event.data) as AnomalyJson)}\n`,
          );
        }
      }
    } catch (error) {
      if (stop.signal.aborted) break;
      // The API would refuse the same request again.
      const passing = error instanceof TypeError || (error instanceof ApiRefusal && error.temporary);
      if (!passing) throw error;
      io.err(`${reasonOf(error)}; retrying\n`);
    }
    await sleep(retryMs, undefined, { signal: stop.signal }).catch(() => {});
  }
  return exit.ok;
}

/** Returns the reason of an error; `fetch` puts it into the cause. */
function reasonOf(error: Error): string {
  return error.cause instanceof Error ? error.cause.message : error.message;
}

export function run(args: string[], io: Io): Promise<number> {
  return callAction("anomalies", { list, show, tail }, args, io);
}
