import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fromBinary } from "@bufbuild/protobuf";
import type { Metadata } from "@grpc/grpc-js";
import pino from "pino";
import { afterEach, describe, expect, it } from "vitest";
import { configSchema } from "../../src/config/schema.ts";
import { type Anomaly, Channel } from "../../src/gen/driftlock/v1/anomaly_pb.js";
import { ExportLogsServiceRequestSchema } from "../../src/gen/opentelemetry/proto/collector/logs/v1/logs_service_pb.js";
import { ExportTraceServiceRequestSchema } from "../../src/gen/opentelemetry/proto/collector/trace/v1/trace_service_pb.js";
import { Code } from "../../src/otlp/protocol.ts";
import { type Sidecar, startSidecar } from "../../src/sidecar/index.ts";
import { openStore, type Scope } from "../../src/store/index.ts";
import { versions } from "../../src/version.ts";
import { type Downstream, gate, startDownstream } from "../forward/downstream.ts";
import { logs, normalLines, sendGrpc, sendHttp, strangeLine } from "./sender.ts";

const log = pino({ level: "silent" });
const open: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

async function downstream(...args: Parameters<typeof startDownstream>): Promise<Downstream> {
  const started = await startDownstream(...args);
  open.push(started.close);
  return started;
}

interface Overrides {
  receive?: object;
  detect?: object;
  forward?: object;
  api?: object;
  telemetry?: object;
  shutdown_timeout?: number;
  auth?: object;
  limits?: object;
}

async function sidecar(
  endpoint: string,
  overrides: Overrides = {},
): Promise<{ sidecar: Sidecar; anomalies: Anomaly[]; data_dir: string }> {
  const anyPort = { endpoint: "127.0.0.1:0" };
  const data_dir = mkdtempSync(join(tmpdir(), "driftlock-sidecar-"));
  open.push(async () => rmSync(data_dir, { recursive: true, force: true }));
  const config = configSchema.parse({
    receive: { grpc: anyPort, http: anyPort, ...overrides.receive },
    detect: { baseline: { records: 200 }, budget: { per_stream_per_day: 1_000 }, ...overrides.detect },
    forward: { endpoint, compression: "none", ...overrides.forward },
    api: { ...anyPort, ...overrides.api },
    telemetry: overrides.telemetry,
    auth: overrides.auth,
    limits: overrides.limits,
    data_dir,
    shutdown_timeout: overrides.shutdown_timeout ?? 5_000,
  });
  const anomalies: Anomaly[] = [];
  const started = await startSidecar(config, { log, onAnomaly: [({ message }) => anomalies.push(message)] });
  open.push(() => started.close());
  return { sidecar: started, anomalies, data_dir };
}

/** The value of a series on the sidecar's own /metrics. */
async function metric({ addresses }: Sidecar, series: string): Promise<number | undefined> {
  const text = await (await fetch(`http://${addresses.api}/metrics`)).text();
  const line = text.split("\n").find((candidate) => candidate.startsWith(`${series} `));
  return line === undefined ? undefined : Number(line.slice(series.length));
}

