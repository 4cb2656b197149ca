import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import type { AnomalyJson } from "../../api/anomaly.ts";
import { isWildcard, parseListen } from "../../base/address.ts";
import { printableJson, toJson } from "../../base/printable.ts";
import { ApiClient, ApiRefusal } from "../shared/api-client.ts";
import { durationMs } from "../shared/duration.ts";
import { exit, type Io, UsageError } from "../shared/io.ts";
import { refusePositionals, takeOwnOptions } from "../shared/own-options.ts";
import { callAction } from "../shared/subcommand.ts";
import { configOf } from "../shared/with-store.ts";
import { cut } from "../terminal/cells.ts";
import { table } from "../terminal/table.ts";
import { events } from "./events.ts";

export const help = `Usage: driftlock anomalies list [FILTER]... [--limit 100] [--after CURSOR] [--json]
       driftlock anomalies show ID [--json]
       driftlock anomalies tail [FILTER]... [--json]

Asks a running Driftlock over its HTTP API. \`tail\` shows anomalies as they are found, until it is interrupted.

  --url URL        of the API; that of the configuration where it is not set
  --key KEY        an API key with the scope read; better by the variable DRIFTLOCK_API_KEY
  --json           JSON as the API gives it, one line an anomaly
  --config FILE    the configuration in YAML; every key of it is a flag as well

Filters narrow together; a list with commas takes any of its values.
  --service NAME   --stream-id ID   --signal logs,traces,metrics
  --channel content,sequence,volume,value,fields   --severity low,medium,high,critical
Of \`list\` alone:
  --from TIME, --until TIME   when it started: RFC 3339, or so long ago, such as 2h
  --stream KEY   --state open,ended,acknowledged,resolved,accepted,false   --text TEXT
`;

const sharedFilters = ["service", "stream-id", "signal", "channel", "severity"];
const listFilters = [...sharedFilters, "from", "until", "stream", "state", "text", "limit", "after"];
const lists = new Set(["signal", "channel", "severity", "state"]);
const access = ["url", "key"];

/** Before a connection that was lost is tried again. */
const retryMs = 2_000;
const timeColumns = 19;

interface Asked {
  client: ApiClient;
  query: URLSearchParams;
  positionals: string[];
  json: boolean;
}

function read(args: string[], filters: readonly string[], io: Io): Asked {
  const own = takeOwnOptions(args, [...access, ...filters], ["json"]);
  const query = new URLSearchParams();
  for (const name of filters) {
    const value = own.values.get(name);
    if (value === undefined) continue;
    for (const each of lists.has(name) ? value.split(",") : [value]) {
      query.append(name.replace("-", "_"), name === "from" || name === "until" ? timeOf(each) : each);
    }
  }
  const { api } = configOf(own.rest, io);
  const { host, port } = parseListen(api.endpoint);
  const local = isWildcard(host) ? "127.0.0.1" : host.includes(":") ? `[${host}]` : host;
  const url = own.values.get("url") ?? `http://${local}:${port}`;
  if (!URL.canParse(url)) throw new UsageError(`--url is no URL: ${url}`);
  const client = new ApiClient(url, own.values.get("key") ?? io.env.DRIFTLOCK_API_KEY);
  return { client, query, positionals: own.positionals, json: own.switches.has("json") };
}

function timeOf(text: string): string {
  const ago = durationMs(text);
  return ago === undefined ? text : new Date(Date.now() - ago).toISOString();
}

function noArguments({ positionals }: Asked): void {
  refusePositionals(positionals);
}

const shortTime = (text: string) => text.slice(0, timeColumns).replace("T", " ");

async function list(args: string[], io: Io): Promise<number> {
  const asked = read(args, listFilters, io);
  noArguments(asked);
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
  if (page.next !== undefined) io.err(`there are more: --after ${page.next}\n`);
  return exit.ok;
}

async function show(args: string[], io: Io): Promise<number> {
  const asked = read(args, [], io);
  const [id, ...more] = asked.positionals;
  if (id === undefined || more.length > 0)
    throw new UsageError("show takes one anomaly's ID; `list` shows it");
  const detail = await asked.client.json<AnomalyJson & { events: object[] }>(
    `/v1/anomalies/${encodeURIComponent(id)}`,
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
      ["record", report.record?.text ?? ""],
      ["nearest", report.expected?.nearest ?? ""],
    );
  }
  for (const event of detail.events as { state: string; author: string; time: string; note: string }[]) {
    facts.push([event.state, `${event.time} by ${event.author}${event.note ? `: ${event.note}` : ""}`]);
  }
  const shown = facts.filter(([, value]) => value !== "");
  const width = Math.max(...shown.map(([name]) => name.length));
  for (const [name, value] of shown) io.out(`${name.padEnd(width)}  ${cut(value, 4_096)}\n`);
  return exit.ok;
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
  return parts.map((part) => cut(part, 512)).join("  ");
}

async function tail(args: string[], io: Io): Promise<number> {
  const asked = read(args, sharedFilters, io);
  noArguments(asked);
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
      // What the API refuses, it refuses again.
      const passing = error instanceof TypeError || (error instanceof ApiRefusal && error.temporary);
      if (!passing) throw error;
      io.err(`${reasonOf(error)}; trying again\n`);
    }
    await sleep(retryMs, undefined, { signal: stop.signal }).catch(() => {});
  }
  return exit.ok;
}

/** `fetch` hides it one level down. */
function reasonOf(error: Error): string {
  return error.cause instanceof Error ? error.cause.message : error.message;
}

export function run(args: string[], io: Io): Promise<number> {
  return callAction("anomalies", { list, show, tail }, args, io);
}
