/** Generated faults that begin within the first hours of a new installation: are they reported within a minute? */
import { type AnomalyName, anomalyNames } from "../../../src/generate/anomalies.ts";
import { ShopTelemetry } from "../../../src/generate/shop-telemetry.ts";
import { signals } from "../../../src/otlp/protocol.ts";
import type { Row } from "../../table.ts";
import { parallel } from "../parallel.ts";
import { Operator } from "./alarms.ts";

const start = Date.UTC(2026, 0, 5, 10);
const minute = 60_000;
const minutes = [10, 20, 40, 90];
const seeds = Number(process.env.SEEDS ?? 3);
const rate = Number(process.env.RATE ?? 40);
/** How long a fault lasts. */
const lasts = 2 * minute;

interface Result {
  name: AnomalyName;
  minute: number;
  /** The milliseconds from the beginning to the first report; undefined if it was not reported within a minute. */
  after: number | undefined;
  /** The alarms before the fault. */
  wrong: string[];
}

async function run(name: AnomalyName, at: number, seed: number): Promise<Result> {
  const from = at * minute;
  const shop = new ShopTelemetry({
    seed: `first-hours/${seed}`,
    startUnixNano: BigInt(start) * 1_000_000n,
    signals,
    rate,
    speed: 1,
    duration: from + lasts,
    recordsPerRequest: 100,
    schedule: [{ name, start: from, end: from + lasts }],
  });
  const operator = new Operator();
  let begun = start + from;
  let first: number | undefined;
  for (const { signal, body, time, truths } of shop.batches()) {
    // A fault begins with its first record; a silence has none.
    if (first === undefined && truths.some(Boolean)) first = time;
    await operator.process(signal, body);
  }
  await operator.close();
  if (first !== undefined) begun = start + Math.max(from, Math.min(first, from + minute));
  const times = operator.alarms
    .flatMap(({ reported }) => reported)
    .filter((time) => time >= start + from - 1_000);
  const earliest = times.length > 0 ? Math.min(...times) : undefined;
  const wrong = operator.alarms.filter(({ reported }) => reported[0]! < start + from - 1_000);
  return {
    name,
    minute: at,
    after: earliest !== undefined && earliest <= begun + minute ? earliest - begun : undefined,
    wrong: wrong.map(({ channel, stream }) => `${channel} of ${stream}`),
  };
}

export async function firstHours(): Promise<Row[]> {
  const jobs = minutes.flatMap((at) =>
    Array.from({ length: seeds }, (_, seed) => anomalyNames.map((name) => ({ at, seed, name }))).flat(),
  );
  const results = await parallel(jobs, 2, ({ name, at, seed }) => run(name, at, seed));
  const share = (of: Result[]) =>
    (of.filter(({ after }) => after !== undefined).length / of.length).toFixed(2);
  const row = (fault: string, of: readonly Result[]): Row => ({
    fault,
    ...Object.fromEntries(
      minutes.map((at) => [`minute ${at}`, share(of.filter((each) => each.minute === at))]),
    ),
  });
  // The time before a fault is the same for all kinds of faults.
  const wrong = results.filter(({ name }) => name === anomalyNames[0]);
  const before = (at: number) => wrong.filter(({ minute }) => minute === at).flatMap(({ wrong }) => wrong);
  return [
    ...anomalyNames.map((name) =>
      row(
        name,
        results.filter((each) => each.name === name),
      ),
    ),
    row("all", results),
    {
      fault: "false alarms before, per run",
      ...Object.fromEntries(minutes.map((at) => [`minute ${at}`, (before(at).length / seeds).toFixed(2)])),
    },
  ];
}