describe("the way of a request", () => {
  it("hands on what is normal byte by byte, over both protocols", async () => {
    const target = await downstream("grpc");
    const { sidecar: running } = await sidecar(target.endpoint);
    const first = logs(normalLines(50));
    const second = logs(normalLines(50, 50));
    await sendGrpc(running.addresses.grpc!, first);
    const response = await sendHttp(running.addresses.http!, second);
    expect(response.status).toBe(200);
    expect(target.received.map(({ body }) => body)).toEqual([first, second]);
    expect(await metric(running, 'driftlock_receiver_records_total{signal="logs"}')).toBe(100);
    expect(await metric(running, 'driftlock_forwarded_records_total{signal="logs"}')).toBe(100);
    const grpc = 'driftlock_receiver_requests_total{signal="logs",transport="grpc",code="OK"}';
    expect(await metric(running, grpc)).toBe(1);
    expect(await metric(running, 'driftlock_receiver_bytes_total{signal="logs",transport="http"}')).toBe(
      second.length,
    );
    expect(await metric(running, "driftlock_streams")).toBe(1);
    expect(await metric(running, "driftlock_streams_learning")).toBe(1);
  });

  it("flags what is strange, tells the sinks, and leaves the rest of the bytes", async () => {
    const target = await downstream("grpc");
    const { sidecar: running, anomalies } = await sidecar(target.endpoint);
    for (let i = 0; i < 5; i++)
      await sendGrpc(running.addresses.grpc!, logs(normalLines(100, i * 100), i * 100));
    expect(anomalies).toEqual([]);
    const lines = normalLines(10, 500);
    lines[4] = strangeLine;
    const sent = logs(lines, 500);
    await sendGrpc(running.addresses.grpc!, sent);

    expect(anomalies).toHaveLength(1);
    expect(anomalies[0]).toMatchObject({ tenant: "default", channel: Channel.CONTENT });
    expect(anomalies[0]!.record?.text).toContain("kernel panic");
    const forwarded = fromBinary(ExportLogsServiceRequestSchema, target.received.at(-1)!.body);
    const records = forwarded.resourceLogs[0]!.scopeLogs[0]!.logRecords;
    const flagged = records.filter(({ attributes }) => attributes.some(({ key }) => key === "cbad.anomaly"));
    expect(flagged).toHaveLength(1);
    expect(records.indexOf(flagged[0]!)).toBe(4);
    const id = flagged[0]!.attributes.find(({ key }) => key === "cbad.anomaly.id")?.value?.value.value;
    expect(id).toBe(anomalies[0]!.id);
    for (const record of records) record.attributes = [];
    expect(forwarded).toEqual(fromBinary(ExportLogsServiceRequestSchema, sent));
    expect(await metric(running, 'driftlock_flagged_records_total{signal="logs"}')).toBe(1);
    const reported = (channel: string, state: string) =>
      metric(running, `driftlock_anomaly_reports_total{signal="logs",channel="${channel}",state="${state}"}`);
    expect(await reported("content", "open")).toBe(1);

    const url = `http://${running.addresses.api}/v1/anomalies/${id}`;
    await expect.poll(async () => (await fetch(url)).status).toBe(200);
    const headers = { "content-type": "application/json" };
    const judged = await fetch(url, { method: "PATCH", headers, body: JSON.stringify({ state: "false" }) });
    expect(judged.status).toBe(200);
    await expect.poll(() => anomalies.length).toBe(2);
    expect(await reported("unspecified", "ended")).toBe(1);
  });

  it("counts the annotated copy of a request as in flight until the request is answered", async () => {
    const held = gate();
    const target = await downstream("grpc", async (_, index) => {
      if (index === 5) await held.opened;
      return {};
    });
    const { sidecar: running } = await sidecar(target.endpoint);
    for (let i = 0; i < 5; i++)
      await sendGrpc(running.addresses.grpc!, logs(normalLines(100, i * 100), i * 100));
    const sent = logs([strangeLine], 500);
    const answer = sendGrpc(running.addresses.grpc!, sent);
    await expect.poll(() => target.received.length).toBe(6);
    const inflight = () => metric(running, "driftlock_receiver_inflight_bytes");
    expect(target.received[5]!.body.length).toBeGreaterThan(sent.length);
    expect(await inflight()).toBe(sent.length + target.received[5]!.body.length);
    held.open();
    await answer;
    expect(await inflight()).toBe(0);
  });

  it("as a tap, hands on flagged records alone", async () => {
    const target = await downstream("grpc");
    const { sidecar: running } = await sidecar(target.endpoint, { forward: { mode: "flagged" } });
    for (let i = 0; i < 5; i++)
      await sendGrpc(running.addresses.grpc!, logs(normalLines(100, i * 100), i * 100));
    expect(target.received).toEqual([]);
    await sendGrpc(running.addresses.grpc!, logs([...normalLines(5, 500), strangeLine], 500));
    expect(target.received).toHaveLength(1);
    const { resourceLogs } = fromBinary(ExportLogsServiceRequestSchema, target.received[0]!.body);
    expect(
      resourceLogs.flatMap(({ scopeLogs }) => scopeLogs.flatMap(({ logRecords }) => logRecords)),
    ).toHaveLength(1);
  });

  it("with detection off, hands on anything", async () => {
    const target = await downstream("grpc");
    const { sidecar: running } = await sidecar(target.endpoint, { detect: { enabled: false } });
    const bytes = Buffer.from("no protobuf at all");
    await sendGrpc(running.addresses.grpc!, bytes);
    expect(target.received[0]!.body).toEqual(bytes);
  });

  it("refuses what is malformed and says where", async () => {
    const target = await downstream("grpc");
    const { sidecar: running } = await sidecar(target.endpoint);
    const torn = logs(normalLines(3)).subarray(0, -5);
    await expect(sendGrpc(running.addresses.grpc!, torn)).rejects.toMatchObject({
      code: Code.INVALID_ARGUMENT,
      details: expect.stringContaining("malformed logs request"),
    });
    expect(target.received).toEqual([]);
  });

  it("passes refusals and partial success back, and counts both", async () => {
    const target = await downstream("grpc", (_, index) =>
      index === 0
        ? { status: Code.PERMISSION_DENIED, message: "not you" }
        : { partialSuccess: { rejected: 2, message: "too old" } },
    );
    const { sidecar: running } = await sidecar(target.endpoint);
    await expect(sendGrpc(running.addresses.grpc!, logs(normalLines(7)))).rejects.toMatchObject({
      code: Code.PERMISSION_DENIED,
    });
    const refused = 'driftlock_undelivered_records_total{signal="logs",code="PERMISSION_DENIED"}';
    expect(await metric(running, refused)).toBe(7);
    expect(
      await metric(running, 'driftlock_undelivered_requests_total{signal="logs",reason="refused"}'),
    ).toBe(1);
    const answer = await sendGrpc(running.addresses.grpc!, logs(normalLines(7)));
    expect(answer.toString()).toContain("too old");
    expect(await metric(running, 'driftlock_rejected_records_total{signal="logs"}')).toBe(2);
  });
});

