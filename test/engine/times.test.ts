import { expect, test } from "vitest";
import { configSchema } from "../../src/config/schema.ts";
import { Engine } from "../../src/engine/index.ts";
import { logsRequest, normalLine, random } from "./requests.ts";

const begin = 1_790_000_000_000;

/** Sends a line every 10 s, with a new grave line at the end, and times made by `time`. */
async function lastReport(time: (ms: number) => bigint) {
  const { detect } = configSchema.parse({ detect: { baseline: { records: 200 } } });
  let ms = begin;
  const engine = new Engine(detect, { mode: "all", clock: () => ms });
  const next = random(7);
  let redated = 0;
  for (let i = 0; i < 600; i++, ms += 10_000) {
    const body = logsRequest([{ ...normalLine(next, "till"), time: time(ms) }]);
    const before = Buffer.from(body);
    const { forward, redated: count } = await engine.process("logs", "default", body);
    if (forward === body) expect(forward).toEqual(before);
    redated += count;
  }
  const body = logsRequest([
    {
      ...normalLine(next, "till"),
      time: time(ms),
      body: "FATAL quorum of the ledger is lost, giving up",
      severity: 21,
    },
  ]);
  const { reports } = await engine.process("logs", "default", body);
  await engine.close();
  return { reports, redated, ms };
}

test.each([
  ["nanoseconds", (ms: number) => BigInt(ms) * 1_000_000n, 0],
  ["microseconds", (ms: number) => BigInt(ms) * 1_000n, 600],
  ["milliseconds", (ms: number) => BigInt(ms), 600],
  ["seconds", (ms: number) => BigInt(ms / 1_000), 600],
  ["no time", () => 0n, 600],
  ["a time since the sender started", (ms: number) => BigInt(ms - begin) * 1_000_000n + 1n, 600],
])("an anomaly is dated right if records carry %s", async (_, time, redated) => {
  const result = await lastReport(time);
  expect(result.reports).toHaveLength(1);
  expect(result.reports[0]!.message.timeUnixNano).toBe(BigInt(result.ms) * 1_000_000n);
  expect(result.redated).toBe(redated);
});

const graveLines = [
  "ledger mismatch in account, refusing to post entries",
  "disk quota exceeded on volume backup",
  "certificate of partner bank has expired",
  "segmentation violation in native parser",
  "cannot allocate memory for request queue",
  "deadlock detected while updating inventory",
  "replica lost quorum, writes are rejected",
  "authentication token signature invalid, possible tampering",
];

/** Sends lines without a time, and a new grave one each time after so many, and counts how many of those are reported. */
async function reportedWithoutTimes(
  apart: number,
  settings: { clock?: () => number; recordsPerSecond?: number },
) {
  const { detect } = configSchema.parse({});
  const engine = new Engine(detect, { mode: "all", ...settings });
  const next = random(6);
  const reported = new Set<string>();
  for (let i = 0; i < graveLines.length * apart; i++) {
    const body = graveLines[(i - apart / 2) / apart];
    const line = body === undefined ? normalLine(next, "till") : { body, severity: 17, service: "till" };
    const { reports } = await engine.process("logs", "default", logsRequest([{ ...line, time: 0n }]));
    if (body !== undefined && reports.length > 0) reported.add(body);
  }
  await engine.close();
  return reported.size;
}

test("incidents days apart have the budgets of these days if records carry no times", async () => {
  let ms = begin;
  expect(await reportedWithoutTimes(1_200, { clock: () => (ms += 60_000) })).toBe(8);
  expect(await reportedWithoutTimes(1_200, { recordsPerSecond: 1 / 60 })).toBe(8);
});

test("incidents that a guessed rate makes hours of are not withheld", async () => {
  expect(await reportedWithoutTimes(3_000, {})).toBe(8);
});
