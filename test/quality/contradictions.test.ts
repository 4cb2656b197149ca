import { existsSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { gunzipSync } from "node:zlib";
import { create } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import { Contradictions, contradictions } from "../../bench/quality/contradictions.ts";
import { Operator } from "../../bench/quality/operator/alarms.ts";
import { data } from "../../bench/quality/places.ts";
import { AnomalySchema, Channel, State } from "../../src/gen/driftlock/v1/anomaly_pb.js";
import { anomalyNames } from "../../src/generate/anomalies.ts";
import { ShopTelemetry } from "../../src/generate/shop-telemetry.ts";
import { signals } from "../../src/otlp/protocol.ts";
import { type Gauges, gauges } from "./gauges.ts";

const minute = 60_000;
const start = Date.UTC(2026, 0, 5, 10);
/** A large budget, so that many anomalies are explained, usual ones as well. */
const talkative = {
  budget: { per_stream_per_day: 200, per_group_per_day: 10_000, per_process_per_day: 10_000 },
};

const sound = {
  id: "a",
  channel: Channel.VALUE,
  state: State.OPEN,
  score: 30,
  limit: 10,
  pValue: 1e-5,
  startTimeUnixNano: 1n,
  endTimeUnixNano: 2n,
  explanation: "The value is 9; usually 1–5; score 30.00 against a limit of 10.00, p = 1e-05",
  expected: { low: 1, high: 5 },
};
const window = { records: 5, rawBytes: 10n, codec: "zstd", compressionRatio: 0.5, entropy: 2, ncd: 0.1 };

test("a sound report has no contradiction", () => {
  for (const each of [
    sound,
    { ...sound, window },
    { ...sound, window: { ...window, pValue: 1, permutations: 20 } },
    {
      ...sound,
      expected: {},
      explanation: "The value is 50; values between 12 and 88 are rare; score 30.00 against a limit of 10.00",
    },
    {
      ...sound,
      explanation:
        "The value fell by 3 to 4; usually it changes by -1 to 1; score 30.00 against a limit of 10.00",
      expected: { low: 6, high: 8 },
    },
    {
      ...sound,
      channel: Channel.CONTENT,
      expected: undefined,
      explanation: '5 of the record\'s 40 bytes are new to this stream, such as ": NaN", they cost 3 bits',
    },
    ...[
      'A burst: 139 records like "Reserved 3 of 5" in 10 s; usually 4–18',
      "Silence: no records of the stream for 19 s; usually 11–30",
      "No records for 4 min; usually one every 2 s",
      "All spans of the stream: 10 in 60 s; usually 43.4 to 75.3",
    ].map((explanation) => ({ ...sound, channel: Channel.VOLUME, expected: undefined, explanation })),
    { ...sound, state: State.ENDED, score: 0, limit: 0, pValue: 0, explanation: "It is over" },
  ]) {
    expect(contradictions(create(AnomalySchema, each))).toEqual([]);
  }
});

test.each([
  ["within its usual range", { explanation: "The value is 3; usually 1–5" }],
  ["what is unusual is usual", { explanation: "The value is 3 where 1 to 5 is usual" }],
  ["what is unusual is usual", { explanation: "The rate is 3 per second; usually 1–5" }],
  ["what is unusual is usual", { explanation: "The value rose by 3 to 30; usually it changes by -4 to 5" }],
  ["what is unusual is usual", { explanation: "The span took 3 ms; usually 1–5 ms" }],
  ["what is unusual is usual", { explanation: "3 % of the values were above 500; usually 3 %" }],
  ["what is unusual is usual", { explanation: "A session broke off: 3.0 bits where 4.0 are usual" }],
  ["a burst of a usual number", { explanation: "A burst: 2 records of the stream; usually 0–3 per tick" }],
  ["what is unusual is usual", { explanation: 'A burst: 9 records like "a 3" in 10 s; usually 4–18' }],
  ["what is unusual is usual", { explanation: "All spans of the stream: 50 in 60 s; usually 43.4 to 75.3" }],
  ["silence where nothing is usual", { explanation: "Silence: no records where 0.0 a tick are usual" }],
  ["a duration of nothing", { explanation: "The span took 0 ms; usually 1–5 ms" }],
  ["no subject", { explanation: ": values that are new" }],
  ["empty quotes", { explanation: 'The record is new, such as "", in body' }],
  ["no explanation", { explanation: "" }],
  ["a number is missing", { explanation: "The value is nan; usually 1–5" }],
  ["a range is empty", { expected: { low: 5, high: 1 } }],
  ["a range is not finite", { expected: { low: Number.NaN, high: 1 } }],
  ["half a range", { expected: { high: 1 } }],
  ["below its limit", { score: 3 }],
  ["said to be below its limit", { explanation: "It is new; score 61.91 against a limit of 664.77" }],
  ["a limit of 0", { explanation: "It is new; score 0.31 against a limit of 0.00" }],
  ["no limit", { limit: 0 }],
  ["a p-value of 0 or 1", { pValue: 1 }],
  ["a p-value of 0 or 1", { explanation: "It is new; score 3.00 against a limit of 2.00, p = 0" }],
  ["score is NaN", { score: Number.NaN }],
  [
    "end was expected",
    { explanation: "A session broke off", expected: { next: ["the end of the session"] } },
  ],
  ["the end of an anomaly has a score", { state: State.ENDED }],
  ["ends before it starts", { startTimeUnixNano: 3n }],
  ["without records or bytes", { window: { ...window, rawBytes: 0n } }],
  ["a p-value without permutations", { window: { ...window, pValue: 1 } }],
] as const)("%s", (fault, wrong) => {
  const report = create(AnomalySchema, { ...sound, ...wrong } as never);
  expect(contradictions(report)).toContainEqual(expect.stringContaining(fault));
});

function expectNone(tally: Contradictions, least: number): void {
  expect(tally.reports).toBeGreaterThan(least);
  expect(tally.examples).toEqual([]);
}

describe("reports never contradict themselves", () => {
  test("on generated telemetry with all kinds of anomalies", async () => {
    const shop = new ShopTelemetry({
      seed: "contradictions",
      startUnixNano: BigInt(start) * 1_000_000n,
      signals,
      rate: 40,
      speed: 1,
      duration: 50 * minute,
      recordsPerRequest: 200,
      schedule: anomalyNames.map((name, i) => ({
        name,
        start: (10 + 4 * i) * minute,
        end: (12 + 4 * i) * minute,
      })),
    });
    const tally = new Contradictions();
    const operator = new Operator(talkative);
    for (const { signal, body } of shop.batches()) {
      const { reports } = await operator.process(signal, body);
      for (const { message } of reports) tally.add(message);
    }
    await operator.close();
    expectNone(tally, 20);
  }, 120_000);

  async function replay(host: string, rows: readonly Gauges[]): Promise<Contradictions> {
    const tally = new Contradictions();
    const operator = new Operator(talkative);
    for (const row of rows) {
      const { reports } = await operator.process("metrics", gauges(host, row));
      for (const { message } of reports) tally.add(message);
    }
    await operator.close();
    return tally;
  }

  test("on series of many kinds", async () => {
    let state = 7;
    const uniform = () => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return (state + 0.5) / 2 ** 32;
    };
    const normal = () => Array.from({ length: 12 }, uniform).reduce((sum, x) => sum + x, -6);
    let walk = 0;
    const rows: Gauges[] = Array.from({ length: 6_000 }, (_, i) => {
      walk += normal();
      const odd = uniform() < 0.005 ? 40 * normal() : 0;
      const day = Math.sin((i / 288) * 2 * Math.PI);
      return {
        time: start + i * 5 * minute,
        values: {
          noise: 50 + 2 * normal() + odd,
          walk: walk + odd,
          constant: 80 + odd,
          counts: Math.floor(3 * uniform()) + (odd > 0 ? 9 : 0),
          square: (Math.floor(i / 40) % 2) * 100 + normal() + odd,
          heavy: 1 / (0.001 + uniform()),
          daily: 100 + 60 * day + normal() + odd,
          tiny: 1e-9 * (1 + 0.01 * normal() + odd),
          huge: 1e12 * (1 + 0.01 * normal() + odd),
        },
      };
    });
    expectNone(await replay("kinds", rows), 50);
  }, 60_000);

  test.runIf(existsSync(`${data}/nab/windows.json`))(
    "on files of NAB",
    async () => {
      for (const folder of ["realAWSCloudwatch", "artificialWithAnomaly"]) {
        const files = (await readdir(`${data}/nab/data/${folder}`)).sort().slice(0, 4);
        for (const file of files) {
          const lines = (await readFile(`${data}/nab/data/${folder}/${file}`, "utf8")).trim().split("\n");
          const rows = lines.slice(1).map((line) => {
            const [time, value] = line.split(",");
            return {
              time: Date.parse(`${time!.slice(0, 19).replace(" ", "T")}Z`),
              values: { value: Number(value) },
            };
          });
          expect((await replay(file, rows)).examples).toEqual([]);
        }
      }
    },
    60_000,
  );

  test.runIf(existsSync(`${data}/smd`))(
    "on a machine of SMD",
    async () => {
      const file = (await readdir(`${data}/smd`)).find((name) => name.endsWith(".csv.gz"))!;
      const [header, ...lines] = gunzipSync(await readFile(`${data}/smd/${file}`))
        .toString()
        .trim()
        .split("\n");
      const names = header!.split(",").slice(2);
      const rows = lines.slice(0, 12_000).map((line, i) => {
        const values = line.split(",").slice(2).map(Number);
        return {
          time: start + i * minute,
          values: Object.fromEntries(names.map((name, k) => [name, values[k]!])),
        };
      });
      expectNone(await replay(file, rows), 50);
    },
    120_000,
  );
});