describe("what was found", () => {
  it("is stored, listed, shown to who listens, and counted", async () => {
    const target = await downstream("grpc");
    const { sidecar: running, anomalies } = await sidecar(target.endpoint);
    const { api, grpc } = running.addresses;
    const listener = new WebSocket(`ws://${api}/v1/stream/anomalies`);
    open.push(async () => listener.close());
    const heard = new Promise<{ event: string; data: { id: string } }>((resolve) =>
      listener.addEventListener("message", ({ data }) => resolve(JSON.parse(data as string))),
    );
    await new Promise((resolve) => listener.addEventListener("open", resolve));
    for (let i = 0; i < 5; i++) await sendGrpc(grpc!, logs(normalLines(100, i * 100), i * 100));
    await sendGrpc(grpc!, logs([...normalLines(5, 500), strangeLine], 500));
    const { id } = anomalies[0]!;
    expect(await heard).toMatchObject({ event: "anomaly", data: { id } });
    const get = async (path: string) => (await fetch(`http://${api}${path}`)).json();
    await expect.poll(async () => ((await get("/v1/anomalies")) as { items: object[] }).items.length).toBe(1);
    expect(await get(`/v1/anomalies/${id}`)).toMatchObject({
      id,
      first: { record: { text: expect.stringContaining("kernel panic") } },
      settings: [{ body: { detect: { seed: 42 }, versions: { codecs: { openzl: expect.any(String) } } } }],
    });
    expect(await get("/v1/usage")).toMatchObject({ items: [{ requests: 6, records: 506 }] });
    const { components } = (await get("/readyz")) as { components: { name: string; ready: boolean }[] };
    expect(components.find(({ name }) => name === "store")).toMatchObject({ ready: true });
  });

  it("is judged in plain JSON as in OTLP", async () => {
    const target = await downstream("grpc");
    const { sidecar: running, anomalies } = await sidecar(target.endpoint);
    const post = (lines: string[]) =>
      fetch(`http://${running.addresses.api}/v1/events`, {
        method: "POST",
        headers: { "content-type": "application/x-ndjson" },
        body: lines.map((body) => JSON.stringify({ body, service: "shop" })).join("\n"),
      });
    for (let i = 0; i < 5; i++) expect((await post(normalLines(100, i * 100))).status).toBe(200);
    expect(await (await post([...normalLines(5, 500), strangeLine])).json()).toEqual({
      accepted: 6,
      rejected: 0,
      errors: [],
    });
    expect(anomalies.map(({ serviceName }) => serviceName)).toEqual(["shop"]);
    const { resourceLogs } = fromBinary(ExportLogsServiceRequestSchema, target.received.at(-1)!.body);
    expect(resourceLogs[0]!.scopeLogs[0]!.logRecords).toHaveLength(6);
  });
});

