import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { generate } from "selfsigned";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { redisPlace } from "../../src/access/redis.ts";
import type { Answer, Order } from "./limiter.ts";
import { Redis, skipRedis } from "./redis.ts";

const script = fileURLToPath(new URL("./limiter.ts", import.meta.url));

const undo: (() => unknown)[] = [];
afterEach(async () => {
  for (const each of undo.splice(0).reverse()) await each();
});

class Process {
  readonly #child: ChildProcess;

  constructor(limits: object, env: NodeJS.ProcessEnv = {}) {
    this.#child = fork(script, [JSON.stringify(limits)], { env: { PATH: process.env.PATH, ...env } });
    undo.push(async () => {
      const ended = once(this.#child, "exit");
      if (this.#child.connected) this.#child.disconnect();
      await ended;
    });
  }

  async tell(order: Order): Promise<Answer> {
    const answer = once(this.#child, "message");
    this.#child.send(order);
    return (await answer)[0] as Answer;
  }

  admit() {
    return this.tell({ do: "admit" });
  }

  async becomes(shared: boolean): Promise<string> {
    await expect.poll(async () => (await this.tell({ do: "state" })).shared).toBe(shared);
    return (await this.tell({ do: "state" })).reason!;
  }
}

async function sharing(limits: object, url: string, env?: NodeJS.ProcessEnv): Promise<[Process, Process]> {
  const processes = [0, 1].map(() => new Process({ ...limits, store: url }, env)) as [Process, Process];
  for (const each of processes) await each.becomes(true);
  return processes;
}

const wait = async (each: Process) => (await each.admit()).retryAfterMs ?? 0;
const minute = 60_000;

it("shows a URL without user, password and options", () => {
  expect(redisPlace("rediss://me:hidden@redis.example:6380/2?x=hidden")).toBe(
    "rediss://redis.example:6380/2",
  );
});

describe.skipIf(skipRedis)("two processes with one Redis", { timeout: 60_000 }, () => {
  let redis: Redis;
  beforeAll(async () => {
    redis = await Redis.start();
  }, 120_000);
  afterEach(async () => {
    await redis.ask("FLUSHALL");
  });
  afterAll(() => redis?.kill());

  it("wait for each other's debts", async () => {
    const [one, other] = await sharing({ records_per_second: 1_000, bytes_per_second: 1_000 }, redis.url());
    expect(await wait(other)).toBe(0);
    await one.tell({ do: "charge", records: 500_000, bytes: 1 });
    await expect.poll(() => wait(other)).toBeGreaterThan(minute);
    await other.tell({ do: "charge", records: 1, bytes: 900_000 });
    await expect.poll(async () => (await one.admit()).message).toContain("limits.records_per_second");
    // What either took is in one bucket, less what has flowed in since.
    const level = async (name: string) =>
      Number(await redis.ask("HGET", `driftlock:limit:acme:${name}`, "level"));
    await expect.poll(() => level("records")).toBeLessThan(-400_000);
    expect(await level("records")).toBeGreaterThanOrEqual(2_000 - 500_001);
    await expect.poll(() => level("bytes")).toBeLessThan(-800_000);
    expect(Number(await redis.ask("PTTL", "driftlock:limit:acme:bytes"))).toBeGreaterThan(minute);
  });

  it("share the quotas of a day", async () => {
    const [one, other] = await sharing({ records_per_day: 100 }, redis.url());
    for (const each of [one, other]) {
      expect(await wait(each)).toBe(0);
      await each.tell({ do: "countAccepted", records: 50, bytes: 1 });
    }
    for (const each of [one, other]) {
      await expect.poll(async () => (await each.admit()).message).toContain("limits.records_per_day (100)");
    }
    const [key] = (await redis.ask("KEYS", "driftlock:day:*")) as string[];
    expect(key).toMatch(/^driftlock:day:acme:\d{4}-\d\d-\d\d$/);
    expect(await redis.ask("HGETALL", key!)).toEqual({ records: "100", bytes: "2" });
    expect(Number(await redis.ask("TTL", key!))).toBeGreaterThan(86_400);
  });

  it("keep the limits each by itself while Redis is away, and together again after", async () => {
    const [one, other] = await sharing({ records_per_second: 1_000 }, redis.url());
    await redis.kill();
    for (const each of [one, other]) {
      await each.admit();
      expect(await each.becomes(false)).toMatch(
        /^redis:\/\/127\.0\.0\.1:\d+\/0: .+; each process keeps the limits by itself$/,
      );
    }
    await one.tell({ do: "charge", records: 500_000, bytes: 0 });
    expect(await wait(one)).toBeGreaterThan(minute);
    expect(await wait(other)).toBe(0);

    await redis.resume();
    for (const each of [one, other]) await each.becomes(true);
    // What was admitted meanwhile had been allowed, and is charged to nobody.
    await expect.poll(() => wait(one)).toBe(0);
    expect(await wait(other)).toBe(0);
    await other.tell({ do: "charge", records: 500_000, bytes: 0 });
    await expect.poll(() => wait(one)).toBeGreaterThan(minute);
    const { logged } = await one.admit();
    expect(logged.map((line) => JSON.parse(line).msg)).toEqual([
      "limits: shared with other processes through limits.store",
      "limits: limits.store is unavailable; each process enforces the limits on its own",
      "limits: shared with other processes through limits.store",
    ]);
  });

  it("do not wait for a Redis that does not answer", async () => {
    const [one] = await sharing({ records_per_second: 1_000 }, redis.url());
    redis.freeze();
    undo.push(() => redis.wake());
    expect(await wait(one)).toBe(0);
    expect(await one.becomes(false)).toContain("no answer within");
    expect(await wait(one)).toBe(0);
    redis.wake();
    await one.becomes(true);
  });
});

describe.skipIf(skipRedis)("a Redis that wants a password, by TLS", { timeout: 60_000 }, () => {
  let redis: Redis;
  let folder: string;
  let ca: string;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "driftlock-redis-"));
    const pem = await generate([{ name: "commonName", value: "127.0.0.1" }], {
      keySize: 2_048,
      extensions: [
        { name: "basicConstraints", cA: true },
        { name: "subjectAltName", altNames: [{ type: 7, ip: "127.0.0.1" }] },
      ],
    });
    ca = join(folder, "cert.pem");
    writeFileSync(ca, pem.cert);
    writeFileSync(join(folder, "key.pem"), pem.private, { mode: 0o600 });
    redis = await Redis.start(
      [`--tls-cert-file ${ca}`, `--tls-key-file ${join(folder, "key.pem")}`, "--tls-auth-clients no"].flatMap(
        (option) => option.split(" "),
      ),
      { tls: true, password: "hunter 2" },
    );
  }, 120_000);
  afterAll(async () => {
    await redis?.kill();
    rmSync(folder, { recursive: true, force: true });
  });

