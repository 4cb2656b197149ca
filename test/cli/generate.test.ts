import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { fromBinary } from "@bufbuild/protobuf";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { dispatch } from "../../src/cli/commands.ts";
import { readRequests } from "../../src/cli/recording/requests.ts";
import { ExportLogsServiceRequestSchema } from "../../src/gen/opentelemetry/proto/collector/logs/v1/logs_service_pb.js";
import { ExportMetricsServiceRequestSchema } from "../../src/gen/opentelemetry/proto/collector/metrics/v1/metrics_service_pb.js";
import { ExportTraceServiceRequestSchema } from "../../src/gen/opentelemetry/proto/collector/trace/v1/trace_service_pb.js";
import type { KeyValue } from "../../src/gen/opentelemetry/proto/common/v1/common_pb.js";
import type { LogRecord } from "../../src/gen/opentelemetry/proto/logs/v1/logs_pb.js";
import type { Metric } from "../../src/gen/opentelemetry/proto/metrics/v1/metrics_pb.js";
import {
  type Span,
  Span_SpanKind,
  Status_StatusCode,
} from "../../src/gen/opentelemetry/proto/trace/v1/trace_pb.js";
import {
  type AnomalyName,
  anomalyNames,
  defaultSchedule,
  type Schedule,
} from "../../src/generate/anomalies.ts";
import { cardNumber } from "../../src/generate/faults.ts";
import { Random } from "../../src/generate/random.ts";
import {
  type ShopBatch as Batch,
  type ShopOptions,
  ShopTelemetry,
  scrapeInterval,
} from "../../src/generate/shop-telemetry.ts";
import { faultNames } from "../../src/generate/topology/fault.ts";
import { type Signal, signals } from "../../src/otlp/protocol.ts";
import { startDownstream, unavailable } from "../forward/downstream.ts";

const start = 1_767_225_600_000_000_000n; // 2026-01-01

function options(some: Partial<ShopOptions> = {}): ShopOptions {
  return {
    seed: "7",
    startUnixNano: start,
    signals,
    rate: 400,
    speed: 1,
    duration: 20_000,
    recordsPerRequest: 50,
    schedule: [],
    ...some,
  };
}

function batches(some: Partial<ShopOptions> = {}): Batch[] {
  return [...new ShopTelemetry(options(some)).batches()];
}

interface Records {
  logs: { service: string; record: LogRecord }[];
  spans: { service: string; record: Span }[];
  metrics: { service: string; record: Metric }[];
}

function text(attributes: readonly KeyValue[], key: string): string | undefined {
  const value = attributes.find((attribute) => attribute.key === key)?.value?.value;
  return value?.case === "stringValue" ? value.value : undefined;
}

function decode(all: readonly Batch[]): Records {
  const records: Records = { logs: [], spans: [], metrics: [] };
  for (const { signal, body } of all) {
    if (signal === "logs") {
      for (const { resource, scopeLogs } of fromBinary(ExportLogsServiceRequestSchema, body).resourceLogs) {
        const service = text(resource!.attributes, "service.name")!;
        records.logs.push(...scopeLogs.flatMap((s) => s.logRecords.map((record) => ({ service, record }))));
      }
    } else if (signal === "traces") {
      for (const { resource, scopeSpans } of fromBinary(ExportTraceServiceRequestSchema, body)
        .resourceSpans) {
        const service = text(resource!.attributes, "service.name")!;
        records.spans.push(...scopeSpans.flatMap((s) => s.spans.map((record) => ({ service, record }))));
      }
    } else {
      const { resourceMetrics } = fromBinary(ExportMetricsServiceRequestSchema, body);
      for (const { resource, scopeMetrics } of resourceMetrics) {
        const service = text(resource!.attributes, "service.name")!;
        records.metrics.push(
          ...scopeMetrics.flatMap((s) => s.metrics.map((record) => ({ service, record }))),
        );
      }
    }
  }
  return records;
}

function body({ record }: { record: LogRecord }): string {
  return record.body?.value.case === "stringValue" ? record.body.value.value : "";
}

/** Milliseconds of stream time. */
function at(unixNano: bigint): number {
  return Number(unixNano - start) / 1e6;
}

