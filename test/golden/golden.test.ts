/**
 * The engine's results for fixed inputs stay the same to the last byte: the output of `driftlock replay`, the forwarded
 * requests, anomalies, and the statistics of streams. A change that is meant to alter nothing is checked against it.
 */

import { execFile } from "node:child_process";
import { hash } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { fromBinary, toBinary, toJson } from "@bufbuild/protobuf";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import type { Report } from "../../src/anomaly/report.ts";
import { AnomalySchema, Channel, State } from "../../src/gen/driftlock/v1/anomaly_pb.js";
import { ExportLogsServiceRequestSchema } from "../../src/gen/opentelemetry/proto/collector/logs/v1/logs_service_pb.js";
import { ExportMetricsServiceRequestSchema } from "../../src/gen/opentelemetry/proto/collector/metrics/v1/metrics_service_pb.js";
import { ExportTraceServiceRequestSchema } from "../../src/gen/opentelemetry/proto/collector/trace/v1/trace_service_pb.js";
import type { KeyValue } from "../../src/gen/opentelemetry/proto/common/v1/common_pb.js";
import { type Anomaly, Engine, parseConfig } from "../../src/index.ts";
import { startDriftlock } from "../e2e/driftlock.ts";
import { startDownstream } from "../forward/downstream.ts";
import { expectGolden } from "./golden-file.ts";
import { type OtlpSet, otlpSets } from "./otlp-sets.ts";
import { expectReplay, goldenReplays } from "./replays.ts";

// Each test starts processes, which takes long on a busy machine.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

const main = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));
const sets = await otlpSets();
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "driftlock-golden-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

const digest = (bytes: Uint8Array | string) => hash("sha256", bytes, "hex").slice(0, 32);

describe("replay prints the same lines", () => {
  const run = async (args: string[]) =>
    (await promisify(execFile)(process.execPath, [main, ...args], { maxBuffer: 2 ** 28 })).stdout;

  it.each(goldenReplays(sets))("$name", (replay) => expectReplay(replay, folder, run));
});

const config = {
  baseline: { records: 200 },
  budget: { per_stream_per_day: 20 },
  window: { records: 64, hop: 32 },
};
const engineOf = (mode: "all" | "flagged", detect: object = {}) =>
  new Engine(parseConfig({ detect: { ...config, ...detect } }).detect, { mode });

interface Request {
  /** The set and the request's place in it, for messages. */
  name: string;
  signal: OtlpSet["signal"];
  body: Buffer;
}

const requestsOf = (wanted: readonly OtlpSet[]): Request[] =>
  wanted.flatMap(({ name, signal, requests }) =>
    requests.map((body, i) => ({ name: `${name} ${i}`, signal, body })),
  );

const schemas = {
  logs: ExportLogsServiceRequestSchema,
  traces: ExportTraceServiceRequestSchema,
  metrics: ExportMetricsServiceRequestSchema,
} as const;

/** Removes cbad.explanation from a request in place; returns the other cbad attributes that it has. */
function withoutExplanations(message: unknown): string[] {
  if (typeof message !== "object" || message === null || message instanceof Uint8Array) return [];
  return Object.entries(message).flatMap(([key, value]) => {
    if (key !== "attributes") return withoutExplanations(value);
    const all = value as KeyValue[];
    const kept = all.filter((attribute) => attribute.key !== "cbad.explanation");
    all.splice(0, all.length, ...kept);
    const own = kept.filter((attribute) => attribute.key.startsWith("cbad."));
    return own.length === 0 ? [] : [own.map((each) => `${each.key}=${each.value?.value.value}`).join(" ")];
  });
}

/**
 * Describes a forwarded request that differs from the received one: its hash, its hash without explanations (so that a
 * change of their wording shows as nothing else), and the attributes that its records received.
 */
function forwardedLines(name: string, signal: OtlpSet["signal"], forward: Buffer): string[] {
  const schema = schemas[signal];
  const message = fromBinary(schema as typeof ExportLogsServiceRequestSchema, forward);
  const attributes = withoutExplanations(message);
  const rest = toBinary(schema as typeof ExportLogsServiceRequestSchema, message);
  return [
    `${name}: ${attributes.length} annotated, without explanations ${digest(rest)}`,
    ...attributes.map((text) => `${name}: ${text}`),
    `${name}: forwarded ${digest(forward)}`,
  ];
}

function anomalyLines(name: string, anomalies: readonly Anomaly[]): string[] {
  return anomalies.flatMap((anomaly) => {
    const { explanation, ...rest } = toJson(AnomalySchema, anomaly) as { explanation: string };
    return [`${name}: anomaly ${JSON.stringify(rest)}`, `${name}: explanation ${explanation}`];
  });
}

interface Judgement {
  lines: string[];
  anomalies: Anomaly[];
  /** Bodies of the forwarded requests. */
  bodies: Buffer[];
  /** One line per stream. */
  statistics: string[];
}

/**
 * Judges requests one after another, then ten silent minutes; `half` replaces the engine halfway through the requests.
 */
