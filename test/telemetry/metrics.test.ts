import pino from "pino";
import { Histogram, Registry } from "prom-client";
import { describe, expect, it } from "vitest";
import { Code } from "../../src/otlp/protocol.ts";
import { definitions } from "../../src/telemetry/definitions.ts";
import { Durations } from "../../src/telemetry/durations.ts";
import { forwardHooks, receiveHooks } from "../../src/telemetry/hooks.ts";
import { createMetrics } from "../../src/telemetry/metrics.ts";

const versions = {
  version: "1.2.3",
  node: "24.0.0",
  codecs: { openzl: "0.3.0", zstd: "1.5.7", lz4: "1.10.0" },
};
const log = pino({ level: "silent" });

/** Series of the exposition text, by name and labels. */
async function read(metrics: ReturnType<typeof createMetrics>): Promise<Map<string, number>> {
  const lines = (await metrics.registry.metrics())
    .split("\n")
    .filter((line) => line && !line.startsWith("#"));
  return new Map(
    lines.map((line) => [line.slice(0, line.lastIndexOf(" ")), Number(line.slice(line.lastIndexOf(" ")))]),
  );
}

describe("durations", () => {
  const bounds = [0.001, 0.01, 0.1];
  const observed = [0, 0.001, 0.0010001, 0.05, 0.1, 7];

  it("are shown as a histogram of prom-client shows them", async () => {
    const definition = definitions.receiver.seconds;
    const [own, expected] = [new Registry(), new Registry()];
    const durations = new Durations(definition, bounds, own);
    const { name, help } = definition;
    const labelNames = ["signal", "transport"] as const;
    const histogram = new Histogram({ name, help, labelNames, buckets: bounds, registers: [expected] });
    expect(await own.metrics()).toBe(await expected.metrics());
    for (const transport of ["grpc", "http"]) {
      for (const seconds of observed) {
        durations.observe({ signal: "logs", transport }, seconds);
        histogram.observe({ signal: "logs", transport }, seconds);
      }
    }
    expect(await own.metrics()).toBe(await expected.metrics());
  });

  it("have a series from the start if there are no labels", async () => {
    const { name, help } = definitions.kafka.takeOver;
    const [own, expected] = [new Registry(), new Registry()];
    new Durations(definitions.kafka.takeOver, bounds, own);
    new Histogram({ name, help, buckets: bounds, registers: [expected] });
    expect(await own.metrics()).toBe(await expected.metrics());
  });
});

