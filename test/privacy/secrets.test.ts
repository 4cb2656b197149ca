/** Values that are planted in records are found nowhere afterwards, except in what is forwarded. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Writable } from "node:stream";
import { inflateSync, zstdDecompressSync } from "node:zlib";
import { create, toBinary } from "@bufbuild/protobuf";
import { afterEach, expect, it } from "vitest";
import type { Report } from "../../src/anomaly/report.ts";
import { configSchema } from "../../src/config/schema.ts";
import { ExportLogsServiceRequestSchema } from "../../src/gen/opentelemetry/proto/collector/logs/v1/logs_service_pb.js";
import { native } from "../../src/native.ts";
import { maskedNotice, type Notice } from "../../src/notify/notice.ts";
import { lineMasking } from "../../src/privacy/lines.ts";
import { enginePrivacy } from "../../src/privacy/policy.ts";
import { startSidecar } from "../../src/sidecar/index.ts";
import { anomalyLog } from "../../src/telemetry/anomaly-log.ts";
import { createLogger } from "../../src/telemetry/log.ts";
import { normalLines } from "../cli/sender.ts";
import { startDownstream } from "../forward/downstream.ts";
import { showPage, skipChromium, startBrowser } from "../ui/browser.ts";

const secrets = {
  email: "anna.kovacs@mailshop.eu",
  card: "4111111111111111",
  iban: "DE89370400440532013000",
  password: "hunter2-Zebra",
  key: "AKIAIOSFODNN7EXAMPLE",
  phone: "+49 30 901820",
};

const cleanups: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

const text = (value: string) => ({ value: { case: "stringValue" as const, value } });

/** A request whose records come one per second; `planted` are its last ones, which hold every secret. */
function request(from: number, planted: number): Buffer {
  const lines = [
    ...normalLines(40, from),
    ...Array.from({ length: planted }, () => `payment by ${secrets.email} with card ${secrets.card} failed`),
  ];
  const attributes = [
    { key: "db.password", value: text(secrets.password) },
    { key: "aws.key", value: text(secrets.key) },
    { key: "note", value: text(`iban ${secrets.iban}, call ${secrets.phone}`) },
  ];
  const logRecords = lines.map((line, i) => ({
    timeUnixNano: BigInt(Date.now() - 3_600_000 + (from + i) * 1_000) * 1_000_000n,
    severityNumber: i < 40 ? 9 : 17,
    body: text(line),
    ...(i >= 40 && { attributes }),
  }));
  const resource = {
    attributes: [
      { key: "service.name", value: text("checkout") },
      { key: "owner", value: text(secrets.email) },
      { key: "service.instance.id", value: text(`checkout-of-${secrets.email}`) },
    ],
  };
  return Buffer.from(
    toBinary(
      ExportLogsServiceRequestSchema,
      create(ExportLogsServiceRequestSchema, { resourceLogs: [{ resource, scopeLogs: [{ logRecords }] }] }),
    ),
  );
}

const attributesOf = (value: string) => [
  { key: "service.name", value: { stringValue: "checkout" } },
  { key: "note", value: { stringValue: value } },
];
const now = () => `${Date.now()}000000`;

/** A span with a text in all places that a span has for one, as OTLP/JSON. */
function spans(text: string): unknown {
  const attributes = attributesOf(text);
  const ids = { traceId: "0af7651916cd43dd8448eb211c80319c", spanId: "b7ad6b7169203331" };
  const span = {
    ...{
      ...ids,
      name: `GET /${text}`,
      kind: 2,
      startTimeUnixNano: now(),
      endTimeUnixNano: now(),
      attributes,
    },
    events: [{ timeUnixNano: now(), name: text, attributes }],
    links: [{ ...ids, attributes }],
    status: { code: 2, message: text },
  };
  const scopeSpans = [{ scope: { name: text, attributes }, spans: [span] }];
  return { resourceSpans: [{ resource: { attributes }, scopeSpans }] };
}

/** A data point with a text in all places that a metric has for one, as OTLP/JSON. */
function points(text: string): unknown {
  const attributes = attributesOf(text);
  const exemplars = [{ timeUnixNano: now(), asDouble: 1, filteredAttributes: attributes }];
  const dataPoints = [{ timeUnixNano: now(), asDouble: 1, attributes, exemplars }];
  const metrics = [{ name: `of ${text}`, description: text, unit: "1", gauge: { dataPoints } }];
  return {
    resourceMetrics: [{ resource: { attributes }, scopeMetrics: [{ scope: { name: text }, metrics }] }],
  };
}

