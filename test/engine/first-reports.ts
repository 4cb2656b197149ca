/** First reports with recordings, on the sets of the golden files and on a shop with faults of all kinds. */
import { toJson } from "@bufbuild/protobuf";
import type { Report } from "../../src/anomaly/report.ts";
import { AnomalySchema, State } from "../../src/gen/driftlock/v1/anomaly_pb.js";
import { anomalyNames } from "../../src/generate/anomalies.ts";
import type { Batch } from "../../src/generate/batch.ts";
import { ShopTelemetry } from "../../src/generate/shop-telemetry.ts";
import { Engine, parseConfig } from "../../src/index.ts";
import { decompress } from "../../src/math.ts";
import type { EnginePrivacy } from "../../src/native.ts";
import type { OtlpSet } from "../golden/otlp-sets.ts";

export interface Options {
  threads?: number;
  recordings?: boolean;
  policies?: object[];
  privacy?: EnginePrivacy;
  /** Whether another engine goes on from a snapshot, now and then. */
  restarts?: boolean;
}

const minute = 60_000;

function newEngine(
  { threads = 1, recordings = true, policies = [], privacy = {} }: Options,
  budget: object,
): Engine {
  const { detect } = parseConfig({ detect: { threads, policies, budget, window: { records: 64, hop: 32 } } });
  return new Engine(detect, { mode: "all", recordings, privacy });
}

export const isFirst = ({ message }: Report) => message.occurrence === 1n && message.state === State.OPEN;

/** All reports on a set of requests, and on the silence after it. */
export async function reportsOn(set: OtlpSet, options: Options = {}): Promise<Report[]> {
  const engine = newEngine(options, { per_stream_per_day: 20 });
  const reports: Report[] = [];
  for (const [i, request] of set.requests.entries()) {
    reports.push(...(await engine.process(set.signal, "default", request)).reports);
    if (i % 100 === 99) reports.push(...(await engine.advance(30_000)).reports);
  }
  for (let i = 0; i < 20; i++) reports.push(...(await engine.advance(minute)).reports);
  await engine.close();
  return reports;
}

/** The first reports on the shop of `reportsOfShop`. */
export async function firstReportsOfShop(options: Options = {}, seed = "recordings"): Promise<Report[]> {
  return (await reportsOfShop(options, seed)).filter(isFirst);
}

/** All reports on a shop in which a fault of each kind comes after another, one every three minutes. */
export async function reportsOfShop(options: Options = {}, seed = "recordings"): Promise<Report[]> {
  const budget = {
    per_stream_per_day: 50,
    per_group_per_day: 100,
    per_tenant_per_day: 0,
    per_process_per_day: 0,
  };
  const schedule = anomalyNames.map((name, i) => ({
    name,
    start: (10 + 3 * i) * minute,
    end: (11 + 3 * i) * minute,
  }));
  const shop = new ShopTelemetry({
    seed,
    startUnixNano: 1_767_225_600_000_000_000n,
    signals: ["logs", "traces", "metrics"],
    rate: 60,
    speed: 1,
    duration: 42 * minute,
    recordsPerRequest: 100,
    schedule,
  });
  let engine = newEngine(options, budget);
  const reports: Report[] = [];
  let passed = 0;
  for (const { signal, body, time } of shop.batches() as Iterable<Batch>) {
    reports.push(...(await engine.process(signal, "default", body)).reports);
    if (time - passed < 5 * minute) continue;
    passed = time;
    reports.push(...(await engine.advance(10_000, ["default"])).reports);
    if (!options.restarts) continue;
    const snapshot = await engine.snapshot();
    await engine.close();
    engine = newEngine(options, budget);
    if (!(await engine.restore(snapshot))) throw new Error("the snapshot is refused");
  }
  for (let i = 0; i < 20; i++) reports.push(...(await engine.advance(minute)).reports);
  await engine.close();
  return reports;
}

export async function firstReportsOn(set: OtlpSet): Promise<Report[]> {
  return (await reportsOn(set)).filter(isFirst);
}

/** All of a report, with its excerpts as texts. */
export function wholeOf({ message }: Report): unknown {
  const { excerpts: _, ...verdict } = toJson(AnomalySchema, message) as Record<string, unknown>;
  const { excerpts } = message;
  if (excerpts === undefined) return verdict;
  const text = (frame: Uint8Array, plain: Uint8Array) =>
    Buffer.from(frame.length > 0 ? decompress("openzl", frame, 2 ** 20) : plain).toString();
  return {
    ...verdict,
    baseline: text(excerpts.baseline, excerpts.baselineText),
    window: [verdict.window, text(excerpts.window, excerpts.windowText)],
  };
}
