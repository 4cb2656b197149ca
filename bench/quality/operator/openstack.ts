/** OpenStack sessions: a few abnormal ones, evenly mixed into the normal ones, in a log with one record per second. */
import { readFile } from "node:fs/promises";
import { keyValues, text as textValue } from "../../../src/generate/records.ts";
import type { Row } from "../../table.ts";
import { data } from "../places.ts";
import { encodeLogs } from "../requests.ts";
import { match, Operator, tally } from "./alarms.ts";

const start = Date.UTC(2026, 0, 5);
/** One abnormal session of twenty is mixed in. */
const share = 20;
/** A session may be judged as broken off some time after its last record. */
const after = 120_000;

async function sessions(part: string): Promise<string[][]> {
  const lines = (await readFile(`${data}/sequences/openstack_${part}`, "utf8")).trim().split("\n");
  return lines.map((line) =>
    line
      .slice(line.indexOf(",") + 1)
      .trim()
      .split(/\s+/),
  );
}

function request(records: { time: number; session: string; event: string }[]): Buffer {
  const logRecords = records.map(({ time, session, event }) => ({
    timeUnixNano: BigInt(time) * 1_000_000n,
    eventName: event,
    body: textValue(event),
    attributes: keyValues({ "session.id": session }),
  }));
  return encodeLogs("openstack", logRecords);
}

export async function openstack(): Promise<Row[]> {
  const [normal, abnormal] = await Promise.all(["test_normal", "test_abnormal"].map(sessions));
  const few = abnormal!.filter((_, i) => i % share === 0);
  const mixed = [
    ...normal!.map((events, i) => ({ events, abnormal: false, at: i / normal!.length })),
    ...few.map((events, i) => ({ events, abnormal: true, at: (i + 0.5) / few.length })),
  ].sort((a, b) => a.at - b.at);
  const operator = new Operator();
  const incidents: { from: number; to: number }[] = [];
  let time = start;
  for (const [number, { events, abnormal }] of mixed.entries()) {
    const from = time;
    const records = events.map((event, i) => ({
      time: from + (i + 1) * 1_000,
      session: `s${number}`,
      event: `E${event}`,
    }));
    time += events.length * 1_000;
    if (abnormal) incidents.push({ from, to: time + after });
    await operator.process("logs", request(records));
  }
  await operator.close();
  const { found, wrong } = match(operator.alarms, incidents);
  return [
    {
      data: "OpenStack",
      hours: ((time - start) / 3_600_000).toFixed(1),
      sessions: mixed.length,
      abnormal: few.length,
      found,
      "right alarms": operator.alarms.length - wrong.length,
      "false alarms": wrong.length,
      channels: tally(operator.alarms, ({ channel }) => channel),
    },
  ];
}
