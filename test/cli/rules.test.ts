/** Policies and silences of the API, through a running sidecar. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pino from "pino";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { configSchema } from "../../src/config/schema.ts";
import type { Anomaly } from "../../src/gen/driftlock/v1/anomaly_pb.js";
import { type Sidecar, startSidecar } from "../../src/sidecar/index.ts";
import { startDownstream } from "../forward/downstream.ts";
import { logs, normalLines, sendGrpc, strangeLine } from "./sender.ts";

const open: (() => unknown)[] = [];
let data_dir: string;
beforeEach(() => {
  data_dir = mkdtempSync(join(tmpdir(), "driftlock-rules-"));
  open.push(() => rmSync(data_dir, { recursive: true, force: true }));
});
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

class Running {
  readonly notified: Anomaly[] = [];
  sidecar!: Sidecar;
  #second = 0;

  async start(more: object = {}): Promise<this> {
    const target = await startDownstream("grpc");
    open.push(target.close);
    const any = { endpoint: "127.0.0.1:0" };
    const config = configSchema.parse({
      receive: { grpc: any, http: any },
      detect: { baseline: { records: 200 }, budget: { per_stream_per_day: 1_000, per_group_per_day: 1_000 } },
      forward: { endpoint: target.endpoint, compression: "none" },
      api: any,
      data_dir,
      ...more,
    });
    this.sidecar = await startSidecar(config, {
      log: pino({ level: "silent" }),
      onAnomaly: [({ message }) => this.notified.push(message)],
    });
    open.push(() => this.sidecar.close());
    return this;
  }

  async send(lines: string[], service = "checkout"): Promise<void> {
    await sendGrpc(this.sidecar.addresses.grpc!, logs(lines, this.#second, service));
    this.#second += lines.length;
  }

  async learn(service = "checkout"): Promise<this> {
    for (let i = 0; i < 4; i++) await this.send(normalLines(100, 100 * i), service);
    return this;
  }

  async api(method: string, path: string, body?: object) {
    const response = await fetch(`http://${this.sidecar.addresses.api}${path}`, {
      method,
      ...(body && { body: JSON.stringify(body), headers: { "content-type": "application/json" } }),
    });
    return {
      status: response.status,
      json: (await response.json()) as Record<string, never> & { items: never[]; configured: never[] },
    };
  }

  /** Resolves to the stored anomalies once there are so many. */
  async stored(count: number): Promise<{ report: { silenced_by: string | null; explanation: string } }[]> {
    for (;;) {
      const { json } = await this.api("GET", "/v1/anomalies");
      if (json.items.length >= count) return json.items;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  async actions(): Promise<string[]> {
    const { json } = await this.api("GET", "/v1/audit");
    return json.items.map(({ action }) => action);
  }
}

describe("policies of the API", () => {
  it("take effect at once, are audited, and stay after a restart", async () => {
    const running = await (await new Running().start()).learn();
    expect((await running.api("GET", "/v1/policies")).json).toEqual({
      policies: [],
      author: null,
      changed_at: null,
    });
    const policies = [{ match: { service: "check*" }, judge: false }];
    const put = await running.api("PUT", "/v1/policies", { policies });
    expect(put).toMatchObject({ status: 200, json: { policies, author: "anonymous" } });
    expect((await running.api("GET", "/v1/policies")).json).toEqual(put.json);
    await running.send([strangeLine]);
    expect(running.notified).toEqual([]);
    expect(await running.actions()).toEqual(["policies.replaced"]);
    await running.sidecar.close();

    const again = await new Running().start();
    await again.send([strangeLine]);
    expect(again.notified).toEqual([]);
    await again.api("PUT", "/v1/policies", { policies: [] });
    await again.send([strangeLine]);
    expect(again.notified).toHaveLength(1);
  });

  it.each([
    [{ match: { servise: "x" } }, "/policies/0/match/servise", "is unknown; did you mean service?"],
    [{ match: { tenant: "x" } }, "/policies/0/match/tenant", "is unknown"],
    [{ match: {}, judge: "no" }, "/policies/0/judge", "must be"],
    [{ match: {}, min_deviation: "much" }, "/policies/0/min_deviation", "a percentage such as 20%"],
    [{ judge: false }, "/policies/0/match", "is missing"],
    [{ match: {}, channels: ["contents"] }, "/policies/0/channels/0", "did you mean content?"],
  ])("refuse %j with the field and the remedy", async (policy, field, detail) => {
    const running = await new Running().start();
    const { status, json } = await running.api("PUT", "/v1/policies", { policies: [policy] });
    expect({ status, json }).toMatchObject({
      status: 400,
      json: { errors: [{ in: "body", field, detail: expect.stringContaining(detail) }] },
    });
    expect(await running.actions()).toEqual([]);
  });
});

describe("silences", () => {
  const soon = () => new Date(Date.now() + 60_000).toISOString();

  it("keep what matches from notifying anybody, and mark it", async () => {
    const running = await (await new Running().start()).learn();
    await running.learn("basket");
    const made = await running.api("POST", "/v1/silences", {
      match: { service: "check*", channels: ["content"] },
      ends_at: soon(),
      reason: "load test",
    });
    expect(made).toMatchObject({
      status: 201,
      json: { reason: "load test", author: "anonymous", state: "active" },
    });
    await running.send([strangeLine]);
    await running.send([strangeLine], "basket");
    expect(running.notified.map(({ serviceName }) => serviceName)).toEqual(["basket"]);
    const stored = await running.stored(2);
    expect(stored.map(({ report }) => report.silenced_by).sort()).toEqual([made.json.id, null].sort());

    const ended = await running.api("DELETE", `/v1/silences/${made.json.id}`);
    expect(ended).toMatchObject({ status: 200, json: { id: made.json.id, state: "ended" } });
    await running.send(normalLines(20, 900));
    await running.send([`${strangeLine} 7f3a segfault in libquux during handshake with zebra`]);
    await running.send([`${strangeLine} watchdog barked twice and rebooted the mainframe`]);
    expect(running.notified.some(({ serviceName }) => serviceName === "checkout")).toBe(true);
    expect(await running.actions()).toEqual(["silence.ended", "silence.created"]);
    const list = await running.api("GET", "/v1/silences?state=ended");
    expect(list.json.items).toHaveLength(1);
    expect((await running.api("GET", "/v1/silences?state=active")).json.items).toEqual([]);
  });

  it("of the configuration do the same, behind those of the API, and are listed", async () => {
    const silence = { ends_at: soon(), reason: "move", author: "ann" };
    const silences = [
      { match: { tenant: "other" }, ...silence },
      { match: { service: "check*", tenant: "def*" }, ...silence },
      { match: {}, ...silence, starts_at: "2020-01-01T00:00:00Z", ends_at: "2020-01-02T00:00:00Z" },
    ];
    const running = await (await new Running().start({ silences })).learn();
    await running.learn("basket");
    const { json } = await running.api("GET", "/v1/silences?state=active");
    const [configured, ...others] = json.configured as { id: string }[];
    expect(others).toEqual([]);
    expect(json.items).toEqual([]);
    expect(configured).toMatchObject({ match: { service: "check*" }, reason: "move", author: "ann" });
    expect((await running.api("GET", "/v1/silences?state=ended")).json.configured).toHaveLength(1);

    await running.send([strangeLine]);
    await running.send([strangeLine], "basket");
    expect(running.notified.map(({ serviceName }) => serviceName)).toEqual(["basket"]);
    const stored = await running.stored(2);
    expect(stored.map(({ report }) => report.silenced_by).sort()).toEqual([configured!.id, null].sort());
    expect(await running.api("DELETE", `/v1/silences/${configured!.id}`)).toMatchObject({
      status: 404,
      json: { detail: expect.stringContaining("part of the configuration") },
    });

    const ofApi = await running.api("POST", "/v1/silences", { match: {}, ends_at: soon(), reason: "r" });
    await running.send(normalLines(20, 900));
    await running.send([`${strangeLine} watchdog barked twice and rebooted the mainframe`]);
    await expect
      .poll(async () => (await running.stored(2)).map(({ report }) => report.silenced_by))
      .toContain(ofApi.json.id);
  });

  it("start when they say, and not before", async () => {
    const running = await (await new Running().start()).learn();
    const made = await running.api("POST", "/v1/silences", {
      match: {},
      starts_at: new Date(Date.now() + 30_000).toISOString(),
      ends_at: soon(),
      reason: "deployment",
    });
    expect(made.json).toMatchObject({ state: "pending" });
    await running.send([strangeLine]);
    expect(running.notified).toHaveLength(1);
  });

  it("are refused with the field and the remedy, and unknown ones are not found", async () => {
    const running = await new Running().start();
    const post = (body: object) =>
      running.api("POST", "/v1/silences", { match: {}, ends_at: soon(), reason: "r", ...body });
    const past = await post({ ends_at: "2020-01-01T00:00:00Z" });
    expect(past).toMatchObject({
      status: 400,
      json: { detail: expect.stringContaining("must be in the future") },
    });
    const long = await post({ ends_at: new Date(Date.now() + 400 * 86_400_000).toISOString() });
    expect(long.json).toMatchObject({ detail: expect.stringContaining("use a policy") });
    expect(await post({ reason: "" })).toMatchObject({ status: 400 });
    expect(await post({ match: { service: "" } })).toMatchObject({ status: 400 });
    expect(await running.api("DELETE", "/v1/silences/0123")).toMatchObject({ status: 404 });
  });
});
