import { fromBinary, toBinary } from "@bufbuild/protobuf";
import pino from "pino";
import { afterAll, expect, it } from "vitest";
import { configSchema } from "../../src/config/schema.ts";
import { Engine } from "../../src/engine/index.ts";
import { startForwarder } from "../../src/forward/index.ts";
import { Channel, State } from "../../src/gen/driftlock/v1/anomaly_pb.js";
import { ExportMetricsServiceRequestSchema } from "../../src/gen/opentelemetry/proto/collector/metrics/v1/metrics_service_pb.js";
import { StreamMetricsExport } from "../../src/sidecar/stream-metrics-export.ts";
import { forwardHooks } from "../../src/telemetry/hooks.ts";
import { createMetrics } from "../../src/telemetry/metrics.ts";
import { StreamMetrics } from "../../src/telemetry/stream-metrics.ts";
import { logs, normalLines, strangeLine } from "../cli/sender.ts";
import { startDownstream } from "../forward/downstream.ts";
import { report } from "../store/fixtures.ts";

const versions = {
  version: "1.2.3",
  node: "24.0.0",
  codecs: { openzl: "0.3.0", zstd: "1.5.7", lz4: "1.10.0" },
};
const { detect } = configSchema.parse({ detect: { baseline: { records: 200 } } });
const engine = new Engine(detect, { mode: "all", key: new Uint8Array(32) });
afterAll(() => engine.close());

it("shows streams up to a number, those with an open anomaly first", async () => {
  const streams = new StreamMetrics(2);
  const metrics = createMetrics(versions);
  metrics.watchStreams(streams);
  const read = async (name: string): Promise<string[]> =>
    (await metrics.registry.metrics())
      .split("\n")
      .filter((line) => line.startsWith(`driftlock_stream_${name}`));
  const process = async (lines: string[], from: number, service: string) => {
    const { reports } = await engine.process("logs", "acme", logs(lines, from, service));
    for (const report of reports) streams.offer(report);
    streams.update((await engine.statistics(64)).streams);
    return reports;
  };

  for (const service of ["cart", "search", "till"]) await process(normalLines(600), 0, service);
  const labels = (service: string) =>
    `tenant="acme",signal="logs",service="${service}",stream="logs service.name=${service}"`;
  const open = (service: string, count: number) =>
    `driftlock_stream_open_anomalies{${labels(service)}} ${count}`;
  expect(await read("open_anomalies")).toEqual([open("cart", 0), open("search", 0)]);
  expect(await read("metrics_omitted")).toEqual(["driftlock_stream_metrics_omitted 1"]);

  const [report] = await process([strangeLine], 600, "till");
  expect(await read("open_anomalies")).toEqual([open("search", 0), open("till", 1)]);
  const of = `{${labels("till")},channel="content"}`;
  const { score, limit } = report!.message;
  expect(await read("score")).toContain(`driftlock_stream_score${of} ${score}`);
  const [shown] = (await read("limit")).filter((line) => line.includes(of));
  expect(Number(shown!.slice(shown!.lastIndexOf(" ")))).toBeCloseTo(limit, 0);

  // Five quiet minutes end the anomaly.
  await process(normalLines(400), 601, "till");
  expect(await read("open_anomalies")).toContain(open("till", 0));
});

it("has for a resource group what its reports say", () => {
  const streams = new StreamMetrics(2);
  const group = { stream: "group service.name=till", channel: Channel.GROUP };
  const offer = (init: object) => streams.offer({ bytes: new Uint8Array(), message: report(init) });
  offer({ ...group, score: 9, limit: 4 });
  const [series] = streams.series;
  expect(series).toMatchObject({ channel: "group", score: 9, limit: 4 });
  expect(series!.open.size).toBe(1);
  offer({ ...group, state: State.ENDED, score: 0, limit: 0 });
  expect(series).toMatchObject({ channel: "group", score: 0, limit: 4 });
  expect(series!.open.size).toBe(0);
});

it("sends the metrics downstream, and does not judge them when they come back", async () => {
  const streams = new StreamMetrics(10);
  const metrics = createMetrics(versions);
  const log = pino({ level: "silent" });
  const target = await startDownstream("grpc");
  const { forward } = configSchema.parse({ forward: { endpoint: target.endpoint, compression: "none" } });
  const forwarder = await startForwarder(forward, forwardHooks(metrics, log), "unused");
  const stream = `logs service.name=back`;
  const message = report({ stream, serviceName: "back", expected: { low: 1, high: 2 } });
  streams.offer({ bytes: new Uint8Array(), message });
  const source = { service: "sidecar", environment: "test", version: "1.2.3" };
  const sending = new StreamMetricsExport({ forwarder, metrics, streams, source, log }, 10);
  await expect.poll(() => target.received.length).toBeGreaterThan(0);
  sending.close();
  await forwarder.close(1_000);
  await target.close();

  const { signal, body } = target.received[0]!;
  expect(signal).toBe("metrics");
  const request = fromBinary(ExportMetricsServiceRequestSchema, body);
  const { resource, scopeMetrics } = request.resourceMetrics[0]!;
  expect(resource!.attributes[0]).toMatchObject({
    key: "service.name",
    value: { value: { value: "sidecar" } },
  });
  const sent = scopeMetrics[0]!.metrics;
  const values = sent.map(({ name, data }) => [
    name,
    data.case === "gauge" && data.value.dataPoints[0]!.value.value,
  ]);
  expect(Object.fromEntries(values)).toEqual({
    "driftlock.stream.score": 0,
    "driftlock.stream.open_anomalies": 1,
    "driftlock.stream.expected_low": 1,
    "driftlock.stream.expected_high": 2,
  });
  expect(await metrics.registry.metrics()).toMatch(/stream_metrics_requests_total{result="forwarded"} [1-9]/);

  const before = engine.stats().streams;
  const outcome = await engine.process("metrics", "acme", body);
  expect(outcome).toMatchObject({ records: 4, returned: 4, flagged: 0 });
  for (const metric of sent) metric.name = metric.name.replaceAll(".", "_");
  const scraped = Buffer.from(toBinary(ExportMetricsServiceRequestSchema, request));
  expect((await engine.process("metrics", "acme", scraped)).returned).toBe(4);
  expect(engine.stats().streams).toBe(before);
  sent[0]!.name = "driftlock.streams";
  const other = Buffer.from(toBinary(ExportMetricsServiceRequestSchema, request));
  expect((await engine.process("metrics", "acme", other)).returned).toBe(3);
});