function bytes(all: readonly Batch[]): Buffer {
  return Buffer.concat(all.map((batch) => batch.body));
}

interface Shop {
  shop: ShopTelemetry;
  all: Batch[];
  records: Records;
}

const shops = new Map<string, Shop>();

function shopWith(name: AnomalyName | undefined): Shop {
  const key = name ?? "";
  let made = shops.get(key);
  if (made === undefined) {
    const schedule: Schedule[] = name ? [{ name, start: 8_000, end: 12_000 }] : [];
    const shop = new ShopTelemetry(options({ schedule }));
    const all = [...shop.batches()];
    made = { shop, all, records: decode(all) };
    shops.set(key, made);
  }
  return made;
}

const plainShop = () => shopWith(undefined);

/** Returns the records of the anomaly, from 8 s to 12 s, and of the shop without it. */
function anomalousShop(name: AnomalyName) {
  const { shop, all, records } = shopWith(name);
  return { plain: plainShop().records, anomalous: records, all, shop };
}

describe("the shop's telemetry", () => {
  it("is the same for the same options, and another for another seed or start", () => {
    const schedule = () => defaultSchedule({ signals, rate: 400_000, speed: 0.1 }, 100, 20_000);
    const once = bytes(batches({ schedule: schedule() }));
    expect(bytes(batches({ schedule: schedule() })).equals(once)).toBe(true);
    expect(bytes(batches({ schedule: schedule(), seed: "8" })).equals(once)).toBe(false);
    expect(bytes(batches({ schedule: schedule(), startUnixNano: start + 1n })).equals(once)).toBe(false);
  });

  it("comes at about the rate, in the order of time, in requests of bounded size", () => {
    const { all } = plainShop();
    const records = all.reduce((sum, { truths }) => sum + truths.length, 0);
    expect(records).toBeGreaterThan(0.85 * 400 * 20);
    expect(records).toBeLessThan(1.15 * 400 * 20);
    expect(Math.max(...all.map(({ truths }) => truths.length))).toBeLessThanOrEqual(50);
    expect(all.map(({ time }) => time)).toEqual(all.map(({ time }) => time).sort((a, b) => a - b));
    const faster = batches({ speed: 60, duration: 20_000 * 60 });
    expect(faster.reduce((sum, { truths }) => sum + truths.length, 0)).toBeGreaterThan(0.85 * 400 * 20);
  });

  it("holds trees of spans, with logs that name them", () => {
    const { spans, logs } = plainShop().records;
    const byId = new Map(spans.map((span) => [Buffer.from(span.record.spanId).toString("hex"), span]));
    expect(byId.size).toBe(spans.length);
    const roots = spans.filter(({ record }) => record.parentSpanId.length === 0);
    expect(
      roots.every(({ service, record }) => service === "frontend" && record.kind === Span_SpanKind.SERVER),
    ).toBe(true);
    for (const { record } of spans) {
      expect(record.endTimeUnixNano).toBeGreaterThan(record.startTimeUnixNano);
      if (record.parentSpanId.length === 0) continue;
      const parent = byId.get(Buffer.from(record.parentSpanId).toString("hex"))!;
      expect(Buffer.from(parent.record.traceId).equals(record.traceId)).toBe(true);
      expect(record.startTimeUnixNano).toBeGreaterThanOrEqual(parent.record.startTimeUnixNano);
    }
    const traced = logs.filter(({ record }) => record.spanId.length > 0);
    expect(traced.length).toBeGreaterThan(logs.length / 2);
    for (const { service, record } of traced) {
      expect(byId.get(Buffer.from(record.spanId).toString("hex"))?.service).toBe(service);
    }
    expect(new Set(logs.map(({ service }) => service)).size).toBe(5);
  });

  it("holds metrics of all five types, consistent in themselves", () => {
    const { metrics } = plainShop().records;
    expect(new Set(metrics.map(({ record }) => record.data.case))).toEqual(
      new Set(["gauge", "sum", "histogram", "exponentialHistogram", "summary"]),
    );
    const totals = new Map<string, bigint>();
    for (const { service, record } of metrics) {
      if (record.data.case === "histogram") {
        for (const point of record.data.value.dataPoints) {
          expect(point.bucketCounts.length).toBe(point.explicitBounds.length + 1);
          expect(point.bucketCounts.reduce((sum, count) => sum + count, 0n)).toBe(point.count);
        }
      } else if (record.data.case === "exponentialHistogram") {
        for (const point of record.data.value.dataPoints) {
          const counts = point.positive!.bucketCounts.reduce((sum, count) => sum + count, 0n);
          expect(counts).toBe(point.count);
        }
      } else if (record.data.case === "sum" && record.data.value.isMonotonic) {
        for (const { attributes, value } of record.data.value.dataPoints) {
          const key = `${service} ${record.name} ${String(attributes[0]?.value?.value.value)}`;
          if (value.case !== "asInt") throw new Error("a whole number is expected");
          expect(value.value).toBeGreaterThanOrEqual(totals.get(key) ?? 0n);
          totals.set(key, value.value);
        }
      }
    }
    expect(totals.size).toBe(4);
  });
});

