/** BGL with the times of its lines: 170 days of one log, in which alert lines of one class within an hour are an incident. */
import { text as textValue } from "../../../src/generate/records.ts";
import type { Row } from "../../table.ts";
import { labelledLines } from "../log-sets.ts";
import { encodeLogs } from "../requests.ts";
import { type Incident, match, Operator, tally } from "./alarms.ts";

const hour = 3_600_000;
/** A report up to this long after the last line of an incident is still about it: ticks and hops end later. */
const after = 600_000;

export async function bgl(): Promise<Row[]> {
  const lines = (await labelledLines("bgl_2k.tsv")).map(({ label, key, text }) => ({
    label,
    key,
    text,
    time: Number(text.split(" ")[0]) * 1_000,
  }));
  const operator = new Operator();
  for (const { text, time } of lines) {
    const record = { timeUnixNano: BigInt(time) * 1_000_000n, body: textValue(text) };
    await operator.process("logs", encodeLogs("bgl", [record]));
  }
  await operator.close();
  const incidents: (Incident & { key: string })[] = [];
  for (const { label, key, time } of lines) {
    if (label === 0) continue;
    const open = incidents.findLast((each) => each.key === key && time - each.to + after <= hour);
    if (open) open.to = time + after;
    else incidents.push({ key, from: time, to: time + after });
  }
  // What begins while the stream learns cannot be found.
  const learned = lines[1_000]!.time;
  const judged = incidents.filter(({ to }) => to >= learned);
  const { found, wrong } = match(operator.alarms, incidents);
  return [
    {
      data: "BGL",
      incidents: incidents.length,
      "incidents after line 1,000": judged.length,
      found,
      "false alarms": wrong.length,
      "false by volume": wrong.filter(({ channel }) => channel === "volume").length,
      "found by": tally(
        operator.alarms.filter((alarm) => !wrong.includes(alarm)),
        ({ channel }) => channel,
      ),
      "false by": tally(wrong, ({ channel }) => channel),
    },
  ];
}