/**
 * The bytes, and behind them what frames of zstd within them hold. The length of a frame stands before it: in four bytes in
 * snapshots, and as a varint in messages, which a database may have in several parts.
 */
function unpacked(bytes: Buffer): Buffer {
  const frames: Buffer[] = [];
  for (let at = bytes.indexOf("28b52ffd", 0, "hex"); at >= 4; at = bytes.indexOf("28b52ffd", at + 1, "hex")) {
    for (const size of [bytes.readUInt32LE(at - 4), lengthBefore(bytes, at)]) {
      try {
        if (at + size <= bytes.length) frames.push(zstdDecompressSync(bytes.subarray(at, at + size)));
      } catch {
        // It has another length.
      }
    }
  }
  return Buffer.concat([bytes, ...frames]);
}

/** A bundle of evidence, and behind it what its recordings hold. */
function unpackedBundle(bundle: string): Buffer<ArrayBuffer> {
  const parts = [Buffer.from(bundle)];
  for (const [base64] of bundle.matchAll(/[A-Za-z0-9+/_-]{80,}={0,2}/g)) {
    const bytes = Buffer.from(base64, "base64");
    parts.push(bytes);
    // The payload of an envelope is JSON, in which recordings are.
    if (bytes[0] === 0x7b) parts.push(unpackedBundle(bytes.toString()));
    const frame = bytes.indexOf("28b52ffd", 0, "hex");
    if (frame > 0) parts.push(zstdDecompressSync(bytes.subarray(frame, frame + lengthBefore(bytes, frame))));
  }
  return Buffer.concat(parts);
}

/** The length of a field of a protobuf message, by the varint before its content. */
function lengthBefore(bytes: Buffer, content: number): number {
  let begin = content - 1;
  while (bytes[begin - 1]! >= 0x80) begin--;
  return [...bytes.subarray(begin, content)].reduceRight((length, byte) => length * 128 + (byte & 127), 0);
}

/** A PDF document, and behind it its streams. */
function unpackedPdf(pdf: Buffer<ArrayBuffer>): Buffer {
  const parts = [pdf];
  for (let at = pdf.indexOf("stream\n"); at >= 0; at = pdf.indexOf("stream\n", at + 1)) {
    try {
      parts.push(inflateSync(pdf.subarray(at + 7)));
    } catch {
      // It is not compressed, or "endstream".
    }
  }
  return Buffer.concat(parts);
}

function expectNoSecret(where: string, bytes: Buffer | string): void {
  for (const [name, secret] of Object.entries(secrets)) {
    expect(bytes.includes(secret), `${name} in ${where}`).toBe(false);
  }
}

