/** telemetrygen -> Collector -> Driftlock -> Collector with a file exporter, over every protocol of OTLP. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import type { Signal } from "../../src/otlp/protocol.ts";
import { startDriftlock } from "./driftlock.ts";
import { Program, stopAll, until } from "./programs.ts";
import { type JsonRecord, readJson } from "./telemetry.ts";
import { startCollector, startSink, telemetrygen } from "./tools.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "driftlock-e2e-"));
});
afterEach(async () => {
  await stopAll();
  await rm(folder, { recursive: true, force: true });
});

/** Number of items that telemetrygen sends of each signal; for traces it sends twice as many spans. */
const count = 400;
const strangeBody =
  "panic: assertion failed: left == right in ledger::balance, dumping core to /var/crash/ledger.core";

async function generate(signal: Signal, endpoint: string, args: string[], http = false): Promise<void> {
  const program = new Program(telemetrygen, [
    signal,
    "--otlp-insecure",
    ...(http ? ["--otlp-http"] : []),
    "--otlp-endpoint",
    endpoint,
    "--rate=0",
    ...args,
  ]);
  await program.succeeded();
}

const hasCbad = ({ attributes }: JsonRecord) =>
  Object.keys(attributes).some((key) => key.startsWith("cbad."));

/** How the sending Collector exports, how Driftlock forwards, and whether telemetrygen sends over HTTP. */
const ways = [
  { exporter: "otlp_grpc", forward: "grpc", compression: "gzip", http: false },
  { exporter: "otlp_http/proto", forward: "http", compression: "gzip", http: true },
  { exporter: "otlp_http/json", forward: "http", compression: "zstd", http: true },
] as const;

it.for(ways)("passes on all signals and flags an anomaly: $exporter in, $forward out", async (way) => {
  const file = join(folder, "out.jsonl");
  const downstream = await startCollector("collector-file.yaml", { FILE: file });
  const driftlock = await startDriftlock({
    detect: { baseline: { records: 200 } },
    forward: {
      endpoint: `http://${way.forward === "grpc" ? downstream.grpc : downstream.http}`,
      protocol: way.forward,
      compression: way.compression,
    },
  });
  const upstream = await startCollector("collector-forward.yaml", {
    EXPORTER: way.exporter,
    TARGET: way.exporter === "otlp_grpc" ? driftlock.grpc : driftlock.http,
  });

  const entry = way.http ? upstream.http : upstream.grpc;
  await generate("logs", entry, [`--logs=${count}`], way.http);
  await generate("traces", entry, [`--traces=${count}`], way.http);
  await generate("metrics", entry, [`--metrics=${count}`], way.http);
  const forwarded = (signal: Signal) => driftlock.metric("driftlock_forwarded_records_total", { signal });
  await until("the baseline", async () => ((await forwarded("logs")) >= count ? true : undefined));
  await generate("logs", entry, ["--logs=1", `--body=${strangeBody}`], way.http);

  // A Collector delivers what it holds before it ends.
  expect(await upstream.program.stop()).toBe(0);
  const expected = { logs: count + 1, traces: 2 * count, metrics: count };
  for (const signal of ["logs", "traces", "metrics"] as const) {
    expect(await driftlock.metric("driftlock_receiver_records_total", { signal })).toBe(expected[signal]);
    expect(await forwarded(signal)).toBe(expected[signal]);
  }
  expect(await driftlock.program.stop()).toBe(0);
  expect(await downstream.program.stop()).toBe(0);

  const { logs, traces, metrics } = await readJson(file);
  expect([logs.length, traces.length, metrics.length]).toEqual([
    expected.logs,
    expected.traces,
    expected.metrics,
  ]);
  const flagged = logs.filter(hasCbad);
  expect(flagged.map(({ record }) => record.body)).toEqual([{ stringValue: strangeBody }]);
  expect(flagged[0]!.attributes).toMatchObject({
    "cbad.anomaly": true,
    "cbad.anomaly.id": expect.stringMatching(/^[0-9a-f]{32}$/),
    "cbad.stream": expect.stringContaining("telemetrygen"),
    "cbad.channel": "content",
    "cbad.score": expect.any(Number),
    "cbad.explanation": expect.stringContaining("panic"),
  });
});

it("holds a Collector back while the downstream is away, and loses nothing", async () => {
  const gone = await startSink();
  const driftlock = await startDriftlock({
    forward: {
      endpoint: `http://${gone.address}`,
      retry: { initial_interval: "50ms", max_interval: "200ms", max_elapsed_time: "500ms" },
    },
  });
  const upstream = await startCollector("collector-forward.yaml", {
    EXPORTER: "otlp_grpc",
    TARGET: driftlock.grpc,
  });
  await gone.totals();
  await generate("logs", upstream.grpc, [`--logs=${count}`]);
  await until("refusals", async () => {
    const refused = await driftlock.metric("driftlock_receiver_requests_total", { code: "UNAVAILABLE" });
    return refused >= 3 ? true : undefined;
  });
  expect(await driftlock.metric("driftlock_forwarded_records_total")).toBe(0);

  const back = await startSink([], gone.address);
  await until("delivery", async () =>
    (await driftlock.metric("driftlock_forwarded_records_total")) >= count ? true : undefined,
  );
  expect(await upstream.program.stop()).toBe(0);
  expect(await driftlock.program.stop()).toBe(0);
  expect((await back.totals()).logs?.records).toBe(count);
});
