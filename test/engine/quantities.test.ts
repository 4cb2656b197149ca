/** What a report is about, as a number with its unit, and what each new field costs. */
import { expect, test } from "vitest";
import { parseConfig } from "../../src/config/load.ts";
import { Engine } from "../../src/engine/index.ts";
import type { Anomaly } from "../../src/gen/driftlock/v1/anomaly_pb.js";
import { lines, pointsOf, type Request, spans } from "./faults.ts";
import { strangeLine } from "./requests.ts";

const { detect } = parseConfig({ detect: { baseline: { records: 200 }, threads: 2 } });

/** The report of what the last request shows. */
async function reported(requests: Request[]): Promise<Anomaly> {
  const engine = new Engine(detect, { mode: "all" });
  let last: Anomaly | undefined;
  for (const { signal, body } of requests) {
    last = (await engine.process(signal, "default", body)).anomalies.at(-1);
  }
  await engine.close();
  return last!;
}

test("a metric's value has the metric's unit", async () => {
  const report = await reported(pointsOf("By", 400));
  expect(report).toMatchObject({ value: 400, unit: "By", fieldCosts: [] });
  expect(report.expected!.high).toBeLessThan(400);
  expect(report.explanation).toContain("400");
  expect(await reported(pointsOf("", 400))).toMatchObject({ value: 400, unit: "" });
});

test("a unit is bounded", async () => {
  const { unit } = await reported(pointsOf("x".repeat(200), 400));
  expect(unit).toBe("x".repeat(64));
});

test("a span's duration is in nanoseconds, as its usual range", async () => {
  const report = await reported(spans(900));
  expect(report).toMatchObject({ value: 900e6, unit: "ns" });
  expect(report.expected!.low).toBeGreaterThan(8e6);
  expect(report.expected!.high).toBeLessThan(12e6);
});

test("new fields have their costs, the costliest first", async () => {
  const line = strangeLine();
  const report = await reported(
    lines({ ...line, attributes: { "exception.kind": "transient", "http.response.status_code": 200 } }),
  );
  expect(report.value).toBeUndefined();
  expect(report.fieldCosts.map(({ field }) => field)).toEqual(["body", "exception.kind", "severity"]);
  const bits = report.fieldCosts.map((cost) => cost.bits);
  expect(bits).toEqual(bits.toSorted((a, b) => b - a));
  // The rest is what matches of the baseline cost.
  const rest = report.surpriseBits - bits.reduce((sum, each) => sum + each, 0);
  expect(rest).toBeGreaterThanOrEqual(0);
  expect(rest % 16).toBe(0);
  expect(report.field).toBe("body");
});
