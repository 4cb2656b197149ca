/** Anomalies that no record shows, on their way downstream and back. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create, fromBinary, toBinary, toJsonString } from "@bufbuild/protobuf";
import pino from "pino";
import { afterEach, expect, it } from "vitest";
import { configSchema } from "../../src/config/schema.ts";
import type { Anomaly } from "../../src/gen/driftlock/v1/anomaly_pb.js";
import { ExportLogsServiceRequestSchema } from "../../src/gen/opentelemetry/proto/collector/logs/v1/logs_service_pb.js";
import { ExportTraceServiceRequestSchema } from "../../src/gen/opentelemetry/proto/collector/trace/v1/trace_service_pb.js";
import { type Sidecar, startSidecar } from "../../src/sidecar/index.ts";
import { type Downstream, type Reply, startDownstream } from "../forward/downstream.ts";

const log = pino({ level: "silent" });
const cleanups: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function start(target: Downstream, forward: object) {
  const anyPort = { endpoint: "127.0.0.1:0" };
  const data_dir = mkdtempSync(join(tmpdir(), "driftlock-events-"));
  cleanups.push(async () => rmSync(data_dir, { recursive: true, force: true }));
  const config = configSchema.parse({
    receive: { grpc: anyPort, http: anyPort },
    detect: { baseline: { records: 200 } },
    forward: { endpoint: target.endpoint, compression: "none", ...forward },
    api: anyPort,
    data_dir,
    shutdown_timeout: 5_000,
  });
  const anomalies: Anomaly[] = [];
  const running = await startSidecar(config, { log, onAnomaly: [({ message }) => anomalies.push(message)] });
  cleanups.push(() => running.close());
  return { running, anomalies };
}

async function downstream(protocol: "grpc" | "http", answer: (signal: string) => Reply = () => ({})) {
  const target = await startDownstream(protocol, ({ signal }) => answer(signal));
  cleanups.push(() => target.close());
  return target;
}

async function post({ addresses }: Sidecar, signal: string, body: Uint8Array<ArrayBuffer> | string) {
  const type = typeof body === "string" ? "application/json" : "application/x-protobuf";
  const url = `http://${addresses.http}/v1/${signal}`;
  const response = await fetch(url, { method: "POST", headers: { "content-type": type }, body });
  expect(response.status).toBe(200);
}

const startNanos = 1_767_225_600_000_000_000n;

/** Spans of one service: one per second, then 600 within two seconds, then one per second again. */
function* traffic() {
  const times = [
    ...Array.from({ length: 3_000 }, (_, second) => second * 1e9),
    ...Array.from({ length: 600 }, (_, i) => 3e12 + i * 3e6),
    ...Array.from({ length: 60 }, (_, second) => 3_002e9 + second * 1e9),
  ];
  for (let at = 0; at < times.length; at += 100) {
    const spans = times.slice(at, at + 100).map((nanos, i) => ({
      traceId: Buffer.from((at + i).toString(16).padStart(32, "1"), "hex"),
      spanId: Buffer.from((at + i).toString(16).padStart(16, "1"), "hex"),
      name: "GET /cart",
      kind: 2,
      startTimeUnixNano: startNanos + BigInt(nanos),
      endTimeUnixNano: startNanos + BigInt(nanos) + 5_000_000n + BigInt((i * 7_919) % 1_000_000),
    }));
    const resource = { attributes: [{ key: "service.name", value: { value: string("shop") } }] };
    const request = { resourceSpans: [{ resource, scopeSpans: [{ spans }] }] };
    yield new Uint8Array(
      toBinary(ExportTraceServiceRequestSchema, create(ExportTraceServiceRequestSchema, request)),
    );
  }
}
const string = (value: string) => ({ case: "stringValue", value }) as const;

async function metric({ addresses }: Sidecar, series: string): Promise<number> {
  const text = await (await fetch(`http://${addresses.api}/metrics`)).text();
  return Number(
    text
      .split("\n")
      .find((line) => line.startsWith(`${series} `))
      ?.slice(series.length),
  );
}

const eventsOf = (target: Downstream) =>
  target.received
    .filter(({ signal }) => signal === "logs")
    .flatMap(({ body }) => fromBinary(ExportLogsServiceRequestSchema, body).resourceLogs)
    .flatMap(({ resource, scopeLogs }) =>
      scopeLogs.flatMap(({ scope, logRecords }) =>
        logRecords.map((record) => ({
          record,
          scope: scope!.name,
          service: resource!.attributes.map(({ key, value }) => [key, value!.value.value]),
          attributes: Object.fromEntries(
            record.attributes.map(({ key, value }) => [key, value!.value.value]),
          ),
        })),
      ),
    );

