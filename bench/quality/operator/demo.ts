/**
 * The first minutes of `make run`: which of its anomalies are reported, after how long, and how many alarms nothing explains.
 * The same requests are judged in event time, without waiting for them.
 */
import process from "node:process";
import { alarmsPerGroup, plan, rate } from "../../../scripts/demo-plan.ts";
import { configSchema } from "../../../src/config/schema.ts";
import { Engine } from "../../../src/engine/index.ts";
import { type Anomaly, Channel, Signal, State } from "../../../src/gen/driftlock/v1/anomaly_pb.js";
import type { Incident } from "../../../src/gen/driftlock/v1/incidents_pb.js";
import { type AnomalyName, anomalyKinds } from "../../../src/generate/anomalies.ts";
import type { Service } from "../../../src/generate/shop.ts";
import { ShopTelemetry } from "../../../src/generate/shop-telemetry.ts";
import { IncidentFormer } from "../../../src/incidents/former.ts";
import { signals } from "../../../src/otlp/protocol.ts";
import type { Row } from "../../table.ts";
import { tally } from "./alarms.ts";

const start = Date.UTC(2026, 0, 5, 9, 30);
const duration = 320_000;
/** An anomaly may still be reported so long after its end, such as at the end of a tick. */
const after = 15_000;

/** The metric in which an anomaly shows. */
const metrics: Partial<Record<AnomalyName, string>> = {
  "metric-spike": " process.cpu.utilization",
  "level-shift": " db.client.connection.count ",
};
/** Where an anomaly shows beside its own service: in those that call it, or that are no longer called. */
const elsewhere: Partial<Record<AnomalyName, readonly Service[]>> = {
  latency: ["frontend", "checkout"],
  "error-status": ["frontend", "checkout"],
  "missing-span": ["payments", "frontend"],
};

export interface Found {
  /** Seconds from the beginning of the anomaly to the first report about it. */
  seconds: number;
  /** Whether that report began an anomaly, rather than continue one. */
  own: boolean;
  stream: string;
  channel: string;
  explanation: string;
}

export interface FalseAlarm {
  /** Seconds since the beginning. */
  at: number;
  stream: string;
  channel: string;
  explanation: string;
}

export interface DemoResult {
  found: Map<AnomalyName, Found>;
  falseAlarms: FalseAlarm[];
  /** What is reported of incidents, with the seconds since the beginning. */
  incidents: { at: number; incident: Incident }[];
}

/** Whether an anomaly of the plan is visible in the stream that the report is about. */
function shows(name: AnomalyName, { serviceName, signal, stream }: Anomaly): boolean {
  const { service, signals: own } = anomalyKinds[name];
  // With the span, the logs that belong to it are missing.
  const visible: readonly string[] = name === "missing-span" ? ["traces", "logs"] : own;
  return (
    [service, ...(elsewhere[name] ?? [])].some((each) => each === serviceName) &&
    visible.includes(Signal[signal]!.toLowerCase()) &&
    stream.includes(metrics[name] ?? "")
  );
}

/** Judges the first minutes of the demo, with its own settings. */
export async function runDemo(seed: string): Promise<DemoResult> {
  const shop = new ShopTelemetry({
    seed,
    startUnixNano: BigInt(start) * 1_000_000n,
    signals,
    rate,
    speed: 1,
    duration,
    recordsPerRequest: 100,
    schedule: plan.map(({ name, start, seconds }) => ({
      name,
      start: start * 1_000,
      end: (start + seconds) * 1_000,
    })),
  });
  const { detect, incidents } = configSchema.parse({
    detect: { budget: { per_group_per_day: alarmsPerGroup } },
  });
  const engine = new Engine(detect, { mode: "all" });
  const former = new IncidentFormer({ perTenantPerDay: incidents.budget.per_tenant_per_day, seed: 1n });
  const result: DemoResult = { found: new Map(), falseAlarms: [], incidents: [] };
  try {
    for (const { signal, body, time } of shop.batches()) {
      const { anomalies, evidence } = await engine.process(signal, "default", body);
      const at = time / 1_000;
      for (const anomaly of anomalies) note(anomaly, at, result);
      if (evidence === undefined) continue;
      for (const incident of former.add(evidence)) result.incidents.push({ at, incident });
    }
  } finally {
    await engine.close();
  }
  return result;
}

/** Adds a report to the result: it finds what it is about, or else it is a false alarm. */
function note(anomaly: Anomaly, now: number, { found, falseAlarms }: DemoResult): void {
  const { state, occurrence, stream, explanation } = anomaly;
  if (state !== State.OPEN) return;
  const own = occurrence === 1n;
  const at = (Number(anomaly.timeUnixNano / 1_000_000n) - start) / 1_000;
  const channel = Channel[anomaly.channel]!.toLowerCase();
  const about = plan.findLast(
    ({ name, start, seconds }) =>
      start <= now && at <= start + seconds + after / 1_000 && shows(name, anomaly),
  );
  if (about && !found.has(about.name))
    found.set(about.name, { seconds: now - about.start, own, stream, channel, explanation });
  if (!about && own) falseAlarms.push({ at: now, stream, channel, explanation });
}

/** The number of demos that are judged, each with a seed of its own. */
const seeds = Number(process.env.SEEDS ?? 20);

export async function demo(): Promise<Row[]> {
  const results: DemoResult[] = [];
  for (let i = 1; i <= seeds; i++) results.push(await runDemo(`demo/${i}`));
  const rows: Row[] = plan.map(({ name }) => {
    const found = results.flatMap((result) => result.found.get(name) ?? []);
    const seconds = found.map((each) => each.seconds).sort((a, b) => a - b);
    return {
      anomaly: name,
      found: `${found.length} of ${seeds}`,
      "of its own": found.filter(({ own }) => own).length,
      "median s": seconds[seconds.length >> 1]?.toFixed(1) ?? "",
      "latest s": seconds.at(-1)?.toFixed(1) ?? "",
      by: tally(found, ({ channel }) => channel),
    };
  });
  const wrong = results.map(({ falseAlarms }) => falseAlarms.length);
  rows.push({
    anomaly: "false alarms",
    found: `${wrong.reduce((sum, count) => sum + count, 0)} in ${seeds} demos, at most ${Math.max(...wrong)} in one`,
    "of its own": "",
    "median s": "",
    "latest s": "",
    by: tally(
      results.flatMap(({ falseAlarms }) => falseAlarms),
      ({ channel, stream }) => `${channel} of ${stream.split(" ", 1)}`,
    ),
  });
  if (process.env.VERBOSE) {
    for (const [i, { falseAlarms }] of results.entries())
      for (const { at, stream, explanation } of falseAlarms)
        process.stderr.write(`demo/${i + 1}, ${at.toFixed(0)} s: ${stream}: ${explanation}\n`);
  }
  return rows;
}
