/** Two processes behind one address: what either has answered holds at the other, by one PostgreSQL and one Redis. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import pino from "pino";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { parseConfig } from "../../src/index.ts";
import { openStore } from "../../src/store/index.ts";
import { Redis, skipRedis } from "../access/redis.ts";
import { Program } from "../e2e/programs.ts";
import { type Downstream, startDownstream } from "../forward/downstream.ts";
import { versions } from "../store/fixtures.ts";
import { Postgres, skipPostgres } from "../store/postgres.ts";

const main = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));
const log = pino({ level: "silent" });

/** A process with an API. */
class Process {
  readonly program: Program;
  #address = "";

  private constructor(program: Program) {
    this.program = program;
  }

  static async start(settings: Record<string, string>): Promise<Process> {
    const options = Object.entries(settings).flatMap(([key, value]) => [`--${key}`, value]);
    const made = new Process(new Program(process.execPath, [main, "run", ...options]));
    made.#address = (await made.program.said(/"api":"(127.0.0.1:\d+)"/))[1]!;
    return made;
  }

  ask(path: string, init: RequestInit = {}): Promise<Response> {
    return fetch(`http://${this.#address}${path}`, init);
  }

  /** Sends an event. */
  async event(key: string, body: string, idempotencyKey?: string): Promise<Response> {
    return this.ask("/v1/events", {
      method: "POST",
      headers: {
        authorization: `Bearer ${key}`,
        "content-type": "application/json",
        ...(idempotencyKey !== undefined && { "idempotency-key": idempotencyKey }),
      },
      body: JSON.stringify({ body }),
    });
  }

  /** The header with a session's cookie, whose name depends on the port. A browser reaches all processes by one. */
  cookie(secret: string): { cookie: string } {
    return { cookie: `driftlock_session_${this.#address.split(":")[1]}=${secret}` };
  }
}