describe("anomalies", () => {
  it.each(anomalyNames)("%s leaves the records before it as they are", (name) => {
    const earlier = (all: Batch[]) => bytes(all.filter(({ time }) => time < 8_000));
    expect(earlier(anomalousShop(name).all).equals(earlier(plainShop().all))).toBe(true);
  });

  it.each([
    "new-error",
    "secret-leak",
    "latency",
    "error-status",
    "missing-span",
    "burst",
    "new-field",
  ] as const)("%s marks records from its start to its end, and those alone", (name) => {
    const { all, shop } = anomalousShop(name);
    const marked = all.flatMap(({ truths }) => truths.filter((truth) => truth !== undefined));
    expect(new Set(marked)).toEqual(new Set([name]));
    expect(shop.injected.get(name)).toMatchObject({ times: 1, records: marked.length });
    const times = all.filter(({ truths }) => truths.includes(name)).map(({ time }) => time);
    expect(Math.min(...times)).toBeGreaterThanOrEqual(8_000);
    // A request may wait for one second.
    expect(Math.max(...times)).toBeLessThanOrEqual(13_000);
  });

  it("new-error is one stack trace, 8 times, never seen before", () => {
    const { plain, anomalous } = anomalousShop("new-error");
    const traces = anomalous.logs.filter(({ record }) => text(record.attributes, "exception.stacktrace"));
    expect(traces).toHaveLength(8);
    expect(new Set(traces.map(body)).size).toBe(1);
    expect(traces.map(({ record }) => at(record.timeUnixNano))[0]).toBe(8_000);
    expect(plain.logs.some((log) => body(log).includes("Exception"))).toBe(false);
  });

  it("secret-leak holds card numbers that pass the check", () => {
    const { anomalous } = anomalousShop("secret-leak");
    const leaks = anomalous.logs.filter((log) => body(log).includes("pan="));
    expect(leaks).toHaveLength(4);
    const number = cardNumber(new Random("any")).replaceAll(" ", "");
    const sum = [...number].reverse().reduce((total, digit, i) => {
      const value = Number(digit) * (i % 2 === 1 ? 2 : 1);
      return total + (value > 9 ? value - 9 : value);
    }, 0);
    expect(number).toHaveLength(16);
    expect(sum % 10).toBe(0);
  });

  it("latency makes database spans ten times as long", () => {
    const { plain, anomalous } = anomalousShop("latency");
    const median = (records: Records, inside: boolean) => {
      const found = records.spans
        .filter(({ record }) => record.name === "SELECT stock")
        .filter(({ record }) => {
          const time = at(record.startTimeUnixNano);
          return inside ? time > 8_100 && time < 12_000 : time < 8_000;
        })
        .map(({ record }) => Number(record.endTimeUnixNano - record.startTimeUnixNano) / 1e6)
        .sort((a, b) => a - b);
      return found[found.length >> 1]!;
    };
    expect(median(anomalous, false)).toBe(median(plain, false));
    expect(median(anomalous, true)).toBeGreaterThan(6 * median(plain, true));
  });

  it("error-status ends reservations with an error", () => {
    const failed = (records: Records) =>
      records.spans.filter(
        ({ service, record }) => service === "inventory" && record.status?.code === Status_StatusCode.ERROR,
      );
    const { plain, anomalous } = anomalousShop("error-status");
    expect(failed(plain)).toHaveLength(0);
    expect(failed(anomalous).length).toBeGreaterThan(5);
    expect(failed(anomalous).every(({ record }) => at(record.startTimeUnixNano) < 12_500)).toBe(true);
  });

  it("missing-span leaves calls of payments without their server's span", () => {
    const { plain, anomalous } = anomalousShop("missing-span");
    const orphans = ({ spans }: Records) => {
      const parents = new Set(spans.map(({ record }) => Buffer.from(record.parentSpanId).toString("hex")));
      return spans.filter(
        ({ record }) =>
          record.kind === Span_SpanKind.CLIENT &&
          record.name === "shop.Payments/Charge" &&
          !parents.has(Buffer.from(record.spanId).toString("hex")),
      ).length;
    };
    expect(orphans(plain)).toBe(0);
    expect(orphans(anomalous)).toBeGreaterThan(5);
  });

  it("burst logs a known template 15 times over", () => {
    const { plain, anomalous } = anomalousShop("burst");
    const count = ({ logs }: Records) => logs.filter((log) => body(log).startsWith("Reserved ")).length;
    const inside = plain.logs.filter(
      (log) =>
        body(log).startsWith("Reserved ") &&
        at(log.record.timeUnixNano) > 8_050 &&
        at(log.record.timeUnixNano) < 11_950,
    ).length;
    expect(count(anomalous) - count(plain)).toBeGreaterThanOrEqual(14 * inside);
  });

  it("silence stops all signals of a service", () => {
    const { plain, anomalous, shop } = anomalousShop("silence");
    const inside = (records: Records) => [
      records.logs.filter(
        (l) => l.service === "notifications" && Math.abs(at(l.record.timeUnixNano) - 10_000) < 1_500,
      ),
      records.spans.filter(
        (s) => s.service === "notifications" && Math.abs(at(s.record.startTimeUnixNano) - 10_000) < 1_500,
      ),
    ];
    expect(inside(plain).every((list) => list.length > 3)).toBe(true);
    expect(inside(anomalous)).toEqual([[], []]);
    const missing = (["logs", "spans", "metrics"] as const).reduce(
      (sum, signal) => sum + plain[signal].length - anomalous[signal].length,
      0,
    );
    expect(shop.injected.get("silence")).toEqual({ times: 1, records: 0, withheld: missing });
  });

  it.each([
    ["metric-spike", "process.cpu.utilization"],
    ["level-shift", "db.client.connection.count"],
  ] as const)("%s lifts %s", (anomaly, metric) => {
    const highest = (records: Records) => {
      const values = records.metrics
        .filter(({ service, record }) => service === "inventory" && record.name === metric)
        .flatMap(({ record }) => {
          const { data } = record;
          return data.case === "gauge" || data.case === "sum" ? data.value.dataPoints : [];
        })
        .map(({ value }) => Number(value.value));
      return Math.max(...values);
    };
    const { plain, anomalous, all } = anomalousShop(anomaly);
    expect(highest(anomalous)).toBeGreaterThan(1.6 * highest(plain));
    expect(all.flatMap(({ truths }) => truths).filter((truth) => truth === anomaly).length).toBeGreaterThan(
      2,
    );
  });

  it("new-field adds one attribute that logs never had", () => {
    const keys = ({ logs }: Records) =>
      new Set(logs.flatMap(({ record }) => record.attributes.map(({ key }) => key)));
    const { plain, anomalous } = anomalousShop("new-field");
    const added = [...keys(anomalous)].filter((key) => !keys(plain).has(key));
    expect(added).toHaveLength(1);
  });

  it("come in turn by default, those of the signals alone", () => {
    const pace = { signals: ["logs"] as Signal[], rate: 500, speed: 60 };
    const schedule = [...defaultSchedule(pace, scrapeInterval(pace), 60 * 200_000)];
    expect(schedule.slice(0, 3).map(({ start }) => start / 60)).toEqual([45_000, 65_000, 85_000]);
    expect(new Set(schedule.map(({ name }) => name))).toEqual(
      new Set(["new-error", "secret-leak", "burst", "silence", "new-field"]),
    );
  });
});

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "driftlock-generate-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function generate(...args: string[]) {
  let out = "";
  let err = "";
  const io = {
    out: (text: string) => {
      out += text;
    },
    err: (text: string) => {
      err += text;
    },
    env: {},
  };
  const code = await dispatch(["generate", ...args], io);
  return { code, out, err };
}

