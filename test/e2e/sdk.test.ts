/** OpenTelemetry SDKs as senders -> Driftlock -> a Collector with a file exporter. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { create, toBinary } from "@bufbuild/protobuf";
import { OTLPLogExporter } from "@opentelemetry/exporter-logs-otlp-grpc";
import { OTLPMetricExporter } from "@opentelemetry/exporter-metrics-otlp-grpc";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-grpc";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { BatchLogRecordProcessor, LoggerProvider } from "@opentelemetry/sdk-logs";
import { MeterProvider, PeriodicExportingMetricReader } from "@opentelemetry/sdk-metrics";
import { BatchSpanProcessor, NodeTracerProvider } from "@opentelemetry/sdk-trace-node";
import { afterEach, beforeEach, expect, it } from "vitest";
import { ExportTraceServiceRequestSchema } from "../../src/gen/opentelemetry/proto/collector/trace/v1/trace_service_pb.js";
import { type Driftlock, startDriftlock } from "./driftlock.ts";
import { stopAll } from "./programs.ts";
import { readJson } from "./telemetry.ts";
import { type Collector, startCollector } from "./tools.ts";

let folder: string;
let file: string;
let downstream: Collector;
let driftlock: Driftlock;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "driftlock-e2e-"));
  file = join(folder, "out.jsonl");
  downstream = await startCollector("collector-file.yaml", { FILE: file });
  driftlock = await startDriftlock({ forward: { endpoint: `http://${downstream.grpc}` } });
});
afterEach(async () => {
  await stopAll();
  await rm(folder, { recursive: true, force: true });
});

async function delivered() {
  expect(await driftlock.program.stop()).toBe(0);
  expect(await downstream.program.stop()).toBe(0);
  return readJson(file);
}

it("takes all that the JavaScript SDK's gRPC exporters send", async () => {
  const url = `http://${driftlock.grpc}`;
  const resource = resourceFromAttributes({ "service.name": "js-shop" });
  const tracing = new NodeTracerProvider({
    resource,
    spanProcessors: [new BatchSpanProcessor(new OTLPTraceExporter({ url }))],
  });
  const logging = new LoggerProvider({
    resource,
    processors: [new BatchLogRecordProcessor({ exporter: new OTLPLogExporter({ url }) })],
  });
  const metering = new MeterProvider({
    resource,
    readers: [new PeriodicExportingMetricReader({ exporter: new OTLPMetricExporter({ url }) })],
  });

  const tracer = tracing.getTracer("shop");
  const logger = logging.getLogger("shop");
  const meter = metering.getMeter("shop");
  const orders = meter.createCounter("orders");
  const latency = meter.createHistogram("latency", { unit: "ms" });
  for (let i = 0; i < 500; i++) {
    const span = tracer.startSpan("checkout", { attributes: { "order.id": i } });
    logger.emit({ severityNumber: 9, body: `order ${i} paid`, attributes: { "order.id": i } });
    orders.add(1, { region: `r${i % 5}` });
    latency.record(i, { region: `r${i % 5}` });
    span.end();
  }
  await Promise.all([tracing.shutdown(), logging.shutdown(), metering.shutdown()]);

  const { logs, traces, metrics } = await delivered();
  const ids = Array.from({ length: 500 }, (_, i) => String(i));
  expect(traces.map(({ attributes }) => attributes["order.id"])).toEqual(ids);
  expect(logs.map(({ attributes }) => attributes["order.id"])).toEqual(ids);
  expect(logs.map(({ record }) => record.body)).toEqual(ids.map((i) => ({ stringValue: `order ${i} paid` })));
  expect(metrics).toHaveLength(10);
  const sums = metrics.filter(({ record }) => "asDouble" in record || "asInt" in record);
  expect(sums.map(({ record }) => Number(record.asDouble ?? record.asInt))).toEqual([
    100, 100, 100, 100, 100,
  ]);
  const services = [...logs, ...traces, ...metrics].map((record) => record.resource["service.name"]);
  expect(new Set(services)).toEqual(new Set(["js-shop"]));
});

// An SDK appends the signal's path if OTEL_EXPORTER_OTLP_ENDPOINT is Driftlock's HTTP endpoint.
it("takes OTLP/HTTP as binary and as JSON, plain and compressed", async () => {
  const endpoint = `http://${driftlock.http}`;
  const post = async (
    path: string,
    type: string,
    body: Uint8Array<ArrayBuffer> | string,
    encoding?: string,
  ) => {
    const response = await fetch(`${endpoint}${path}`, {
      method: "POST",
      headers: { "content-type": type, ...(encoding && { "content-encoding": encoding }) },
      body,
    });
    expect(response.status).toBe(200);
    expect(response.headers.get("content-type")).toContain(type);
    await response.arrayBuffer();
  };
  const spans = (name: string) =>
    toBinary(
      ExportTraceServiceRequestSchema,
      create(ExportTraceServiceRequestSchema, {
        resourceSpans: [
          {
            scopeSpans: [
              { spans: [{ traceId: new Uint8Array(16).fill(7), spanId: new Uint8Array(8).fill(7), name }] },
            ],
          },
        ],
      }),
    );
  const ids = { traceId: "5b8efff798038103d269b633813fc60c", spanId: "eee19b7ec3c1b174" };
  const json = (name: string) =>
    JSON.stringify({ resourceSpans: [{ scopeSpans: [{ spans: [{ ...ids, name, kind: 2 }] }] }] });
  const metric = {
    name: "load",
    gauge: { dataPoints: [{ timeUnixNano: "1700000000000000000", asDouble: 0.5 }] },
  };

  await post("/v1/traces", "application/x-protobuf", spans("binary"));
  await post("/v1/traces", "application/x-protobuf", gzipSync(spans("binary, gzip")), "gzip");
  await post("/v1/traces", "application/json", json("json"));
  await post("/v1/traces", "application/json", gzipSync(json("json, gzip")), "gzip");
  await post(
    "/v1/logs",
    "application/json",
    JSON.stringify({
      resourceLogs: [{ scopeLogs: [{ logRecords: [{ body: { stringValue: "hello" }, ...ids }] }] }],
    }),
  );
  await post(
    "/v1/metrics",
    "application/json",
    JSON.stringify({
      resourceMetrics: [{ scopeMetrics: [{ metrics: [metric] }] }],
    }),
  );

  const { logs, traces, metrics } = await delivered();
  expect(traces.map(({ record }) => record.name)).toEqual(["binary", "binary, gzip", "json", "json, gzip"]);
  expect(traces[0]!.record).toMatchObject({ traceId: "07".repeat(16), spanId: "07".repeat(8) });
  expect(traces[2]!.record).toMatchObject({ ...ids, kind: 2 });
  expect(logs.map(({ record }) => record)).toEqual([
    expect.objectContaining({ body: { stringValue: "hello" }, ...ids }),
  ]);
  expect(metrics.map(({ record }) => record)).toEqual([expect.objectContaining({ asDouble: 0.5 })]);
});
