/** An anomaly that grows, from the receiver to the API. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create, toBinary } from "@bufbuild/protobuf";
import pino from "pino";
import { afterEach, expect, it } from "vitest";
import { configSchema } from "../../src/config/schema.ts";
import { ExportTraceServiceRequestSchema } from "../../src/gen/opentelemetry/proto/collector/trace/v1/trace_service_pb.js";
import type { AnomalyJson } from "../../src/json/anomaly-schema.ts";
import type { ReportJson } from "../../src/json/report.ts";
import { startSidecar } from "../../src/sidecar/index.ts";
import { startDownstream } from "../forward/downstream.ts";

const cleanups: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

const string = (value: string) => ({ case: "stringValue", value }) as const;

/** One span per second that takes 60 to 109 ms; two are slow, and a usual one fails in a new way. */
function request(from: number, count: number): Uint8Array<ArrayBuffer> {
  const spans = Array.from({ length: count }, (_, k) => {
    const i = from + k;
    const failed = i === 2_500;
    const ms = i === 2_400 || i === 2_420 ? 900 : 60 + ((i * 7_919) % 49);
    const start = 1_767_225_600_000_000_000n + BigInt(i) * 1_000_000_000n;
    const message = "refusing to post entries, data loss likely";
    return {
      traceId: Buffer.from(i.toString(16).padStart(32, "1"), "hex"),
      spanId: Buffer.from(i.toString(16).padStart(16, "1"), "hex"),
      name: "POST /pay",
      kind: 2,
      startTimeUnixNano: start,
      endTimeUnixNano: start + BigInt(ms) * 1_000_000n,
      status: { code: failed ? 2 : 0 },
      attributes: failed ? [{ key: "exception.message", value: { value: string(message) } }] : [],
    };
  });
  const resource = { attributes: [{ key: "service.name", value: { value: string("till") } }] };
  const message = create(ExportTraceServiceRequestSchema, {
    resourceSpans: [{ resource, scopeSpans: [{ spans }] }],
  });
  return new Uint8Array(toBinary(ExportTraceServiceRequestSchema, message));
}

it("shows a grave finding that joins an open anomaly as its headline and as an example", async () => {
  const target = await startDownstream("grpc");
  cleanups.push(() => target.close());
  const anyPort = { endpoint: "127.0.0.1:0" };
  const data_dir = mkdtempSync(join(tmpdir(), "driftlock-growing-"));
  cleanups.push(async () => rmSync(data_dir, { recursive: true, force: true }));
  const config = configSchema.parse({
    receive: { grpc: anyPort, http: anyPort },
    forward: { endpoint: target.endpoint },
    api: anyPort,
    data_dir,
  });
  const running = await startSidecar(config, { log: pino({ level: "silent" }) });
  cleanups.push(() => running.close());
  for (let from = 0; from < 2_600; from += 100) {
    const headers = { "content-type": "application/x-protobuf" };
    const init = { method: "POST", headers, body: request(from, 100) };
    expect((await fetch(`http://${running.addresses.http}/v1/traces`, init)).status).toBe(200);
  }
  const get = async <T>(path: string) =>
    (await (await fetch(`http://${running.addresses.api}/v1${path}`)).json()) as T;
  const list = async () => (await get<{ items: AnomalyJson[] }>("/anomalies")).items;
  await expect.poll(async () => (await list()).map(({ occurrences }) => occurrences >= 3)).toEqual([true]);
  const [item] = await list();
  expect(item!.channels).toEqual(expect.arrayContaining(["content", "value"]));
  expect(item!.report).toMatchObject({ channel: "content", occurrence: 3, news: true });
  const anomaly = await get<AnomalyJson & { examples: ReportJson[] }>(`/anomalies/${item!.id}`);
  expect(anomaly.severity).toBe(item!.report!.severity);
  const examples = anomaly.examples.map(({ channel, record }) => [
    channel,
    record?.text.includes("data loss likely") ?? false,
  ]);
  expect(examples).toContainEqual(["value", false]);
  expect(examples).toContainEqual(["content", true]);
});
