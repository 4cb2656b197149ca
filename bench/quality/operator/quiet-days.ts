/** Quiet days of the shop, by seeds: is anything flagged, and does flagging what is usual make it ever rarer? */
import { State } from "../../../src/gen/driftlock/v1/anomaly_pb.js";
import { ShopTelemetry } from "../../../src/generate/shop-telemetry.ts";
import type { Row } from "../../table.ts";
import { parallel } from "../parallel.ts";
import { Operator, tally } from "./alarms.ts";

const seeds = Number(process.env.SEEDS ?? 20);
const days = Number(process.env.DAYS ?? 2);
const rate = Number(process.env.RATE ?? 1);
const start = Date.UTC(2026, 0, 1);
const day = 86_400_000;

interface Quiet {
  records: number;
  flagged: number;
  alarms: string[];
  /** The flags of the anomaly with the most. */
  most: bigint;
}

async function run(seed: number): Promise<Quiet> {
  const shop = new ShopTelemetry({
    seed: `quiet-days/${seed}`,
    startUnixNano: BigInt(start) * 1_000_000n,
    signals: ["logs", "traces"],
    rate,
    speed: 1,
    duration: days * day,
    recordsPerRequest: 100,
    schedule: [],
  });
  const operator = new Operator();
  let flagged = 0;
  let most = 0n;
  for (const { signal, body } of shop.batches()) {
    const outcome = await operator.process(signal, body);
    flagged += outcome.flagged;
    for (const { message } of outcome.reports) {
      if (message.state === State.OPEN && message.occurrence > most) most = message.occurrence;
    }
  }
  const { alarms, records } = operator;
  await operator.close();
  return { records, flagged, alarms: alarms.map(({ channel }) => channel), most };
}

export async function quietDays(): Promise<Row[]> {
  const results = await parallel(
    Array.from({ length: seeds }, (_, seed) => seed),
    2,
    run,
  );
  const alarms = results.flatMap(({ alarms }) => alarms);
  const sum = (of: (result: Quiet) => number) => results.reduce((total, result) => total + of(result), 0);
  return [
    {
      seeds,
      days: seeds * days,
      records: sum(({ records }) => records),
      "flagged records": sum(({ flagged }) => flagged),
      alarms: alarms.length,
      channels: tally(alarms, (channel) => channel),
      "most flags of an anomaly": Math.max(...results.map(({ most }) => Number(most))),
    },
  ];
}
