/**
 * Requests as the OpenTelemetry SDK for JavaScript sends them over gRPC, read and spliced and compared with
 * protobuf-es.
 */
import { Server, ServerCredentials } from "@grpc/grpc-js";
import { SpanStatusCode } from "@opentelemetry/api";
import { OTLPLogExporter } from "@opentelemetry/exporter-logs-otlp-grpc";
import { OTLPMetricExporter } from "@opentelemetry/exporter-metrics-otlp-grpc";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-grpc";
import { BatchLogRecordProcessor, LoggerProvider } from "@opentelemetry/sdk-logs";
import { AggregationType, MeterProvider, PeriodicExportingMetricReader } from "@opentelemetry/sdk-metrics";
import { BatchSpanProcessor, NodeTracerProvider } from "@opentelemetry/sdk-trace-node";
import { afterAll, beforeAll, expect, it } from "vitest";
import { grpcMethod, type Signal, signals } from "../../src/otlp/protocol.ts";
import { compare } from "./otlp-compare.ts";
import { Dump } from "./otlp-dump.ts";

const received: Record<Signal, Buffer[]> = { logs: [], traces: [], metrics: [] };
const server = new Server();
let dump: Dump;
let url: string;

beforeAll(async () => {
  dump = new Dump();
  const raw = (bytes: Buffer) => bytes;
  for (const signal of signals) {
    const path = grpcMethod[signal];
    server.addService(
      {
        export: {
          path,
          requestStream: false,
          responseStream: false,
          requestSerialize: raw,
          requestDeserialize: raw,
          responseSerialize: raw,
          responseDeserialize: raw,
        },
      },
      {
        export(call: { request: Buffer }, answer: (error: null, response: Buffer) => void) {
          received[signal].push(call.request);
          answer(null, Buffer.alloc(0));
        },
      },
    );
  }
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, port) =>
      error ? reject(error) : resolve(port),
    ),
  );
  url = `http://127.0.0.1:${port}`;
});
afterAll(async () => {
  server.forceShutdown();
  expect(await dump.close()).toBe(0);
});

async function expectAlike(signal: Signal, records: number): Promise<void> {
  let seen = 0;
  for (const request of received[signal]) seen += await compare(dump, signal, request, 2);
  expect(seen).toBe(records);
}

it("reads the log records of an SDK", async () => {
  const logging = new LoggerProvider({
    processors: [new BatchLogRecordProcessor({ exporter: new OTLPLogExporter({ url }) })],
  });
  const logger = logging.getLogger("shop", "1.2.3");
  logger.emit({ body: "order paid", severityNumber: 9, severityText: "INFO", attributes: { order: 17 } });
  logger.emit({ body: { total: 12.5, lines: ["a", "b"], gift: false }, eventName: "order" });
  logger.emit({
    attributes: { deep: { list: [1, [2, [3]]] }, nothing: null, raw: new Uint8Array([1, 2, 3]) },
  });
  await logging.shutdown();
  await expectAlike("logs", 3);
});

it("reads the spans of an SDK", async () => {
  const tracing = new NodeTracerProvider({
    spanProcessors: [new BatchSpanProcessor(new OTLPTraceExporter({ url }))],
  });
  const tracer = tracing.getTracer("shop");
  const parent = tracer.startSpan("checkout", { kind: 1, attributes: { tags: ["a", "b"], retry: true } });
  const child = tracer.startSpan("pay", {
    links: [{ context: parent.spanContext(), attributes: { why: 1.5 } }],
  });
  child.addEvent("declined", { code: 51 });
  child.recordException(new Error("no money"));
  child.setStatus({ code: SpanStatusCode.ERROR, message: "declined" });
  child.end();
  parent.end();
  await tracing.shutdown();
  await expectAlike("traces", 2);
});

it("reads the points of an SDK", async () => {
  const metering = new MeterProvider({
    readers: [new PeriodicExportingMetricReader({ exporter: new OTLPMetricExporter({ url }) })],
    views: [{ instrumentName: "wide", aggregation: { type: AggregationType.EXPONENTIAL_HISTOGRAM } }],
  });
  const meter = metering.getMeter("shop");
  for (const route of ["/a", "/b"]) {
    meter.createCounter("orders", { unit: "{order}" }).add(3, { route });
    meter.createUpDownCounter("open").add(-2.5, { route });
    meter.createGauge("depth").record(7, { route });
    for (const value of [0, 0.1, 12, 3e6]) {
      meter.createHistogram("narrow").record(value, { route });
      meter.createHistogram("wide").record(value, { route });
    }
  }
  await metering.shutdown();
  await expectAlike("metrics", 10);
});
