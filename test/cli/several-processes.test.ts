/** Several sidecars on one PostgreSQL: what one finds and what people decide at one reaches the others. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pino from "pino";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { configSchema } from "../../src/config/schema.ts";
import type { Anomaly } from "../../src/gen/driftlock/v1/anomaly_pb.js";
import { type Sidecar, startSidecar } from "../../src/sidecar/index.ts";
import { startDownstream } from "../forward/downstream.ts";
import { Postgres, skipPostgres } from "../store/postgres.ts";
import { logs, normalLines, sendGrpc, strangeLine } from "./sender.ts";

const undo: (() => unknown)[] = [];
let server: Postgres;

/** One process: a sidecar with a folder of its own. */
class Process {
  readonly reported: Anomaly[] = [];
  /** The names and data of the live events that a listener has received. */
  readonly heard: { event: string; data: { id: string; state: string } }[] = [];
  sidecar!: Sidecar;
  readonly #url: string;
  readonly #folder = mkdtempSync(join(tmpdir(), "driftlock-process-"));
  #second = 0;

  constructor(url: string) {
    this.#url = url;
    undo.push(() => rmSync(this.#folder, { recursive: true, force: true }));
  }

  async start(): Promise<this> {
    const target = await startDownstream("grpc");
    undo.push(target.close);
    const any = { endpoint: "127.0.0.1:0" };
    const config = configSchema.parse({
      receive: { grpc: any, http: any },
      detect: { baseline: { records: 200 }, budget: { per_stream_per_day: 1_000, per_group_per_day: 1_000 } },
      forward: { endpoint: target.endpoint, compression: "none" },
      api: any,
      data_dir: this.#folder,
      store: { url: this.#url },
    });
    this.sidecar = await startSidecar(config, {
      log: pino({ level: "silent" }),
      onAnomaly: [({ message }) => this.reported.push(message)],
    });
    undo.push(() => this.sidecar.close());
    return this;
  }

  async send(lines: string[]): Promise<void> {
    await sendGrpc(this.sidecar.addresses.grpc!, logs(lines, this.#second));
    this.#second += lines.length;
  }

  async learn(): Promise<this> {
    for (let i = 0; i < 4; i++) await this.send(normalLines(100, 100 * i));
    return this;
  }

  async api(
    method: string,
    path: string,
    body?: object,
  ): Promise<{ status: number; json: Record<string, unknown> }> {
    const headers = { "content-type": "application/json" };
    const url = `http://${this.sidecar.addresses.api}${path}`;
    const response = await fetch(url, { method, ...(body && { body: JSON.stringify(body), headers }) });
    return { status: response.status, json: (await response.json()) as Record<string, unknown> };
  }

  /** Listens to live events, until the test ends. */
  async listen(path: string): Promise<this> {
    const stop = new AbortController();
    undo.push(() => stop.abort());
    const response = await fetch(`http://${this.sidecar.addresses.api}${path}`, {
      headers: { accept: "text/event-stream" },
      signal: stop.signal,
    });
    expect(response.status).toBe(200);
    const read = async () => {
      let text = "";
      for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
        text += chunk;
        const events = text.split("\n\n");
        text = events.pop()!;
        for (const each of events) {
          const event = /^event: (.*)$/m.exec(each)?.[1];
          const data = /^data: (.*)$/m.exec(each)?.[1];
          if (event !== undefined && data !== undefined) this.heard.push({ event, data: JSON.parse(data) });
        }
      }
    };
    void read().catch(() => {});
    return this;
  }
}

describe.skipIf(skipPostgres)("several processes on one PostgreSQL", () => {
  beforeAll(async () => {
    server = await Postgres.start();
  }, 300_000);
  afterEach(async () => {
    for (const each of undo.splice(0).reverse()) await each();
  });
  afterAll(() => server?.remove());

  async function processes(count: number): Promise<Process[]> {
    const url = server.url(await server.createDatabase());
    const all = Array.from({ length: count }, () => new Process(url));
    // The first one makes the schema.
    for (const each of all) await each.start();
    return all;
  }

  it("tell the listeners of all of them of an anomaly, and of what a person decides about it", async () => {
    const [owner, second, third] = (await processes(3)) as [Process, Process, Process];
    for (const each of [owner, second, third]) await each.listen("/v1/stream/anomalies");
    await owner.learn();
    await owner.send([strangeLine]);
    const [{ id }] = owner.reported as [Anomaly];
    for (const each of [owner, second, third]) {
      await expect
        .poll(() => each.heard)
        .toContainEqual({ event: "anomaly", data: expect.objectContaining({ id }) });
    }
    await second.api("PATCH", `/v1/anomalies/${id}`, { state: "resolved" });
    for (const each of [owner, second, third]) {
      await expect
        .poll(() => each.heard)
        .toContainEqual({ event: "judgement", data: expect.objectContaining({ id, state: "resolved" }) });
    }
    // A process publishes what it has found itself once.
    expect(owner.heard.filter(({ event }) => event === "anomaly")).toHaveLength(1);
  });

  it("teach the engine that has the stream what is accepted at another one", async () => {
    const [owner, other] = (await processes(2)) as [Process, Process];
    await owner.learn();
    await owner.send([strangeLine]);
    const [{ id }] = owner.reported as [Anomaly];
    await expect.poll(async () => (await other.api("GET", `/v1/anomalies/${id}`)).status).toBe(200);
    await other.api("PATCH", `/v1/anomalies/${id}`, { state: "accepted" });
    await expect
      .poll(async () => {
        await owner.send(normalLines(20));
        owner.reported.length = 0;
        await owner.send([strangeLine]);
        return owner.reported.length;
      })
      .toBe(0);
  });

  it("teach an engine that was away what was accepted meanwhile", async () => {
    const [owner, other] = (await processes(2)) as [Process, Process];
    await owner.learn();
    await owner.send([strangeLine]);
    const [{ id }] = owner.reported as [Anomaly];
    await owner.sidecar.close();
    await expect.poll(async () => (await other.api("GET", `/v1/anomalies/${id}`)).status).toBe(200);
    await other.api("PATCH", `/v1/anomalies/${id}`, { state: "accepted" });
    await owner.start();
    await expect
      .poll(async () => {
        await owner.send(normalLines(20));
        owner.reported.length = 0;
        await owner.send([strangeLine]);
        return owner.reported.length;
      })
      .toBe(0);
  });

  it("apply policies of another one at once", async () => {
    const [owner, other] = (await processes(2)) as [Process, Process];
    await owner.learn();
    const began = performance.now();
    await other.api("PUT", "/v1/policies", { policies: [{ match: { service: "check*" }, judge: false }] });
    await expect
      .poll(async () => {
        owner.reported.length = 0;
        await owner.send([`${strangeLine} ${performance.now() - began}`]);
        return owner.reported.length;
      })
      .toBe(0);
  });

  it("hear of changes again after the database was away", async () => {
    const [owner, other] = (await processes(2)) as [Process, Process];
    await other.listen("/v1/stream/anomalies");
    await owner.learn();
    await server.stop();
    await owner.send([strangeLine]);
    await server.resume();
    const [{ id }] = owner.reported as [Anomaly];
    await expect
      .poll(() => other.heard, { timeout: 20_000 })
      .toContainEqual({ event: "anomaly", data: expect.objectContaining({ id }) });
  }, 60_000);
});