describe("limits", () => {
  it("that cannot be shared are kept, and said to be by each process itself", async () => {
    const target = await downstream("grpc");
    const nobody = await downstream("grpc");
    await nobody.close();
    const { port } = new URL(nobody.endpoint);
    const limits = { store: `redis://:hidden@127.0.0.1:${port}`, records_per_second: 1 };
    const { sidecar: running } = await sidecar(target.endpoint, { limits });
    const { api, grpc } = running.addresses;
    await sendGrpc(grpc!, logs(normalLines(200)));
    await expect(sendGrpc(grpc!, logs(normalLines(3)))).rejects.toMatchObject({
      code: Code.RESOURCE_EXHAUSTED,
    });
    const failures = () => metric(running, "driftlock_limits_store_failures_total");
    await expect.poll(failures).toBeGreaterThan(0);
    expect(await metric(running, "driftlock_limits_shared")).toBe(0);
    await expect
      .poll(async () => (await fetch(`http://${api}/readyz`)).json())
      .toMatchObject({
        status: "degraded",
        components: expect.arrayContaining([
          { name: "limits", ready: true, degraded: true, reason: expect.stringContaining("ECONNREFUSED") },
        ]),
      });
    expect(await (await fetch(`http://${api}/readyz`)).text()).not.toContain("hidden");
  });
});

