/** Values that are planted in records are found nowhere afterwards, except in what is forwarded. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Writable } from "node:stream";
import { afterEach, expect, it } from "vitest";
import type { Report } from "../../src/anomaly/report.ts";
import { configSchema } from "../../src/config/schema.ts";
import { native } from "../../src/native.ts";
import { maskedNotice, type Notice } from "../../src/notify/notice.ts";
import { lineMasking } from "../../src/privacy/lines.ts";
import { enginePrivacy } from "../../src/privacy/policy.ts";
import { startSidecar } from "../../src/sidecar/index.ts";
import { anomalyLog } from "../../src/telemetry/anomaly-log.ts";
import { createLogger } from "../../src/telemetry/log.ts";
import { startDownstream } from "../forward/downstream.ts";
import { showPage, skipChromium, startBrowser } from "../ui/browser.ts";
import {
  detect,
  everySecret,
  expectNoSecret,
  privacy,
  request,
  secrets,
  sendSecrets,
  unpacked,
  unpackedBundle,
  unpackedPdf,
} from "./planted.ts";

const cleanups: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** Returns the paths of all files below a folder. */
function filesOf(folder: string): string[] {
  const found = readdirSync(folder, { recursive: true, withFileTypes: true });
  return found.filter((each) => each.isFile()).map((file) => join(file.parentPath, file.name));
}

/** Starts a downstream that refuses all requests for good. */
async function refusing(): Promise<string> {
  const { endpoint, close } = await startDownstream("http", () => ({ status: 400 }));
  cleanups.push(close);
  return endpoint;
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

it("no planted value is found in what is kept, shown, exported or told", { timeout: 120_000 }, async () => {
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
    detect,
    privacy,
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
  await sendSecrets(`http://${running.addresses.http}`);
  const send = async (url: string, body: unknown) => {
    const headers = { "content-type": "application/json" };
    const response = await fetch(url, { method: "POST", headers, body: JSON.stringify(body) });
    expect(response.status, await response.clone().text()).toBe(200);
  };
  const call = { id: "call_1", name: "pay", arguments: { card: secrets.card, note: everySecret } };
  await send(`${api}/v1/llm`, {
    ...{ service: "agent", agent: `agent of ${secrets.email}`, conversation: `chat with ${secrets.email}` },
    ...{
      provider: "openai",
      model: "gpt-fake",
      prompts: [{ role: "system", content: everySecret }, everySecret],
    },
    ...{ responses: [`You said ${everySecret}`], tool_calls: [call] },
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
  const list = async (path: string) => {
    const { items } = JSON.parse(await read(path)) as { items: { id: string }[] };
    return items.map(({ id }) => id);
  };
  const items = await list("/v1/anomalies");
  await expect.poll(() => read("/v1/llm/conversations")).toContain("chat with");
  await expect.poll(() => list("/v1/incidents"), { timeout: 20_000 }).not.toEqual([]);
  const incidents = await list("/v1/incidents");
  const reportsOf = async (incident: string) => {
    const { reports } = JSON.parse(await read(`/v1/incidents/${incident}/reports`));
    return (reports as { template: string }[]).map(
      ({ template }) => `/v1/incidents/${incident}/reports/${template}`,
    );
  };
  const documents = (await Promise.all(incidents.map(reportsOf))).flat();
  expect(documents.length).toBeGreaterThan(10);
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
    ...["/v1/changes", "/v1/llm/conversations"],
    ...(await list("/v1/llm/conversations")).map((id) => `/v1/llm/conversations/${id}`),
    ...(await list("/v1/streams")).map((id) => `/v1/streams/${id}`),
    ...items.flatMap((id) => [`/v1/anomalies/${id}`, `/v1/anomalies/${id}/related`]),
    ...incidents.flatMap((id) => [`/v1/incidents/${id}`, `/v1/incidents/${id}/reports`]),
    ...documents,
    ...documents.map((path) => `${path}?format=structure`),
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
  const readPdf = async (path: string) => {
    const response = await fetch(api + path, { headers: { accept: "application/pdf" } });
    expect(response.headers.get("content-type"), path).toBe("application/pdf");
    return unpackedPdf(Buffer.from(await response.arrayBuffer()));
  };
  for (const path of documents) expectNoSecret(path, await readPdf(`${path}?format=pdf`));
  for (const about of [{ anomaly: items[0] }, { incident: incidents[0] }]) {
    const made = await fetch(`${api}/v1/evidence`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(about),
    });
    const bundle = `/v1/evidence/${((await made.json()) as { id: string }).id}`;
    const evidence = unpackedBundle(await read(bundle));
    expect(evidence.includes("[email")).toBe(true);
    expectNoSecret("evidence", evidence);
    const pdf = await readPdf(bundle);
    expect(pdf.includes("[email")).toBe(true);
    expectNoSecret("the PDF", pdf);
  }
  if (!skipChromium) {
    const browser = await startBrowser();
    cleanups.push(() => browser.close());
    const shown = await showPage(browser, `${api}/anomalies/${items[0]}`);
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
  const readFiles = () => {
    for (const file of filesOf(data_dir)) expectNoSecret(file, unpacked(readFileSync(file)));
  };
  // The log of the database is written into it when it is closed, and the snapshot then.
  expect(filesOf(data_dir)).toContain(join(data_dir, "driftlock.db-wal"));
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

it.each([
  // Nobody listens there, so that requests stay in the queue.
  ["the queue on disk", async () => "http://127.0.0.1:1", "queue/logs"],
  ["dead letters", refusing, "dead-letters/logs.otlp"],
])("no planted value is found in %s if what is forwarded is masked", async (_, endpoint, place) => {
  const data_dir = mkdtempSync(join(tmpdir(), "driftlock-secrets-"));
  cleanups.push(async () => rmSync(data_dir, { recursive: true, force: true }));
  const anyPort = { endpoint: "127.0.0.1:0" };
  const config = configSchema.parse({
    receive: { grpc: anyPort, http: anyPort },
    forward: { endpoint: await endpoint(), protocol: "http", queue: { storage: "disk" } },
    api: anyPort,
    privacy: {
      ...privacy,
      forwarded: "mask",
      rules: [{ match: { detectors: ["phone"] }, forwarded: "hash" }],
    },
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
  const masked = "payment by [email] with card [card] failed";
  const read = () => filesOf(data_dir).map((file) => [file, unpacked(readFileSync(file))] as const);
  const kept = () => Buffer.concat(read().flatMap(([file, bytes]) => (file.includes(place) ? [bytes] : [])));
  await expect.poll(() => kept().includes(masked)).toBe(true);
  expect(kept().toString("latin1")).toMatch(/\[phone:[0-9a-f]{8}:[0-9a-f]{16}\]/);
  for (const [file, bytes] of read()) expectNoSecret(file, bytes);
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