describe.skipIf(skipPostgres || skipRedis)("two processes", { timeout: 60_000 }, () => {
  const folder = mkdtempSync(join(tmpdir(), "driftlock-processes-"));
  let postgres: Postgres;
  let redis: Redis;
  let downstream: Downstream;
  /** How the downstream answers. */
  let answer: () => { status?: number } | Promise<{ status?: number }>;
  let one: Process;
  let other: Process;
  let key: string;
  beforeAll(async () => {
    [postgres, redis] = await Promise.all([Postgres.start(), Redis.start()]);
    downstream = await startDownstream("grpc", () => answer());
    const url = postgres.url(await postgres.createDatabase());
    const config = parseConfig({ data_dir: join(folder, "keys"), store: { url } });
    const store = await openStore(config, { log, versions });
    key = (await store.keys.create("acme", { name: "test", scopes: ["ingest", "read"] }, "test")).secret;
    await store.close();
    const settings = (n: number) => ({
      data_dir: join(folder, String(n)),
      "store.url": url,
      "limits.store": redis.url(),
      "forward.endpoint": downstream.endpoint,
      "forward.retry.enabled": "false",
      "receive.grpc.enabled": "false",
      "receive.http.endpoint": "127.0.0.1:0",
      "api.endpoint": "127.0.0.1:0",
      "auth.enabled": "true",
    });
    [one, other] = await Promise.all([Process.start(settings(1)), Process.start(settings(2))]);
  }, 180_000);
  beforeEach(() => {
    answer = () => ({});
    downstream.received.length = 0;
  });
  afterEach(() => redis.ask("FLUSHALL"));
  afterAll(async () => {
    await Promise.all([one?.program.stop(), other?.program.stop()]);
    await downstream?.close();
    await redis?.kill();
    await postgres?.remove();
    rmSync(folder, { recursive: true });
  });

  const arrived = () => downstream.received.length;

  it("give a request one effect and one answer, whichever of them receives it again", async () => {
    let release = () => {};
    answer = () =>
      new Promise((resolve) => {
        release = () => resolve({});
      });
    const first = one.event(key, "hello", "7f9c");
    await expect.poll(arrived, { timeout: 20_000 }).toBe(1);
    const meanwhile = await other.event(key, "hello", "7f9c");
    expect(meanwhile.status).toBe(409);
    expect(meanwhile.headers.get("retry-after")).toBe("1");
    release();
    answer = () => ({});
    const given = await first;
    expect(given.status).toBe(200);
    const body = await given.text();
    expect(JSON.parse(body)).toMatchObject({ accepted: 1 });
    for (const each of [other, one]) {
      const again = await each.event(key, "hello", "7f9c");
      expect(again.status).toBe(200);
      expect(again.headers.get("idempotency-replayed")).toBe("true");
      expect(await again.text()).toBe(body);
    }
    expect((await other.event(key, "bye", "7f9c")).status).toBe(422);
    expect(arrived()).toBe(1);
    // Nobody reads keys or names of tenants in Redis, and what is there ends by itself.
    const names = (await redis.ask("KEYS", "driftlock:idempotency:*")) as string[];
    expect(names).toHaveLength(2);
    for (const name of names) {
      expect(name).not.toMatch(/acme|7f9c/);
      expect(Number(await redis.ask("TTL", name))).toBeGreaterThan(3_000);
    }
  });

  it("take a request again that had no effect at the first", async () => {
    answer = () => ({ status: 14 });
    expect((await one.event(key, "hello", "a")).status).toBe(503);
    answer = () => ({});
    const again = await other.event(key, "hello", "a");
    expect(again.status).toBe(200);
    expect(again.headers.get("idempotency-replayed")).toBeNull();
  });

  it("refuse requests with a key while Redis is away, and lose and double none", async () => {
    await redis.kill();
    for (const each of [one, other]) {
      const refused = await each.event(key, "hello", "b");
      expect(refused.status).toBe(503);
      expect(refused.headers.get("retry-after")).not.toBeNull();
      expect(await refused.text()).toMatch(
        /the idempotency-key cannot be looked up, because limits\.store \(redis:\/\/127\.0\.0\.1:\d+\/0\) does not answer/,
      );
    }
    expect(arrived()).toBe(0);
    expect((await one.event(key, "without a key")).status).toBe(200);
    await redis.resume();
    const eventually = async () => (await other.event(key, "hello", "b")).status;
    await expect.poll(eventually, { timeout: 20_000 }).toBe(200);
    const again = await one.event(key, "hello", "b");
    expect(again.headers.get("idempotency-replayed")).toBe("true");
    expect(arrived()).toBe(2);
  });

  it("claim no key for a request that was refused because Redis was slow", async () => {
    redis.freeze();
    expect((await one.event(key, "hello", "c")).status).toBe(503);
    redis.wake();
    const eventually = async () => (await other.event(key, "hello", "c")).status;
    await expect.poll(eventually, { timeout: 20_000 }).toBe(200);
    expect(arrived()).toBe(1);
  });

  it("know the same sessions, with or without Redis, and end them together", async () => {
    await redis.kill();
    const login = await one.ask("/v1/session", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ key }),
    });
    expect(login.status).toBe(201);
    const [, secret] = /=(dls_[^;]+)/.exec(login.headers.getSetCookie()[0]!)!;
    const status = async (at: Process) =>
      (await at.ask("/v1/anomalies", { headers: at.cookie(secret!) })).status;
    expect(await status(one)).toBe(200);
    expect(await status(other)).toBe(200);
    expect((await one.ask("/v1/session", { method: "DELETE", headers: one.cookie(secret!) })).status).toBe(
      204,
    );
    expect(await status(one)).toBe(401);
    // Otherwise it would read the session again only ten seconds after the last time.
    await expect.poll(() => status(other), { timeout: 5_000 }).toBe(401);
    await redis.resume();
  });
});