describe("senders", () => {
  it("have to have a key with the scope, over each protocol, and send for its tenant", async () => {
    const target = await downstream("grpc");
    const { sidecar: running, data_dir } = await sidecar(target.endpoint, { auth: { enabled: true } });
    const { grpc, http, api } = running.addresses;
    const key = async (tenant: string, scope: Scope) => {
      const store = await openStore(configSchema.parse({ data_dir }), { log, versions: versions({}) });
      const { secret } = await store.keys.create(tenant, { name: "test", scopes: [scope] }, "test");
      await store.close();
      return { authorization: `Bearer ${secret}` };
    };
    const body = logs(normalLines(3));
    await expect(sendGrpc(grpc!, body)).rejects.toMatchObject({ code: Code.UNAUTHENTICATED });
    expect((await sendHttp(http!, body)).status).toBe(401);
    const reader = await key("acme", "read");
    await expect(sendGrpc(grpc!, body, reader)).rejects.toMatchObject({ code: Code.PERMISSION_DENIED });
    expect((await sendHttp(http!, body, reader)).status).toBe(403);
    expect(target.received).toEqual([]);
    const sender = await key("acme", "ingest");
    await sendGrpc(grpc!, body, sender);
    expect((await sendHttp(http!, body, sender)).status).toBe(200);
    const usage = await fetch(`http://${api}/v1/usage`, { headers: reader });
    expect(await usage.json()).toMatchObject({
      items: [{ requests: 2, records: 6, bytes: 2 * body.length }],
    });
    const other = await fetch(`http://${api}/v1/usage`, { headers: await key("other", "read") });
    expect(await other.json()).toEqual({ items: [] });
  });

  it("beyond their limits are told when to come back, others are not", async () => {
    const target = await downstream("grpc");
    const { sidecar: running } = await sidecar(target.endpoint, {
      auth: { tenant_header: "x-tenant" },
      limits: { records_per_day: 10 },
    });
    const { grpc, http, api } = running.addresses;
    const body = logs(normalLines(10));
    const tenant = { "x-tenant": "noisy" };
    await sendGrpc(grpc!, body, tenant);
    await sendGrpc(grpc!, body, tenant).then(
      () => expect.fail("is over its quota"),
      (error: { code: number; details: string; metadata: Metadata }) => {
        expect(error.code).toBe(Code.RESOURCE_EXHAUSTED);
        expect(error.details).toContain("limits.records_per_day (10)");
        // RetryInfo shows the sender that it may retry.
        expect(error.metadata.get("grpc-status-details-bin")).toHaveLength(1);
      },
    );
    const response = await sendHttp(http!, body, tenant);
    expect(response.status).toBe(429);
    expect(Number(response.headers.get("retry-after"))).toBeGreaterThan(0);
    const events = await fetch(`http://${api}/v1/events`, {
      method: "POST",
      headers: { ...tenant, "content-type": "application/json" },
      body: '{"body":"x"}',
    });
    expect(events.status).toBe(429);
    await sendGrpc(grpc!, body, { "x-tenant": "quiet" });
    expect(target.received).toHaveLength(2);
  });
});

describe("own telemetry", () => {
  it("never names a tenant or a stream in a metric", async () => {
    const target = await downstream("grpc");
    const { sidecar: running } = await sidecar(target.endpoint, { auth: { tenant_header: "x-tenant" } });
    const series = async () =>
      (await (await fetch(`http://${running.addresses.api}/metrics`)).text()).match(/^driftlock_.*/gm)!;
    const send = (tenant: string) =>
      sendHttp(running.addresses.http!, logs([`hello from ${tenant}`], 0, `service-of-${tenant}`), {
        "x-tenant": tenant,
      });
    await send("tenant-0");
    const before = await series();
    for (let i = 1; i < 20; i++) expect((await send(`tenant-${i}`)).status).toBe(200);
    const after = await series();
    expect(after.filter((line) => /tenant-\d|service-of/.test(line))).toEqual([]);
    expect(after.length).toBe(before.length);
    expect(await metric(running, "driftlock_streams")).toBe(20);
  });

  it("traces each request through engine and forwarder", async () => {
    const target = await downstream("grpc");
    const traces = await downstream("grpc");
    const { sidecar: running } = await sidecar(target.endpoint, {
      telemetry: { traces_endpoint: traces.endpoint },
    });
    await sendGrpc(running.addresses.grpc!, logs(normalLines(3)));
    await running.close();
    const spans = traces.received
      .flatMap(({ body }) => fromBinary(ExportTraceServiceRequestSchema, body).resourceSpans)
      .flatMap(({ scopeSpans }) => scopeSpans.flatMap((scope) => scope.spans));
    const root = spans.find(({ name }) => name === "export logs")!;
    expect(root.parentSpanId).toHaveLength(0);
    for (const name of ["engine", "forward"]) {
      expect(spans.find((span) => span.name === name)).toMatchObject({
        traceId: root.traceId,
        parentSpanId: root.spanId,
      });
    }
  });
});

