/** Server Machine Dataset: 38 gauges of one host per minute, with labelled events. */
import { readdir, readFile } from "node:fs/promises";
import { gunzipSync } from "node:zlib";
import type { Row } from "../../table.ts";
import { data } from "../places.ts";
import { encodeMetrics } from "../requests.ts";
import { type Incident, match, Operator, tally } from "./alarms.ts";

const start = Date.UTC(2026, 0, 5);
const minute = 60_000;

interface Machine {
  name: string;
  metrics: string[];
  rows: { label: number | undefined; values: number[] }[];
}

async function read(file: string): Promise<Machine> {
  const [header, ...lines] = gunzipSync(await readFile(`${data}/smd/${file}`))
    .toString()
    .trim()
    .split("\n");
  const rows = lines.map((line) => {
    const [, label, ...values] = line.split(",");
    return { label: label === "" ? undefined : Number(label), values: values.map(Number) };
  });
  return { name: file.replace(".csv.gz", ""), metrics: header!.split(",").slice(2), rows };
}

function request({ name, metrics }: Machine, time: number, values: number[]): Buffer {
  const timeUnixNano = BigInt(time) * 1_000_000n;
  const points = metrics.map((metric, i) => ({
    name: metric,
    data: {
      case: "gauge" as const,
      value: { dataPoints: [{ timeUnixNano, value: { case: "asDouble" as const, value: values[i]! } }] },
    },
  }));
  return encodeMetrics({ "service.name": "machine", "host.name": name }, points);
}

/** A run of labelled minutes is one event. */
function events({ rows }: Machine): Incident[] {
  const found: Incident[] = [];
  rows.forEach(({ label }, i) => {
    if (label !== 1) return;
    const time = start + i * minute;
    const last = found.at(-1);
    if (last && rows[i - 1]?.label === 1) last.to = time;
    else found.push({ from: time, to: time });
  });
  return found;
}

export async function smd(): Promise<Row[]> {
  const out: Row[] = [];
  let totalEvents = 0;
  let totalFound = 0;
  let totalWrong = 0;
  let totalDays = 0;
  for (const file of (await readdir(`${data}/smd`)).filter((name) => name.endsWith(".csv.gz")).sort()) {
    const machine = await read(file);
    const operator = new Operator();
    let test = 0;
    for (const [i, { label, values }] of machine.rows.entries()) {
      if (label === undefined) test = i + 1;
      await operator.process("metrics", request(machine, start + i * minute, values));
    }
    await operator.close();
    const begin = start + test * minute;
    const incidents = events(machine);
    const alarms = operator.alarms.filter(({ reported }) => reported.some((time) => time >= begin));
    const { found, wrong } = match(alarms, incidents);
    const days = (machine.rows.length - test) / 1_440;
    totalEvents += incidents.length;
    totalFound += found;
    totalWrong += wrong.length;
    totalDays += days;
    out.push({
      data: machine.name,
      incidents: incidents.length,
      found,
      "false alarms": wrong.length,
      "false per day": (wrong.length / days).toFixed(2),
      "found by": tally(alarms, ({ channel }) => channel),
    });
  }
  out.push({
    data: "all machines",
    incidents: totalEvents,
    found: `${totalFound} (${(totalFound / totalEvents).toFixed(3)})`,
    "false alarms": totalWrong,
    "false per day": (totalWrong / totalDays).toFixed(2),
    "found by": "",
  });
  return out;
}