async function batchesIn(data: Buffer, signal: Signal): Promise<Batch[]> {
  const read: Batch[] = [];
  for await (const { body } of readRequests(Readable.from([data]), { name: "data" }, signal, 1e6)) {
    read.push({ signal, body, time: 0, records: 0, truths: [] });
  }
  return read;
}

const brief = ["--start", "2026-01-01T00:00:00Z", "--rate", "300", "--speed", "20", "--duration", "30s"];

describe("driftlock generate", () => {
  it("writes a file a signal, the same bytes each time, which can be read back", async () => {
    const first = await generate(...brief, "--out", join(folder, "a-%s.bin"), "--anomaly", "latency@10s+5s");
    expect(first).toMatchObject({ code: 0, err: "" });
    expect(first.out).toMatch(/injected latency +x1: \d+ records\n/);
    await generate(...brief, "--out", join(folder, "b-%s.bin"), "--anomaly", "latency@10s+5s");
    for (const signal of signals) {
      const file = join(folder, `a-${signal}.bin`);
      expect(readFileSync(file).equals(readFileSync(join(folder, `b-${signal}.bin`)))).toBe(true);
      const { logs, spans, metrics } = decode(await batchesIn(readFileSync(file), signal));
      expect(logs.length + spans.length + metrics.length).toBeGreaterThan(10);
    }
  });

  it.each(["grpc", "http"] as const)("sends over %s what it would write, in order", async (protocol) => {
    const downstream = await startDownstream(protocol);
    try {
      const args = [...brief, "--signals", "logs", "--no-anomalies"];
      const sent = await generate(...args, "--endpoint", downstream.endpoint, "--protocol", protocol);
      expect(sent).toMatchObject({ code: 0, err: "" });
      const file = join(folder, `${protocol}.bin`);
      await generate(...args, "--out", file);
      const framed = downstream.received.flatMap(({ body }) => {
        const length = Buffer.alloc(4);
        length.writeUInt32BE(body.length);
        return [length, body];
      });
      expect(Buffer.concat(framed).equals(readFileSync(file))).toBe(true);
    } finally {
      await downstream.close();
    }
  });

  it("writes the truth about what it injected beside the data", async () => {
    const file = join(folder, "truth.jsonl");
    const made = await generate(
      ...[...brief, "--signals", "logs,metrics", "--out", join(folder, "true-%s.bin"), "--truth", file],
      ...["--anomaly", "burst@10s+5s", "--anomaly", "silence@20s+5s"],
    );
    expect(made).toMatchObject({ code: 0, err: "" });
    const lines = readFileSync(file, "utf8").trimEnd().split("\n");
    const truth = lines.map((line) => JSON.parse(line));
    const day = "2026-01-01T00:00:";
    expect(truth.filter((line) => "start" in line)).toEqual([
      {
        kind: "burst",
        service: "inventory",
        signals: ["logs"],
        start: `${day}10.000Z`,
        end: `${day}15.000Z`,
      },
      {
        kind: "silence",
        service: "notifications",
        signals: ["logs", "metrics"],
        start: `${day}20.000Z`,
        end: `${day}25.000Z`,
      },
    ]);
    const records = truth.filter((line) => "record" in line);
    const data = readFileSync(join(folder, "true-logs.bin"));
    const { logs } = decode(await batchesIn(data, "logs"));
    expect(records.length).toBeGreaterThan(15);
    for (const { kind, signal, record } of records) {
      expect({ kind, signal }).toEqual({ kind: "burst", signal: "logs" });
      expect(body(logs[record]!)).toMatch(/^Reserved /);
    }
    expect(made.out).toMatch(new RegExp(`injected burst +x1: ${records.length} records\n`));
    expect(data.includes("truth")).toBe(false);
  });

  it("writes a topology's faults with their causes into the truth", async () => {
    const file = join(folder, "faults.jsonl");
    const args = ["--topology", "--start", "2026-01-01T12:00:00Z", "--rate", "40", "--duration", "3m"];
    const made = await generate(
      ...[...args, "--out", join(folder, "topology-%s.bin"), "--truth", file],
      ...["--fault", "log-silence@90s+30s:0.5", "--fault", "slow-database@1m"],
    );
    expect(made).toMatchObject({ code: 0, err: "" });
    expect(made.out).toMatch(
      /injected slow-database: .*, shown by \d+ more\ninjected log-silence: [a-z-]+, shown by/,
    );
    const lines = readFileSync(file, "utf8").trimEnd().split("\n");
    const [slow, silent] = lines.map((line) => JSON.parse(line));
    expect(slow).toMatchObject({
      id: "fault-1",
      kind: "slow-database",
      cause: { service: expect.stringMatching(/-db$/) },
      signals: ["traces", "logs", "metrics"],
      start: "2026-01-01T12:01:00.000Z",
      end: "2026-01-01T12:11:00.000Z",
    });
    expect(slow.services[0]).toBe(slow.cause.service);
    expect(silent).toMatchObject({
      kind: "log-silence",
      signals: ["logs"],
      services: [silent.cause.service],
    });
    const { logs } = decode(await batchesIn(readFileSync(join(folder, "topology-logs.bin")), "logs"));
    const written = logs
      .filter(({ service }) => service === silent.cause.service)
      .map(({ record }) => Number(record.timeUnixNano / 1_000_000n) - Date.UTC(2026, 0, 1, 12));
    expect(written.some((ms) => ms >= 90_000 && ms < 120_000)).toBe(false);
    expect(written.some((ms) => ms < 90_000) && written.some((ms) => ms > 120_000)).toBe(true);
  });

  it("writes the faults of agents, and the turns that they affect, into the truth", async () => {
    const file = join(folder, "agents.jsonl");
    const made = await generate(
      ...["--agents", "--start", "2026-01-01T12:00:00Z", "--rate", "10", "--duration", "4m"],
      ...["--out", join(folder, "agents.bin"), "--truth", file, "--fault", "cost-jump@1m+2m:0.5"],
    );
    expect(made).toMatchObject({ code: 0, err: "" });
    const lines = readFileSync(file, "utf8").trimEnd().split("\n");
    const [fault, ...turns] = lines.map((line) => JSON.parse(line));
    expect(fault).toEqual({
      id: "fault-1",
      kind: "cost-jump",
      cause: { service: expect.any(String), agent: expect.any(String) },
      signals: ["traces"],
      start: "2026-01-01T12:01:00.000Z",
      end: "2026-01-01T12:03:00.000Z",
    });
    expect(turns.length).toBeGreaterThan(0);
    for (const turn of turns) {
      expect(turn).toEqual({
        fault: "fault-1",
        conversation: expect.stringMatching(/^conv_[0-9a-f]{24}$/),
        trace: expect.stringMatching(/^[0-9a-f]{32}$/),
        time: expect.stringMatching(/^2026-01-01T12:0[12]:/),
      });
    }
    expect(made.out).toContain(
      `injected cost-jump: ${fault.cause.agent} of ${fault.cause.service}, ${turns.length} turns\n`,
    );
  });

  it("sends again what it may, and counts and tells what was refused", async () => {
    const downstream = await startDownstream("grpc", (_, index) => {
      if (index === 0) return { ...unavailable("grpc"), retryAfterMs: 1 };
      if (index === 2) return { status: 3, message: "no such thing" };
      return index === 3 ? { partialSuccess: { rejected: 2, message: "two too many" } } : {};
    });
    try {
      const { code, out, err } = await generate(
        ...brief,
        ...[
          "--signals",
          "logs",
          "--no-anomalies",
          "--records-per-request",
          "20",
          "--endpoint",
          downstream.endpoint,
        ],
      );
      const { received } = downstream;
      expect(received[1]!.body.equals(received[0]!.body)).toBe(true);
      const refused = decode([{ signal: "logs", body: received[2]!.body, time: 0, records: 0, truths: [] }])
        .logs.length;
      expect(code).toBe(1);
      expect(out).toContain(`not accepted: ${refused + 2} records\n`);
      expect(err).toContain("retrying");
      expect(err).toContain("no such thing");
      expect(err).toContain("two too many");
    } finally {
      await downstream.close();
    }
  });

  it.each([
    [["--endpoint", "http://10.1.2.3:4317"], /10\.1\.2\.3 is another machine: .*--allow-remote/],
    [["--endpoint", "localhost:4317"], /--endpoint must be a URL/],
    [["--endpoint", "http://127.0.0.1:0"], /--endpoint must have a port from 1 to 65535/],
    [["--protocol", "htp"], /--protocol must be one of grpc, http, is "htp"; did you mean http\?/],
    [["--signals", "logs,spans"], /--signals must be one of logs, traces, metrics/],
    [["--rate", "0"], /--rate must be a number from/],
    [["--rate", "many"], /--rate must be a number/],
    [["--duration", "90"], /--duration must be a duration such as 30s or 2h, is "90"/],
    [["--start", "yesterday"], /--start must be a time/],
    [["--records-per-request", "1.5"], /must be a whole number/],
    [["--anomaly", "latncy@3s"], /did you mean latency\?/],
    [["--anomaly", "latency"], /must be like latency@90s\+10s/],
    [["--anomaly", "latency@soon"], /start of --anomaly latency must be a duration/],
    [["--anomaly", "latency@1s+x"], /duration of --anomaly latency/],
    [["--anomaly", "latency@1s", "--signals", "logs"], /is visible only in traces: add that to --signals/],
    [["--anomaly", "latency@9s", "--duration", "5s"], /begins after the end/],
    [["--anomaly", "latency@9s", "--no-anomalies"], /exclude each other/],
    [["--fault", "slow-database@1m"], /--fault needs --topology or --agents/],
    [["--agents", "--topology"], /--topology and --agents exclude each other/],
    [
      ["--agents", "--anomaly", "burst@1m"],
      /--agents and --anomaly exclude each other: inject faults with --fault/,
    ],
    [["--agents", "--signals", "metrics"], /--signals must be one of traces, logs, is "metrics"/],
    [
      ["--agents", "--fault", "slow-database@1m"],
      /--fault must be one of loop, leak, .*, is "slow-database"/,
    ],
    [["--topology", "--anomaly", "latency@1s"], /exclude each other: inject faults with --fault/],
    [["--topology", "--fault", "slow-database"], /must be like slow-database@90m\+10m/],
    [["--topology", "--fault", "slow-databse@1m"], /did you mean slow-database\?/],
    [["--topology", "--fault", "bad-replica@1m+5x"], /duration of --fault bad-replica must be/],
    [["--topology", "--fault", "bad-replica@1m:0"], /size of --fault bad-replica must be a number from/],
    [["--topology", "--fault", "log-silence@1m", "--signals", "traces"], /is visible only in logs/],
    [["--topology", "--fault", "bad-replica@9m", "--duration", "5m"], /begins after the end/],
    [["--out", "x"], /--out needs --duration/],
    [["--out", "x", "--duration", "1s"], /--out must hold %s/],
    [["--nonsense"], /unknown option --nonsense/],
    [["file"], /unexpected argument "file"/],
  ])("refuses %j", async (args, message) => {
    const { code, err } = await generate(...args);
    expect(code).toBe(2);
    expect(err).toMatch(message);
  });

  it("names the file that it cannot write", async () => {
    const { code, out, err } = await generate(...brief, "--out", join(folder, "none", "%s.bin"));
    expect({ code, out }).toEqual({ code: 1, out: "" });
    expect(err).toBe(`driftlock: --out: ${join(folder, "none", "logs.bin")}: its folder does not exist\n`);
    const truth = await generate(...brief, "--out", join(folder, "%s.bin"), "--truth", folder);
    expect(truth).toEqual({
      code: 1,
      out: "",
      err: `driftlock: --truth: ${folder}: is a folder, not a file\n`,
    });
    const onFolder = await generate(...brief, "--out", folder, "--signals", "logs");
    expect(onFolder).toMatchObject({
      code: 1,
      err: `driftlock: --out: ${folder}: is a folder, not a file\n`,
    });
  });

  it("prints its help", async () => {
    const { code, out } = await generate("--help");
    expect(code).toBe(0);
    for (const name of [...anomalyNames, ...faultNames]) expect(out).toContain(name);
  });
});