describe("readiness", () => {
  const ready = async ({ addresses }: Sidecar) => {
    const response = await fetch(`http://${addresses.api}/readyz`);
    const body = (await response.json()) as {
      components: { name: string; ready: boolean; reason: string }[];
    };
    return {
      status: response.status,
      components: Object.fromEntries(body.components.map((c) => [c.name, c])),
    };
  };

  it("follows the downstream", async () => {
    const target = await downstream("grpc");
    const { sidecar: running } = await sidecar(target.endpoint);
    await sendGrpc(running.addresses.grpc!, logs(normalLines(1)));
    const { status, components } = await ready(running);
    expect(status).toBe(200);
    expect(components.receivers!.reason).toContain(running.addresses.grpc);
    expect(components.engine!.reason).toBe("streams: 1, of which learning: 1");
    await target.close();
    await expect.poll(async () => (await ready(running)).status, { timeout: 15_000 }).toBe(503);
    const { downstream: down } = (await ready(running)).components;
    expect(down).toMatchObject({ ready: false, reason: expect.stringContaining("ECONNREFUSED") });
  });

  it("ends when data_dir is removed: nothing is kept there any more, and readiness says why", async () => {
    const nobody = await startDownstream("grpc");
    await nobody.close();
    const { sidecar: running, data_dir } = await sidecar(nobody.endpoint, {
      forward: { queue: { storage: "disk" }, retry: { max_interval: 100 } },
    });
    const grpc = running.addresses.grpc!;
    await sendGrpc(grpc, logs(normalLines(1)));
    await expect.poll(async () => (await ready(running)).status).toBe(200);
    renameSync(data_dir, `${data_dir}-away`);
    await expect(sendGrpc(grpc, logs(normalLines(1)))).rejects.toMatchObject({
      code: Code.UNAVAILABLE,
      details: expect.stringContaining("has been removed or replaced"),
    });
    expect((await sendHttp(running.addresses.http!, logs(normalLines(1)))).status).toBe(503);
    await expect
      .poll(async () => (await ready(running)).components.data_dir)
      .toMatchObject({
        ready: false,
        reason: `${data_dir} has been removed or replaced; put it back, or restart Driftlock`,
      });
    expect(await metric(running, "driftlock_data_dir_present")).toBe(0);
    renameSync(`${data_dir}-away`, data_dir);
    await sendGrpc(grpc, logs(normalLines(1)));
    await expect.poll(() => metric(running, "driftlock_data_dir_present")).toBe(1);
    rmSync(data_dir, { recursive: true });
    expect((await running.close()).displacedBytes).toBeGreaterThan(0);
  });

  it("ends when the store's file is removed, and requests are taken nonetheless", async () => {
    const target = await downstream("grpc");
    const { sidecar: running, data_dir } = await sidecar(target.endpoint);
    rmSync(join(data_dir, "driftlock.db"));
    await expect
      .poll(async () => (await ready(running)).components.data_dir)
      .toMatchObject({
        ready: false,
        reason: expect.stringContaining("driftlock.db has been removed or replaced"),
      });
    await sendGrpc(running.addresses.grpc!, logs(normalLines(1)));
  });

  it("keeps data_dir to one process, whatever the queue is", async () => {
    const target = await downstream("grpc");
    const { data_dir } = await sidecar(target.endpoint);
    for (const storage of ["memory", "disk"]) {
      const config = configSchema.parse({
        forward: { endpoint: target.endpoint, queue: { storage } },
        data_dir,
      });
      await expect(startSidecar(config, { log })).rejects.toThrow(
        `data_dir: another process uses ${data_dir}; stop it or choose another data_dir`,
      );
    }
  });

  it("leaves a snapshot alone that another process may have made since", async () => {
    const target = await downstream("grpc");
    const { sidecar: running, data_dir } = await sidecar(target.endpoint);
    await sendGrpc(running.addresses.grpc!, logs(normalLines(1)));
    rmSync(data_dir, { recursive: true });
    mkdirSync(data_dir);
    writeFileSync(join(data_dir, "engine.snapshot"), "another's");
    await running.close();
    expect(readFileSync(join(data_dir, "engine.snapshot"), "utf8")).toBe("another's");
  });

  it("is degraded while requests wait on disk for a downstream that is away, and not ready when full", async () => {
    const nobody = await startDownstream("grpc");
    await nobody.close();
    const { sidecar: running } = await sidecar(nobody.endpoint, {
      receive: { limits: { max_request_size: "10KiB" }, grpc: { endpoint: "127.0.0.1:0", health: true } },
      forward: { queue: { storage: "disk", disk: { max_size: "40KiB" } }, retry: { max_interval: 100 } },
    });
    const grpc = running.addresses.grpc!;
    const state = async () => {
      const { status, components } = await ready(running);
      return { status, ...components.downstream };
    };
    await sendGrpc(grpc, logs(normalLines(10)));
    await expect.poll(state).toMatchObject({ reason: expect.stringContaining("ECONNREFUSED") });
    expect(await state()).toMatchObject({
      status: 200,
      ready: true,
      degraded: true,
      reason: expect.stringMatching(/; requests wait on disk: \d+ of 40960 bytes of logs$/),
    });
    const fill = async () => {
      for (;;) await sendGrpc(grpc, logs(normalLines(100)));
    };
    await expect(fill()).rejects.toMatchObject({ code: Code.UNAVAILABLE });
    expect(await state()).toMatchObject({
      status: 503,
      ready: false,
      reason: expect.stringContaining("forward.queue.disk.max_size (40960) leaves no room"),
    });
    // Once the downstream is back there is room again, without a new request.
    const back = await startDownstream("grpc", undefined, { port: Number(new URL(nobody.endpoint).port) });
    open.push(back.close);
    await expect.poll(state).toMatchObject({ status: 200, ready: true, degraded: false });
  });
});

