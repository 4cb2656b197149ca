/**
 * Sends telemetry of a real SDK through the exporters that Driftlock wraps, and encodes all of it twice: with Driftlock's encoder
 * and with OpenTelemetry's own. Runs in a folder that has the SDK, and prints what it found as JSON.
 */
import {
  createTraceState,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  TraceFlags,
  trace,
} from "@opentelemetry/api";
import {
  ProtobufLogsSerializer,
  ProtobufMetricsSerializer,
  ProtobufTraceSerializer,
} from "@opentelemetry/otlp-transformer";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { BatchLogRecordProcessor, InMemoryLogRecordExporter, LoggerProvider } from "@opentelemetry/sdk-logs";
import {
  AggregationTemporality,
  AggregationType,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from "@opentelemetry/sdk-metrics";
import { batchProcessor, InMemorySpanExporter, tracerProvider } from "./tracing.js";

const sources = process.env.DRIFTLOCK_SOURCES;
const { Driftlock, DriftlockLogRecordProcessor, DriftlockSpanProcessor, withDriftlock } = await import(
  `${sources}/sdk/otel/index.ts`
);
const { encode } = await import(`${sources}/sdk/otel/telemetry.ts`);

const detect = { baseline: { records: 200 } };
const wrapping = new Driftlock({ detect });
const observing = new Driftlock({ detect });
const resource = resourceFromAttributes({
  "service.name": "shop",
  "service.version": "1.2.3",
  // Longer than 127 bytes, and not ASCII.
  "process.command_args": ["node", "ä€😀".repeat(40), `--config=${"x".repeat(200)}`],
});

const spans = new InMemorySpanExporter();
const spanProcessor = batchProcessor(withDriftlock(spans, wrapping));
const tracing = tracerProvider({
  resource,
  spanProcessors: [spanProcessor, new DriftlockSpanProcessor(observing)],
});
const logs = new InMemoryLogRecordExporter();
const logProcessor = new BatchLogRecordProcessor({ exporter: withDriftlock(logs, wrapping) });
const logging = new LoggerProvider({
  resource,
  processors: [logProcessor, new DriftlockLogRecordProcessor(observing)],
});
const points = new InMemoryMetricExporter(AggregationTemporality.DELTA);
const metricExporter = withDriftlock(points, wrapping);
const reader = new PeriodicExportingMetricReader({
  exporter: metricExporter,
  exportIntervalMillis: 3_600_000,
});
const metering = new MeterProvider({
  resource,
  readers: [reader],
  views: [{ instrumentName: "job.size", aggregation: { type: AggregationType.EXPONENTIAL_HISTOGRAM } }],
});

const start = Date.parse("2026-01-31T12:00:00Z");
const time = (i, ms = 0) => new Date(start + i * 1_000 + ms);

/** Spans as usual, in two scopes, and one that is strange. */
const tracers = [
  tracing.getTracer("shop.cart", "1.0.0"),
  tracing.getTracer("shop.pay", "2.0.0", { schemaUrl: "https://example.com/1" }),
];
const remote = {
  traceId: "0af7651916cd43dd8448eb211c80319c",
  spanId: "b7ad6b7169203331",
  traceFlags: TraceFlags.SAMPLED,
  isRemote: true,
  traceState: createTraceState("vendor=opaque"),
};
const total = 600;
for (let i = 0; i <= total; i++) {
  const attributes = {
    "http.route": "/cart",
    "http.response.status_code": 200,
    "cart.size": i % 7,
    paid: i % 2 === 0,
  };
  const parent = i % 3 === 0 ? trace.setSpanContext(ROOT_CONTEXT, remote) : ROOT_CONTEXT;
  const tracer = tracers[i % 2];
  const options = {
    kind: SpanKind.SERVER,
    attributes,
    startTime: time(i),
    links: i % 5 === 0 ? [{ context: remote, attributes: { why: "retry" } }] : [],
  };
  const span = tracer.startSpan(i % 2 === 0 ? "GET /cart" : "POST /pay", options, parent);
  if (i % 4 === 0)
    span.addEvent("cache miss", { ratio: 0.25, big: -(2 ** 40), nan: NaN, none: [] }, time(i, 1));
  if (i === total) {
    span.setAttribute(
      "exception.message",
      "ledger refused: fencing token is stale, replay of mandate denied",
    );
    span.setStatus({ code: SpanStatusCode.ERROR, message: "ledger refused" });
  }
  span.end(time(i, 20 + (i % 5)));
  if (i % 200 === 0) await spanProcessor.forceFlush();
}
await spanProcessor.forceFlush();

const logger = logging.getLogger("shop.log", "1.0.0");
for (let i = 0; i <= total; i++) {
  const body =
    i === total
      ? "ledger refused: fencing token is stale, replay of mandate denied"
      : `order ${(i * 7919) % 10_007} paid in ${(i * 31) % 97} ms`;
  logger.emit({
    body,
    timestamp: time(i),
    observedTimestamp: time(i, 3),
    severityNumber: 9,
    severityText: "INFO",
    attributes: { thread: i % 4 },
    context: trace.setSpanContext(ROOT_CONTEXT, remote),
  });
  if (i % 200 === 0) await logProcessor.forceFlush();
}
await logProcessor.forceFlush();
logger.emit({
  body: { nested: { list: [1, [2.5, "x"], null], raw: new Uint8Array([1, 2, 3]) } },
  eventName: "order.paid",
});
logger.emit({ severityText: "WARN" });
await logProcessor.forceFlush();

const meter = metering.getMeter("shop.metrics", "1.0.0");
const counter = meter.createCounter("orders", { description: "Orders", unit: "{order}", valueType: 0 });
const queue = meter.createUpDownCounter("queue");
const latency = meter.createHistogram("latency", { unit: "ms" });
const sizes = meter.createHistogram("job.size");
const level = meter.createGauge("level");
for (let i = 0; i < 3; i++) {
  counter.add(2 ** 33 + i, { route: "/cart" });
  queue.add(i - 4.5);
  for (const each of [1, 10, 1_000, 0]) latency.record(each + i, { route: "/cart" });
  for (const each of [0, 1e-3, 5, 7e6]) sizes.record(each);
  level.record(i * 1.25, { tank: "a" });
  await reader.forceFlush();
}
await wrapping.flush();
await observing.flush();

const exported = {
  traces: [spans.getFinishedSpans()],
  logs: [logs.getFinishedLogRecords()],
  metrics: points.getMetrics(),
};
const theirs = {
  traces: ProtobufTraceSerializer,
  logs: ProtobufLogsSerializer,
  metrics: ProtobufMetricsSerializer,
};
const same = {};
for (const [signal, serializer] of Object.entries(theirs)) {
  same[signal] = exported[signal].map((each) =>
    Buffer.from(serializer.serializeRequest(each)).equals(encode(each).request),
  );
}
const annotated = (items) =>
  items.flatMap(({ attributes }, i) =>
    attributes["cbad.anomaly"] === true ? [[i, attributes["cbad.channel"]]] : [],
  );
console.log(
  JSON.stringify({
    same,
    spans: { count: exported.traces[0].length, annotated: annotated(exported.traces[0]) },
    logs: { count: exported.logs[0].length, annotated: annotated(exported.logs[0]) },
    methods: [metricExporter.selectAggregationTemporality?.(0), spans.getFinishedSpans()[total].duration],
    wrapping: { ...wrapping.stats(), engine: undefined },
    observing: { ...observing.stats(), engine: undefined },
  }),
);
await Promise.all([tracing.shutdown(), logging.shutdown(), metering.shutdown()]);
await wrapping.close();
await observing.close();