describe("metrics", () => {
  it("has its series from the start, and the process's", async () => {
    const series = await read(createMetrics(versions));
    expect(series.get('driftlock_receiver_records_total{signal="logs"}')).toBe(0);
    expect(series.get('driftlock_flagged_records_total{signal="metrics"}')).toBe(0);
    const reports = 'driftlock_anomaly_reports_total{signal="logs",channel="content",state="open"}';
    expect(series.get(reports)).toBe(0);
    expect(series.get('driftlock_receiver_requests_total{signal="traces",transport="http",code="OK"}')).toBe(
      0,
    );
    const build =
      'driftlock_build_info{version="1.2.3",node="24.0.0",openzl="0.3.0",zstd="1.5.7",lz4="1.10.0"}';
    expect(series.get(build)).toBe(1);
    expect(series.get("process_resident_memory_bytes")).toBeGreaterThan(0);
  });

  it("counts what the receivers tell", async () => {
    const metrics = createMetrics(versions);
    const hooks = receiveHooks(metrics, log);
    const event = {
      signal: "logs",
      transport: "grpc",
      bytes: 1_000,
      wireBytes: 100,
      seconds: 0.003,
    } as const;
    hooks.onRequest({ ...event, code: Code.OK });
    hooks.onRequest({ ...event, code: Code.UNAVAILABLE });
    hooks.onConnectionRefused("http");
    const series = await read(metrics);
    const labels = 'signal="logs",transport="grpc"';
    expect(series.get(`driftlock_receiver_requests_total{${labels},code="OK"}`)).toBe(1);
    expect(series.get(`driftlock_receiver_requests_total{${labels},code="UNAVAILABLE"}`)).toBe(1);
    expect(series.get(`driftlock_receiver_bytes_total{${labels}}`)).toBe(2_000);
    expect(series.get(`driftlock_receiver_wire_bytes_total{${labels}}`)).toBe(200);
    expect(series.get(`driftlock_receiver_duration_seconds_bucket{le="0.005",${labels}}`)).toBe(2);
    expect(series.get(`driftlock_receiver_duration_seconds_bucket{le="0.0025",${labels}}`)).toBe(0);
    expect(series.get('driftlock_receiver_refused_connections_total{transport="http"}')).toBe(1);
  });

  it("counts what the forwarder tells, with bounded codes", async () => {
    const metrics = createMetrics(versions);
    const hooks = forwardHooks(metrics, log);
    hooks.onAttempt({ signal: "traces", code: 99 as Code, seconds: 1, bytes: 10 });
    hooks.onAttempt({ signal: "traces", code: 98 as Code, seconds: 1, bytes: 10 });
    hooks.onDelivered({ signal: "traces", seconds: 0.2, bytes: 10, rejected: 3 });
    hooks.onDrop({ signal: "traces", reason: "queue_full", code: Code.UNAVAILABLE, bytes: 10 });
    hooks.onOversize({ signal: "traces", bytes: 10 });
    const series = await read(metrics);
    expect(series.get('driftlock_oversize_requests_total{signal="traces"}')).toBe(1);
    expect(series.get('driftlock_forward_attempts_total{signal="traces",code="OTHER"}')).toBe(2);
    expect(series.get('driftlock_forwarded_requests_total{signal="traces"}')).toBe(1);
    expect(series.get('driftlock_forwarded_bytes_total{signal="traces"}')).toBe(10);
    expect(series.get('driftlock_rejected_records_total{signal="traces"}')).toBe(3);
    expect(series.get('driftlock_undelivered_requests_total{signal="traces",reason="queue_full"}')).toBe(1);
    expect(series.get('driftlock_forward_duration_seconds_count{signal="traces"}')).toBe(1);
  });

  it("shows the metrics of parts that the process has, and those of several parts together", async () => {
    const metrics = createMetrics(versions);
    const shown = async (name: string) => (await read(metrics)).get(name);
    expect(await shown("driftlock_store_up")).toBeUndefined();
    metrics.watch({ storeUp: () => true, group: () => ({ topic: "in", partitions: 3, lag: 5 }) });
    metrics.watch({ storeUp: () => true, withheld: () => ({ stream: 1, process: 2 }) });
    metrics.watch({ group: () => ({ topic: "received", partitions: 1, lag: 7 }) });
    metrics.watch({ group: () => ({ topic: "received", partitions: 2, lag: 8 }) });
    metrics.watch({ withheld: () => ({ installation: 4, process: 3 }) });
    expect(await shown("driftlock_store_up")).toBe(1);
    expect(await shown('driftlock_kafka_partitions{topic="in"}')).toBe(3);
    expect(await shown('driftlock_kafka_lag_records{topic="received"}')).toBe(15);
    expect(await shown('driftlock_withheld_alarms_total{reason="process"}')).toBe(5);
    expect(await shown('driftlock_withheld_alarms_total{reason="installation"}')).toBe(4);
    metrics.watch({ storeUp: () => false });
    expect(await shown("driftlock_store_up")).toBe(0);
    expect(await shown("driftlock_streams")).toBeUndefined();
  });

  it("asks its sources when it is read", async () => {
    const metrics = createMetrics(versions);
    let streams = 3;
    metrics.watch({
      receivers: () => ({ requests: 7, bytes: 70 }),
      engine: () => ({
        streams,
        learning: 1,
        evicted: 2,
        bytes: 4_096,
        pending: 5,
        untold: 1,
        withheldByStreams: 13,
        withheldByGroups: 24,
        withheldByTenants: 25,
        withheldByProcess: 14,
        graphPlaces: 41,
        graphCalls: 42,
        graphSpans: 43,
        privacy: {},
        graphGaveWay: 44,
      }),
      withheld: () => ({ stream: 13, group: 24, tenant: 25, process: 14 }),
      forwarder: () => ({
        inflight: 1,
        queued: 2,
        queuedBytes: 300,
        storedBytes: 700,
        used: 0.25,
        healthy: true,
      }),
      storeUp: () => true,
      writer: () => ({ queued: 8, written: 90, dropped: 10, rejected: 11 }),
      incidentWriter: () => ({ queued: 31, dropped: 32, rejected: 33 }),
      droppedCalls: () => 34,
      incidents: () => ({
        openBySeverity: { high: 34, minor: 2 },
        begun: 35,
        minor: 36,
        ended: 37,
        merged: 38,
        leftOut: 39,
        late: 40,
      }),
      audit: () => ({ entries: 22, digest: "ab", altered: 23 }),
      listeners: () => ({ now: 15, refused: 16, dropped: { slow: 17, crowded: 18 } }),
      limits: () => ({ shared: true, failures: 12 }),
      usageEvents: () => ({ due: 22, refused: 23, unclear: 24 }),
      dataDir: () => true,
    });
    metrics.watchApi(() => ({ open: 19, refused: 20, displaced: 21 }));
    expect((await read(metrics)).get("driftlock_streams")).toBe(3);
    streams = 4;
    const series = await read(metrics);
    expect(series.get("driftlock_streams")).toBe(4);
    expect(series.get("driftlock_receiver_inflight_requests")).toBe(7);
    expect(series.get("driftlock_streams_learning")).toBe(1);
    expect(series.get("driftlock_evicted_streams_total")).toBe(2);
    expect(series.get("driftlock_engine_bytes")).toBe(4_096);
    expect(series.get('driftlock_withheld_alarms_total{reason="stream"}')).toBe(13);
    expect(series.get('driftlock_withheld_alarms_total{reason="group"}')).toBe(24);
    expect(series.get('driftlock_withheld_alarms_total{reason="tenant"}')).toBe(25);
    expect(series.get('driftlock_withheld_alarms_total{reason="process"}')).toBe(14);
    expect(series.get("driftlock_service_graph_gave_way_total")).toBe(44);
    expect(series.get("driftlock_store_pending_incidents")).toBe(31);
    expect(series.get('driftlock_open_incidents{severity="high"}')).toBe(34);
    expect(series.get('driftlock_incidents_total{event="begun"}')).toBe(35);
    expect(series.get('driftlock_incidents_total{event="merged"}')).toBe(38);
    expect(series.get("driftlock_left_out_incident_items_total")).toBe(39);
    expect(series.get("driftlock_queue_bytes")).toBe(300);
    expect(series.get("driftlock_queue_disk_bytes")).toBe(700);
    expect(series.get("driftlock_queue_used_ratio")).toBe(0.25);
    expect(series.get("driftlock_store_up")).toBe(1);
    expect(series.get("driftlock_downstream_up")).toBe(1);
    expect(series.get("driftlock_data_dir_present")).toBe(1);
    expect(series.get("driftlock_store_pending_reports")).toBe(8);
    expect(series.get("driftlock_store_written_reports_total")).toBe(90);
    expect(series.get("driftlock_store_dropped_reports_total")).toBe(10);
    expect(series.get("driftlock_store_rejected_reports_total")).toBe(11);
    expect(series.get("driftlock_audit_entries")).toBe(22);
    expect(series.get("driftlock_audit_altered_logs")).toBe(23);
    expect(series.get('driftlock_audit_heads_info{sha256="ab"}')).toBe(1);
    expect(series.get("driftlock_live_listeners")).toBe(15);
    expect(series.get("driftlock_live_refused_listeners_total")).toBe(16);
    expect(series.get('driftlock_live_dropped_listeners_total{reason="slow"}')).toBe(17);
    expect(series.get('driftlock_live_dropped_listeners_total{reason="crowded"}')).toBe(18);
    expect(series.get("driftlock_api_connections")).toBe(19);
    expect(series.get("driftlock_api_refused_connections_total")).toBe(20);
    expect(series.get("driftlock_api_displaced_connections_total")).toBe(21);
    expect(series.get("driftlock_limits_shared")).toBe(1);
    expect(series.get("driftlock_limits_store_failures_total")).toBe(12);
  });
});
