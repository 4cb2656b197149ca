import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { createConnection } from "node:net";
import process from "node:process";
import { Counter, Registry } from "prom-client";
import { beforeEach, describe, expect, it } from "vitest";
import type { Component } from "../../src/api/health.ts";
import { startProbes } from "../../src/api/probes.ts";
import { afterwards, keyOf, start } from "./support.ts";

const registry = new Registry();
const answers = new Counter({ name: "answers_total", help: "Counts.", registers: [registry] });
let components: Component[];
let address: string;
let alive: boolean;

beforeEach(async () => {
  components = [{ name: "downstream", ready: true, reason: "http://secret:4317 answers" }];
  alive = true;
  const probes = await startProbes("127.0.0.1:0", {
    readiness: () => components,
    alive: () => alive,
    stuckAfter: 60_000,
    registry,
  });
  afterwards(() => probes.close());
  address = probes.address;
});

const get = (path: string, init?: RequestInit) => fetch(`http://${address}${path}`, init);

it("answer on a listener of their own, with names and states alone", async () => {
  expect(await (await get("/healthz")).json()).toEqual({ status: "ok" });
  expect(await (await get("/readyz?verbose")).json()).toEqual({
    status: "ready",
    components: [{ name: "downstream", ready: true, degraded: false }],
  });
  components[0]!.ready = false;
  const response = await get("/readyz");
  expect(response.status).toBe(503);
  expect(await response.text()).not.toContain("secret");
  expect((await get("/healthz", { method: "HEAD" })).status).toBe(200);
});

it("fail while the engine is stuck, so that the process is restarted", async () => {
  const running = await start({}, { alive: () => alive });
  for (const ask of [get, running.get]) {
    alive = true;
    expect((await ask("/healthz")).status).toBe(200);
    alive = false;
    const response = await ask("/healthz");
    expect(response.status).toBe(503);
    expect(await response.json()).toEqual({ status: "stuck" });
  }
});

describe("while the event loop is busy", () => {
  /** Returns the status of /healthz and of /readyz, as found by a process for which this one waits synchronously. */
  const found = (at: string) => {
    const script = `for (const path of ["/healthz", "/readyz"]) console.log((await fetch("http://${at}" + path)).status)`;
    const args = ["--input-type=module", "--eval", script];
    return execFileSync(process.execPath, args, { encoding: "utf8" }).trim().split("\n").map(Number);
  };

  it("are answered as before", () => {
    expect(found(address)).toEqual([200, 200]);
  });

  it("fail once it has been for too long", async () => {
    const probes = await startProbes("127.0.0.1:0", {
      readiness: () => components,
      alive: () => true,
      stuckAfter: 1,
      registry,
    });
    afterwards(() => probes.close());
    expect(found(probes.address)).toEqual([503, 503]);
  });
});

it("come with the metrics of the process, as they are now", async () => {
  const shown = async () => (await (await get("/metrics")).text()).split("\n");
  const before = await shown();
  answers.inc(3);
  expect(before).toContain("answers_total 0");
  const response = await get("/metrics");
  expect(response.headers.get("content-type")).toBe(registry.contentType);
  expect(
    (await Promise.all([shown(), shown()])).flat().filter((line) => line === "answers_total 3"),
  ).toHaveLength(2);
  const broken = new Registry();
  new Counter({
    name: "broken_total",
    help: "Counts.",
    registers: [broken],
    collect() {
      throw new Error("it is closed");
    },
  });
  const probes = await startProbes("127.0.0.1:0", {
    readiness: () => components,
    alive: () => true,
    stuckAfter: 0,
    registry: broken,
  });
  afterwards(() => probes.close());
  expect((await fetch(`http://${probes.address}/metrics`)).status).toBe(503);
  expect((await fetch(`http://${probes.address}/healthz`)).status).toBe(200);
});

it("give nothing else", async () => {
  for (const path of ["/", "/v1/metrics", "/v1/anomalies"]) expect((await get(path)).status).toBe(404);
  expect((await get("/healthz", { method: "POST", body: "x".repeat(100_000) })).status).toBe(405);
});

it("are answered while others hold connections without a word", async () => {
  const [host, port] = address.split(":") as [string, string];
  for (let n = 0; n < 200; n++) {
    const socket = createConnection(Number(port), host);
    socket.on("error", () => {});
    afterwards(() => socket.destroy());
    await once(socket, "connect");
  }
  expect((await get("/healthz")).status).toBe(200);
  expect((await get("/readyz")).status).toBe(200);
});

it("name the address that they cannot have", async () => {
  await expect(
    startProbes(address, { readiness: () => [], alive: () => true, stuckAfter: 0, registry }),
  ).rejects.toThrow(
    `health.endpoint: cannot listen on ${address}: another process listens there; stop it or choose another port`,
  );
});

it("are told why by the API, if they have a key that may read", async () => {
  const running = await start({ auth: { enabled: true } }, { readiness: () => components });
  const shown = async (headers: Record<string, string> = {}) =>
    (await running.get("/readyz", { headers })).text();
  expect(await shown(await keyOf(running, "acme", "read"))).toContain("http://secret:4317 answers");
  for (const headers of [
    {},
    await keyOf(running, "acme", "ingest"),
    { authorization: "Bearer nonsense" },
    { authorization: "" },
  ]) {
    const text = await shown(headers);
    expect(text).not.toContain("secret");
    expect(JSON.parse(text)).toMatchObject({ status: "ready", components: [{ name: "downstream" }] });
  }
});

it("are answered by the API while others hold all of its connections", async () => {
  const running = await start({}, { connections: 64 });
  const { hostname, port } = new URL(running.url("/"));
  for (let n = 0; n < 200; n++) {
    const socket = createConnection(Number(port), hostname);
    socket.on("error", () => {});
    afterwards(() => socket.destroy());
    await once(socket, "connect");
    if (n % 2 === 0) socket.write("GET /healthz HTTP/1.1\r\nhost: x\r\n");
  }
  expect((await running.get("/healthz")).status).toBe(200);
  expect(running.api.connections.size).toBeLessThanOrEqual(64);
});