async function judge(
  requests: readonly Request[],
  engine: Engine,
  half?: (engine: Engine) => Promise<Engine>,
): Promise<Judgement> {
  const judgement: Judgement = { lines: [], anomalies: [], bodies: [], statistics: [] };
  const { lines, bodies } = judgement;
  const report = (name: string, reports: readonly Report[]) => {
    const anomalies = reports.map(({ message }) => message);
    judgement.anomalies.push(...anomalies);
    lines.push(...anomalyLines(name, anomalies));
  };
  for (const [i, { name, signal, body }] of requests.entries()) {
    if (half !== undefined && i === requests.length >> 1) engine = await half(engine);
    const { forward, reports, flagged } = await engine.process(signal, "default", body);
    if (forward !== null) bodies.push(forward);
    if (flagged === 0) expect(forward === null || forward === body).toBe(true);
    else lines.push(...forwardedLines(name, signal, forward!));
    report(name, reports);
  }
  for (let minute = 0; minute < 10; minute++)
    report(`silent minute ${minute}`, (await engine.advance(60_000)).reports);
  const { streams } = await engine.statistics(1_000);
  judgement.statistics = streams.map(statisticsLine).sort();
  await engine.close();
  return judgement;
}

function statisticsLine(of: Awaited<ReturnType<Engine["statistics"]>>["streams"][number]): string {
  const times = [of.firstSeen, of.lastSeen, of.baselineAt];
  const counts = [of.records, of.flagged, of.withheld, of.score, of.channel, of.pValue];
  const all = [of.key, of.tenant, of.signal, of.service, of.state, of.progress, ...times, ...counts];
  return `statistics ${all.join(" | ")}`;
}

/** Selects the first few lines of each kind, to be shown in full. */
function someOfEach(most: number) {
  const seen = new Map<string, number>();
  return (line: string) => {
    const kind = /explanation [^\d"]*|anomaly|statistics|annotated|cbad|forwarded|$/.exec(line)![0];
    seen.set(kind, (seen.get(kind) ?? 0) + 1);
    return seen.get(kind)! <= most;
  };
}

/** Findings that the inputs must produce, or the comparison means little: each kind, and how an anomaly ends. */
const findings: Record<string, (anomaly: Anomaly) => boolean> = {
  content: ({ channel, record }) => channel === Channel.CONTENT && record !== undefined,
  "the order of a session": ({ channel, record, field }) =>
    channel === Channel.SEQUENCE && record !== undefined && field !== "parent_span_id",
  "a span's parent": ({ field }) => field === "parent_span_id",
  "a span's duration": ({ channel, field }) => channel === Channel.VALUE && field === "duration",
  "a metric's value": ({ channel, field }) => channel === Channel.VALUE && field === "value",
  "a histogram's shape": ({ field }) => field === "buckets",
  "a summary's quantile": ({ field }) => field === "quantile",
  "a field's values": ({ channel }) => channel === Channel.FIELDS,
  "a burst": ({ channel, expected }) => channel === Channel.VOLUME && expected?.high !== undefined,
  "a silence, while requests come": ({ explanation }) => explanation.startsWith("No records for"),
  "the end of an anomaly": ({ state }) => state === State.ENDED,
};

describe("the engine judges, annotates and reports the same", () => {
  const requests = requestsOf(sets);
  let judged: Judgement;
  beforeAll(async () => {
    judged = await judge(requests, engineOf("all"));
  });

  it("every signal and channel, and the statistics of streams", () => {
    expectGolden("judged", judged.lines, someOfEach(4));
    expectGolden("statistics", judged.statistics, () => true);
  });

  it.each(Object.entries(findings))("and the inputs bring to light %s", (_, found) => {
    expect(judged.anomalies.some(found)).toBe(true);
  });

  it("on several threads, and restored from a snapshot half-way", async () => {
    const { lines } = await judge(requests, engineOf("all", { threads: 3 }), async (engine) => {
      const snapshot = await engine.snapshot();
      await engine.close();
      const next = engineOf("all", { threads: 2 });
      expect(await next.restore(snapshot)).toBe(true);
      return next;
    });
    expect(lines).toEqual(judged.lines);
  });

  it("as a tap, where flagged records alone go on", async () => {
    const { lines, bodies } = await judge(requests, engineOf("flagged"));
    expect(bodies.length).toBeGreaterThan(0);
    expectGolden("judged-tap", lines, someOfEach(1));
  });
});

it("the sidecar forwards what the engine gives", async () => {
  const requests = requestsOf(
    sets.filter(({ name }) => ["shop-logs", "shop-traces", "shop-metrics", "parents"].includes(name)),
  );
  const downstream = await startDownstream("grpc");
  const keyFile = join(folder, "hash.key");
  writeFileSync(keyFile, "0".repeat(64), { mode: 0o600 });
  const sidecar = await startDriftlock(
    {
      detect: { ...config, key_file: keyFile },
      forward: { endpoint: downstream.endpoint, compression: "none", anomaly_events: false },
    },
    { main },
  );
  try {
    for (const { signal, body } of requests) {
      const response = await fetch(`http://${sidecar.http}/v1/${signal}`, {
        method: "POST",
        headers: { "content-type": "application/x-protobuf" },
        body: new Uint8Array(body),
      });
      expect(response.status).toBe(200);
      await response.arrayBuffer();
    }
  } finally {
    await sidecar.program.stop();
    await downstream.close();
  }
  const { lines, bodies } = await judge(requests, engineOf("all"));
  expectGolden("sidecar", lines, () => false);
  expect(downstream.received.map(({ body }) => digest(body))).toEqual(bodies.map(digest));
});