it.each([
  ["grpc", "all", "memory"],
  ["http", "flagged", "memory"],
  ["grpc", "flagged", "disk"],
  ["http", "all", "disk"],
] as const)("over %s, in the mode %s, with a queue in %s", async (protocol, mode, storage) => {
  const target = await downstream(protocol);
  const { running, anomalies } = await start(target, { protocol, mode, queue: { storage } });
  for (const request of traffic()) await post(running, "traces", request);
  const unshown = () => anomalies.filter(({ record, state }) => record === undefined && state === 0);
  expect(unshown().length).toBeGreaterThan(0);
  await expect.poll(() => eventsOf(target).length).toBe(unshown().length);

  const [burst] = unshown();
  const [event] = eventsOf(target);
  expect(event).toMatchObject({
    scope: "driftlock",
    service: [["service.name", "shop"]],
    record: { eventName: "driftlock.anomaly", timeUnixNano: burst!.timeUnixNano },
    attributes: {
      "event.name": "driftlock.anomaly",
      "cbad.anomaly": true,
      "cbad.anomaly.id": burst!.id,
      "cbad.anomaly.state": "open",
      "cbad.stream": "traces service.name=shop",
      "cbad.score": burst!.score,
      "cbad.p_value": burst!.pValue,
    },
  });
  expect(event!.record.body!.value.value).toBe(burst!.explanation);
  expect(event!.record.severityNumber).toBeGreaterThanOrEqual(9);
  expect(event!.record.observedTimeUnixNano).toBeGreaterThan(0n);

  // A pipeline that sends everything back, as protobuf and as JSON, and whatever it keeps of the event's name.
  const { body } = target.received.find(({ signal }) => signal === "logs")!;
  const message = fromBinary(ExportLogsServiceRequestSchema, body);
  const sent = target.received.length;
  const records = message.resourceLogs.flatMap(({ scopeLogs }) => scopeLogs[0]!.logRecords);
  await post(running, "logs", new Uint8Array(body));
  await post(running, "logs", toJsonString(ExportLogsServiceRequestSchema, message));
  for (const record of records) record.eventName = "";
  await post(running, "logs", new Uint8Array(toBinary(ExportLogsServiceRequestSchema, message)));
  expect(await metric(running, "driftlock_returned_anomaly_events_total")).toBe(3 * records.length);
  expect(await metric(running, "driftlock_streams")).toBe(1);
  if (mode === "all") await expect.poll(() => target.received.length).toBe(sent + 3);
  expect(await metric(running, 'driftlock_anomaly_events_total{result="forwarded"}')).toBe(unshown().length);
});

it("are kept while the downstream is away, and are sent when it is back", async () => {
  let away = true;
  const target = await downstream("grpc", (signal) =>
    signal === "logs" && away ? { status: 14, retryAfterMs: 10 } : {},
  );
  const retry = { initial_interval: 5, max_elapsed_time: 20 };
  const { running, anomalies } = await start(target, { retry });
  for (const request of traffic()) await post(running, "traces", request);
  await expect
    .poll(() => target.received.filter(({ signal }) => signal === "logs").length)
    .toBeGreaterThan(3);
  away = false;
  target.received.length = 0;
  const unshown = anomalies.filter(({ record, state }) => record === undefined && state === 0);
  await expect.poll(() => eventsOf(target).length).toBe(unshown.length);
  expect(await metric(running, 'driftlock_anomaly_events_total{result="dropped"}')).toBe(0);
});

it("do not trouble a downstream that takes no logs", async () => {
  const { createServer } = await import("node:http");
  const paths: string[] = [];
  const server = createServer((request, response) => {
    paths.push(request.url!);
    request.resume().on("end", () => response.writeHead(request.url === "/v1/traces" ? 200 : 404).end());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  cleanups.push(async () => server.close());
  const { port } = server.address() as { port: number };
  const target = { endpoint: `http://127.0.0.1:${port}` } as Downstream;
  const { running } = await start(target, { protocol: "http" });
  for (const request of traffic()) await post(running, "traces", request);
  const dropped = 'driftlock_anomaly_events_total{result="dropped"}';
  await expect.poll(() => metric(running, dropped)).toBeGreaterThan(0);
  expect(paths.filter((path) => path === "/v1/logs").length).toBeLessThan(5);
  const ready = await fetch(`http://${running.addresses.api}/readyz`);
  expect(ready.status).toBe(200);
});

it("can be switched off", async () => {
  const target = await downstream("grpc");
  const { running, anomalies } = await start(target, { anomaly_events: false });
  for (const request of traffic()) await post(running, "traces", request);
  expect(anomalies.some(({ record }) => record === undefined)).toBe(true);
  await running.close();
  expect(eventsOf(target)).toEqual([]);
});