async function receiver(): Promise<{ url: string; bodies: string[] }> {
  const bodies: string[] = [];
  const server: Server = createServer((incoming, response) => {
    let body = "";
    incoming.on("data", (chunk) => (body += chunk));
    incoming.on("end", () => {
      bodies.push(body);
      response.end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  cleanups.push(() => new Promise((resolve) => server.close(resolve)));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`, bodies };
}

it("no planted value is found in what is kept, shown, exported or told", { timeout: 60_000 }, async () => {
  const downstream = await startDownstream("http");
  cleanups.push(() => downstream.close());
  const hook = await receiver();
  const data_dir = mkdtempSync(join(tmpdir(), "driftlock-secrets-"));
  cleanups.push(async () => rmSync(data_dir, { recursive: true, force: true }));
  const secretFile = join(data_dir, "hook-secret");
  writeFileSync(secretFile, `whsec_${Buffer.alloc(32, 7).toString("base64")}`);
  const anyPort = { endpoint: "127.0.0.1:0" };
  const config = configSchema.parse({
    receive: { grpc: anyPort, http: anyPort },
    detect: {
      stream_by: ["service.name", "owner"],
      baseline: { records: 200 },
      budget: { per_stream_per_day: 1_000 },
    },
    forward: { endpoint: downstream.endpoint, protocol: "http", compression: "none" },
    api: anyPort,
    notify: { webhook: [{ name: "hook", url: hook.url, secret: { file: secretFile } }] },
    data_dir,
    shutdown_timeout: 5_000,
  });
  let lines = "";
  const destination = new Writable({
    write(chunk, _, done) {
      lines += chunk;
      done();
    },
  });
  const log = createLogger(
    { ...config.telemetry, log_level: "debug" },
    destination,
    lineMasking(config.privacy),
  );
  const reports: Report[] = [];
  const running = await startSidecar(config, {
    log,
    onAnomaly: [anomalyLog(log), (report) => reports.push(report)],
  });
  let closed = false;
  const close = async () => {
    if (!closed) await running.close();
    closed = true;
  };
  cleanups.push(close);
  const api = `http://${running.addresses.api}`;
  const abort = new AbortController();
  let live = "";
  const listening = (async () => {
    const response = await fetch(`${api}/v1/stream/anomalies`, { signal: abort.signal });
    for await (const chunk of response.body!) live += Buffer.from(chunk).toString();
  })().catch(() => {});
  const post = async (from: number, planted: number) => {
    const response = await fetch(`http://${running.addresses.http}/v1/logs`, {
      method: "POST",
      headers: { "content-type": "application/x-protobuf" },
      body: request(from, planted) as Uint8Array<ArrayBuffer>,
    });
    expect(response.status).toBe(200);
  };
  // It is planted when the stream has learned.
  for (let i = 0; i < 14; ++i) await post(i * 50, i > 8 ? 5 : 0);
  const send = async (url: string, body: unknown) => {
    const headers = { "content-type": "application/json" };
    const response = await fetch(url, { method: "POST", headers, body: JSON.stringify(body) });
    expect(response.status, await response.clone().text()).toBe(200);
  };
  const { email, card, iban, password, key, phone } = secrets;
  const all = `${email} paid with ${card} or ${iban}; password=${password} key ${key}; call ${phone}`;
  await send(`http://${running.addresses.http}/v1/traces`, spans(all));
  await send(`http://${running.addresses.http}/v1/metrics`, points(all));
  const call = { id: "call_1", name: "pay", arguments: { card: secrets.card, note: all } };
  await send(`${api}/v1/llm`, {
    ...{ service: "agent", agent: `agent of ${secrets.email}`, conversation: `chat with ${secrets.email}` },
    ...{ provider: "openai", model: "gpt-fake", prompts: [{ role: "system", content: all }, all] },
    ...{ responses: [`You said ${all}`], tool_calls: [call] },
  });
  log.warn(
    { sender: secrets.email, card: Number(secrets.card) },
    `a remark with password=${secrets.password}`,
  );

  await expect.poll(() => reports.length).toBeGreaterThan(0);
  await expect.poll(() => live).toContain("anomaly");
  const read = async (path: string, accept = "application/json") => {
    const response = await fetch(api + path, { headers: { accept } });
    return response.text();
  };
  await expect.poll(() => read("/v1/anomalies")).toContain("E-mail addresses appear in");
  const page = JSON.parse(await read("/v1/anomalies")) as { items: { id: string }[] };
  const { items } = page;
  await expect.poll(() => read("/v1/llm/conversations")).toContain("chat with");
  const { items: conversations } = JSON.parse(await read("/v1/llm/conversations")) as typeof page;
  const paths = [
    ...[
      "/v1/anomalies",
      "/v1/incidents",
      "/v1/streams",
      "/v1/services",
      "/v1/notable",
      "/v1/usage",
      "/metrics",
    ],
    ...["/v1/services/graph", "/v1/notifications", "/v1/audit", "/v1/anomalies/summary"],
    ...["/v1/llm/conversations", ...conversations.map(({ id }) => `/v1/llm/conversations/${id}`)],
    ...items.map(({ id }) => `/v1/anomalies/${id}`),
  ];
  for (const path of paths) expectNoSecret(path, await read(path));
  for (const type of ["text/csv", "application/x-ndjson"]) {
    const exported = await read("/v1/anomalies", type);
    expect(exported).toContain("[email");
    expectNoSecret(type, exported);
  }
  for (const { bytes, message } of reports) {
    expectNoSecret("a report", unpacked(Buffer.from(bytes)));
    const { baseline, window } = message.excerpts ?? { baseline: undefined, window: undefined };
    for (const excerpt of [baseline, window]) {
      if (excerpt !== undefined) expectNoSecret("an excerpt", native.decompress("openzl", excerpt, 2 ** 20));
    }
  }
  const made = await fetch(`${api}/v1/evidence`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ anomaly: items[0]!.id }),
  });
  const bundle = `/v1/evidence/${((await made.json()) as { id: string }).id}`;
  const evidence = unpackedBundle(await read(bundle));
  expect(evidence.includes("[email")).toBe(true);
  expectNoSecret("evidence", evidence);
  const response = await fetch(api + bundle, { headers: { accept: "application/pdf" } });
  expect(response.headers.get("content-type")).toBe("application/pdf");
  const pdf = unpackedPdf(Buffer.from(await response.arrayBuffer()));
  expect(pdf.includes("[email")).toBe(true);
  expectNoSecret("the PDF", pdf);
  if (!skipChromium) {
    const browser = await startBrowser();
    cleanups.push(() => browser.close());
    const shown = await showPage(browser, `${api}/anomalies/${items[0]!.id}`);
    await shown.getByText("[email").first().waitFor();
    expectNoSecret("a page", await shown.content());
    const kept = await shown.evaluate(`Promise.all([caches.keys(), indexedDB.databases()]).then((others) =>
      JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie, others]))`);
    expectNoSecret("what the browser keeps", kept as string);
    expect(JSON.parse(kept as string)[3]).toEqual([[], []]);
  }
  abort.abort();
  await listening;
  expectNoSecret("live events", live);
  const files = () =>
    readdirSync(data_dir, { recursive: true, withFileTypes: true }).filter((each) => each.isFile());
  const readFiles = () => {
    for (const file of files()) {
      expectNoSecret(file.name, unpacked(readFileSync(join(file.parentPath, file.name))));
    }
  };
  // The log of the database is written into it when it is closed, and the snapshot then.
  expect(files().map(({ name }) => name)).toContain("driftlock.db-wal");
  readFiles();
  await close();
  readFiles();
  expectNoSecret("the log", lines);
  expect(lines).toContain("[email");
  expect(hook.bodies.length).toBeGreaterThan(0);
  for (const body of hook.bodies) expectNoSecret("a notification", body);

  // What is forwarded is what came.
  const forwarded = Buffer.concat(downstream.received.map(({ body }) => body));
  for (const secret of Object.values(secrets)) expect(forwarded.includes(secret)).toBe(true);
});