  const url = (password: string) => `rediss://:${encodeURIComponent(password)}@127.0.0.1:${redis.port}/1`;

  it("is spoken to, and the password told to nobody else", async () => {
    const [one, other] = await sharing({ records_per_second: 10 }, url("hunter 2"), {
      NODE_EXTRA_CA_CERTS: ca,
    });
    await one.tell({ do: "charge", records: 5_000, bytes: 0 });
    await expect.poll(() => wait(other)).toBeGreaterThan(minute);
    await redis.kill();
    await one.becomes(false);
    const said = JSON.stringify([await one.tell({ do: "state" }), await other.tell({ do: "state" })]);
    expect(said).toContain("shared with other processes");
    expect(said).not.toMatch(/hunter/);
    await redis.resume();
  });

  it("that refuses is no reason to stop", async () => {
    const wrong = new Process(
      { records_per_second: 10, store: url("hunter 3") },
      { NODE_EXTRA_CA_CERTS: ca },
    );
    await expect.poll(async () => (await wrong.tell({ do: "state" })).reason).toContain("WRONGPASS");
    expect(await wait(wrong)).toBe(0);
    const stranger = new Process({ records_per_second: 10, store: url("hunter 2") });
    await expect.poll(async () => (await stranger.tell({ do: "state" })).reason).toContain("certificate");
    for (const each of [wrong, stranger]) {
      expect(JSON.stringify(await each.tell({ do: "state" }))).not.toMatch(/hunter/);
    }
  });
});
