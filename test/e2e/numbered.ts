/**
 * Requests of numbered records, and the numbers in what arrives: a log record or span has its number in an attribute, a
 * metric as its value.
 */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { ExportLogsServiceRequestSchema } from "../../src/gen/opentelemetry/proto/collector/logs/v1/logs_service_pb.js";
import { ExportMetricsServiceRequestSchema } from "../../src/gen/opentelemetry/proto/collector/metrics/v1/metrics_service_pb.js";
import { ExportTraceServiceRequestSchema } from "../../src/gen/opentelemetry/proto/collector/trace/v1/trace_service_pb.js";
import type { AnyValue, KeyValue } from "../../src/gen/opentelemetry/proto/common/v1/common_pb.js";
import { AggregationTemporality } from "../../src/gen/opentelemetry/proto/metrics/v1/metrics_pb.js";
import type { Signal } from "../../src/otlp/protocol.ts";

const key = "test.number";
const services = ["cart", "checkout", "payment"];
const strange = "kernel panic: unable to mount root filesystem on unknown-block, dumping registers to serial";

const stringValue = (value: string) => ({ value: { case: "stringValue" as const, value } });
const attribute = (name: string, value: string) => ({ key: name, value: stringValue(value) });

function line(n: number): string {
  // A few records are strange, so that the store has work as well.
  if (n % 20_011 === 0) return `${strange} ${n}`;
  return [
    `GET /cart/${n} 200 in ${n % 90} ms`,
    `payment ${n * 7919} accepted for order ${n}`,
    `session ${n * 31} of user ${n % 500} renewed`,
  ][n % 3]!;
}

/** An Export*ServiceRequest of one service with `count` records, numbered from `first`, observed now. */
export function numbered(signal: Signal, first: number, count: number): Buffer {
  const numbers = Array.from({ length: count }, (_, i) => first + i);
  const service = services[Math.floor(first / count) % services.length]!;
  const resource = { attributes: [attribute("service.name", service)] };
  const now = BigInt(Date.now()) * 1_000_000n;
  const number = (n: number) => [attribute(key, String(n))];
  switch (signal) {
    case "logs": {
      const schema = ExportLogsServiceRequestSchema;
      const logRecords = numbers.map((n) => ({
        timeUnixNano: now,
        body: stringValue(line(n)),
        attributes: number(n),
      }));
      const request = create(schema, { resourceLogs: [{ resource, scopeLogs: [{ logRecords }] }] });
      return Buffer.from(toBinary(schema, request));
    }
    case "traces": {
      const schema = ExportTraceServiceRequestSchema;
      const spans = numbers.map((n) => ({
        traceId: idBytes(n, 16),
        spanId: idBytes(n, 8),
        name: `GET /${["cart", "order", "user"][n % 3]}/{id}`,
        startTimeUnixNano: now,
        endTimeUnixNano: now + BigInt(5 + (n % 40)) * 1_000_000n,
        attributes: number(n),
      }));
      const request = create(schema, { resourceSpans: [{ resource, scopeSpans: [{ spans }] }] });
      return Buffer.from(toBinary(schema, request));
    }
    case "metrics": {
      const schema = ExportMetricsServiceRequestSchema;
      const dataPoints = numbers.map((n) => ({
        timeUnixNano: now,
        attributes: [attribute("route", `/${n % 5}`)],
        value: { case: "asInt" as const, value: BigInt(n) },
      }));
      const aggregationTemporality = AggregationTemporality.CUMULATIVE;
      const sum = { dataPoints, aggregationTemporality, isMonotonic: true };
      const metrics = [{ name: "http.server.requests", data: { case: "sum" as const, value: sum } }];
      const request = create(schema, { resourceMetrics: [{ resource, scopeMetrics: [{ metrics }] }] });
      return Buffer.from(toBinary(schema, request));
    }
  }
}

function idBytes(n: number, length: number): Uint8Array {
  const bytes = Buffer.alloc(length, 1);
  bytes.writeUInt32BE(n);
  return bytes;
}

function numberIn(attributes: KeyValue[]): number {
  return Number(attributes.find((one) => one.key === key)?.value?.value.value as AnyValue["value"]["value"]);
}

/** Returns the numbers of all records in a request, in order. */
export function numbersOf(signal: Signal, body: Buffer): number[] {
  switch (signal) {
    case "logs":
      return fromBinary(ExportLogsServiceRequestSchema, body)
        .resourceLogs.flatMap(({ scopeLogs }) => scopeLogs.flatMap(({ logRecords }) => logRecords))
        .map(({ attributes }) => numberIn(attributes));
    case "traces":
      return fromBinary(ExportTraceServiceRequestSchema, body)
        .resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans))
        .map(({ attributes }) => numberIn(attributes));
    case "metrics":
      return fromBinary(ExportMetricsServiceRequestSchema, body)
        .resourceMetrics.flatMap(({ scopeMetrics }) => scopeMetrics.flatMap(({ metrics }) => metrics))
        .flatMap(({ data }) => (data.case === "sum" ? data.value.dataPoints : []))
        .map(({ value }) => Number(value.value));
  }
}