describe("stopping", () => {
  it("delivers what is in work", async () => {
    const held = gate();
    const arrived = gate();
    const target = await downstream("grpc", async () => {
      arrived.open();
      await held.opened;
      return {};
    });
    const { sidecar: running } = await sidecar(target.endpoint);
    const answer = sendGrpc(running.addresses.grpc!, logs(normalLines(5)));
    await arrived.opened;
    const closed = running.close();
    await expect
      .poll(async () => (await fetch(`http://${running.addresses.api}/readyz`)).json())
      .toMatchObject({ status: "not ready" });
    held.open();
    expect(await closed).toEqual({ requests: 0, records: 0, bytes: 0, storedBytes: 0, displacedBytes: 0 });
    await expect(answer).resolves.toBeInstanceOf(Buffer);
    await expect(sendGrpc(running.addresses.grpc!, logs(["late"]))).rejects.toMatchObject({
      code: Code.UNAVAILABLE,
    });
  });

  it("reports what it could not deliver in time, and tells the sender", async () => {
    const arrived = gate();
    const target = await downstream("grpc", () => {
      arrived.open();
      return new Promise(() => {});
    });
    const { sidecar: running } = await sidecar(target.endpoint, { shutdown_timeout: 50 });
    const body = logs(normalLines(5));
    const answer = expect(sendGrpc(running.addresses.grpc!, body)).rejects.toMatchObject({
      code: Code.UNAVAILABLE,
    });
    await arrived.opened;
    expect(await running.close()).toEqual({
      requests: 1,
      records: 5,
      bytes: body.length,
      storedBytes: 0,
      displacedBytes: 0,
    });
    await answer;
  });
});

describe("starting", () => {
  it("names the key of a taken port, and leaves nothing behind", async () => {
    const target = await downstream("grpc");
    const { sidecar: first } = await sidecar(target.endpoint);
    const taken = sidecar(target.endpoint, { receive: { http: { endpoint: first.addresses.http } } });
    await expect(taken).rejects.toThrow(`receive.http.endpoint: cannot listen on ${first.addresses.http}`);
    const api = sidecar(target.endpoint, { api: { endpoint: first.addresses.api } });
    await expect(api).rejects.toThrow(`api.endpoint: cannot listen on ${first.addresses.api}`);
  });
});