it("no planted value is found in the queue on disk if what is forwarded is masked", async () => {
  const data_dir = mkdtempSync(join(tmpdir(), "driftlock-secrets-"));
  cleanups.push(async () => rmSync(data_dir, { recursive: true, force: true }));
  const anyPort = { endpoint: "127.0.0.1:0" };
  const config = configSchema.parse({
    receive: { grpc: anyPort, http: anyPort },
    // Nobody listens there, so that requests stay in the queue.
    forward: { endpoint: "http://127.0.0.1:1", protocol: "http", queue: { storage: "disk" } },
    api: anyPort,
    privacy: { forwarded: "mask", rules: [{ match: { detectors: ["phone"] }, forwarded: "hash" }] },
    data_dir,
    shutdown_timeout: 2_000,
  });
  const running = await startSidecar(config, {
    log: createLogger({ ...config.telemetry, log_level: "silent" }),
  });
  cleanups.push(() => running.close());
  const response = await fetch(`http://${running.addresses.http}/v1/logs`, {
    method: "POST",
    headers: { "content-type": "application/x-protobuf" },
    body: request(0, 5) as Uint8Array<ArrayBuffer>,
  });
  expect(response.status).toBe(200);
  const files = readdirSync(data_dir, { recursive: true, withFileTypes: true }).filter((each) =>
    each.isFile(),
  );
  const kept = Buffer.concat(files.map((file) => unpacked(readFileSync(join(file.parentPath, file.name)))));
  expect(kept.includes("payment by [email] with card [card] failed")).toBe(true);
  expect(kept.toString("latin1")).toMatch(/\[phone:[0-9a-f]{8}:[0-9a-f]{16}\]/);
  expectNoSecret("the data directory", kept);
});

it("notifications are masked as the policy says for logs, whatever is stored", () => {
  const config = configSchema.parse({ privacy: { stored: "flag", logs: "mask" } }).privacy;
  const mask = native.textMask(enginePrivacy(config, new Uint8Array(32)), "logs");
  const text = `${secrets.email} and ${secrets.card}`;
  const notice: Notice = {
    tenant: "default",
    incident: "i",
    state: "open",
    severity: "low",
    title: text,
    sentence: text,
    startsAt: 0,
    services: [text],
    causes: [{ service: text, reason: text }],
  };
  const masked = JSON.stringify(maskedNotice(notice, mask));
  expectNoSecret("a notice", masked);
  expect(masked.match(/\[email\] and \[card\]/g)).toHaveLength(5);
});
