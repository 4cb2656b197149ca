/** Anomalies while the database is slow, unavailable or rejects some of them. */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { Writable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { fromBinary } from "@bufbuild/protobuf";
import { afterEach, describe, expect, it, vi } from "vitest";
import { encodeReport } from "../../src/anomaly/report.ts";
import { type Anomaly, AnomalySchema, Severity, State } from "../../src/gen/driftlock/v1/anomaly_pb.js";
import { Writer } from "../../src/store/anomalies/writer.ts";
import { InvalidArgument } from "../../src/store/database/errors.ts";
import {
  anomalySink,
  isUnavailable,
  openStore,
  type Store,
  type StoreOptions,
} from "../../src/store/index.ts";
import { createLogger } from "../../src/telemetry/log.ts";
import { fresh, onEachDatabase } from "./databases.ts";
import { ending, id, options, report, silent, storeConfig } from "./fixtures.ts";
import { Postgres, skipPostgres } from "./postgres.ts";

const cleanups: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
}, 30_000);

const patient = { timeout: 20_000, interval: 20 };
const many = (n: number, from = 0): Anomaly[] =>
  Array.from({ length: n }, (_, i) => report({ id: id(from + i) }));

const read = (bytes: Uint8Array): Anomaly => fromBinary(AnomalySchema, bytes);

/** A log in memory. */
function listen() {
  const lines: Record<string, unknown>[] = [];
  const destination = new Writable({
    write(chunk: Buffer, _encoding, done) {
      lines.push(JSON.parse(chunk.toString()));
      done();
    },
  });
  const log = createLogger({ service_name: "t", environment: "t", log_level: "debug" }, destination);
  return { lines, log };
}

onEachDatabase((databases) => {
  it("stores what a sink is given, in batches", async () => {
    const { store } = await fresh(databases);
    const sink = anomalySink(store);
    for (const anomaly of many(1_000)) sink(encodeReport(anomaly));
    for (const n of [1, 2, 3]) sink(encodeReport(ending({ id: id(n), occurrence: 1n })));
    await store.writer.flush();
    expect(store.writer.state()).toEqual({
      queued: 0,
      queuedBytes: 0,
      written: 1_003,
      dropped: 0,
      rejected: 0,
      failure: undefined,
    });
    const { items } = await store.anomalies.list("acme", { state: ["ended"] });
    expect(items.map((item) => item.id)).toEqual([id(3), id(2), id(1)]);
    expect((await store.anomalies.list("acme", {}, { limit: 1_000 })).items).toHaveLength(1_000);
  });

  it("stores what waits when it closes", async () => {
    const database = await databases.empty();
    const store = await database.open();
    for (const anomaly of many(300)) anomalySink(store)(encodeReport(anomaly));
    await store.close();
    const again = await database.open();
    expect((await again.anomalies.list("acme", {}, { limit: 1_000 })).items).toHaveLength(300);
  });

  it("leaves out what cannot be stored, says so, and stores the rest", async () => {
    const { lines, log } = listen();
    const { store } = await fresh(databases, { log });
    const sink = anomalySink(store);
    sink(encodeReport(report({ tenant: "" })));
    sink(encodeReport(report({ id: "no id" })));
    for (const anomaly of many(10)) sink(encodeReport(anomaly));
    await store.writer.flush();
    expect(store.writer.state()).toMatchObject({ written: 10, rejected: 2 });
    expect(lines).toContainEqual(
      expect.objectContaining({ level: "warn", rejected: 1, msg: "an anomaly cannot be stored" }),
    );
  });
});

describe("a writer", () => {
  const small = { batchMs: 1, retryMs: 1, maxRetryMs: 4 };

  it("finds the one report that the database refuses, and stores all others", async () => {
    const stored: string[] = [];
    const writer = new Writer(
      async (reports: readonly Uint8Array[]) => {
        const ids = reports.map((each) => read(each).id);
        if (ids.includes(id(13))) throw new InvalidArgument("x", "refused");
        stored.push(...ids);
      },
      silent,
      small,
    );
    for (const anomaly of many(100)) writer.offer(encodeReport(anomaly));
    await writer.flush();
    expect(stored.sort()).toEqual(
      many(100)
        .map((each) => each.id)
        .filter((each) => each !== id(13)),
    );
    expect(writer.state()).toMatchObject({ written: 99, rejected: 1, queued: 0 });
  });

  it("counts what is written once, when the database goes away half-way through a search", async () => {
    const stored: string[] = [];
    let calls = 0;
    const writer = new Writer(
      async (reports: readonly Uint8Array[]) => {
        const ids = reports.map((each) => read(each).id);
        if (ids.includes(id(13))) throw new InvalidArgument("x", "refused");
        // Every other batch that could be stored finds the database unavailable.
        calls += 1;
        if (calls % 2 === 0) throw new Error("away");
        stored.push(...ids);
      },
      silent,
      small,
    );
    for (const anomaly of many(40)) writer.offer(encodeReport(anomaly));
    await writer.flush();
    expect(new Set(stored).size).toBe(39);
    expect(stored).toHaveLength(39);
    expect(writer.state()).toMatchObject({ written: 39, rejected: 1, queued: 0 });
  });

  it("tries again until the database takes a batch, and loses none", async () => {
    let away = true;
    const stored = new Set<string>();
    const writer = new Writer(
      async (reports: readonly Uint8Array[]) => {
        if (away) throw new Error("away");
        for (const each of reports) stored.add(read(each).id);
      },
      silent,
      small,
    );
    for (const anomaly of many(50)) writer.offer(encodeReport(anomaly));
    await vi.waitFor(() => expect(writer.state().failure).toBe("away"), patient);
    for (const anomaly of many(50, 50)) writer.offer(encodeReport(anomaly));
    away = false;
    await writer.flush();
    expect(stored.size).toBe(100);
    expect(writer.state()).toMatchObject({ written: 100, failure: undefined });
  });

  it("stays within its memory, drops what matters least and says so", async () => {
    const { lines, log } = listen();
    let open = () => {};
    const gate = new Promise<void>((resolve) => {
      open = resolve;
    });
    const stored: Anomaly[] = [];
    const maxBytes = 150_000;
    const writer = new Writer(
      async (reports: readonly Uint8Array[]) => {
        await gate;
        stored.push(...reports.map(read));
      },
      log,
      { ...small, maxBytes, batchReports: 10 },
    );
    const text = "x".repeat(1_000);
    const kinds = [
      (n: number) => report({ id: id(n), occurrence: 2n, severity: Severity.LOW, record: { text } }),
      (n: number) => report({ id: id(n), occurrence: 2n, severity: Severity.CRITICAL, record: { text } }),
      (n: number) => ending({ id: id(n), occurrence: 9n }),
      (n: number) => report({ id: id(n), severity: Severity.HIGH, record: { text } }),
    ];
    let given = 0;
    for (let n = 0; n < 60; n++) {
      for (const kind of kinds) {
        writer.offer(encodeReport(kind(n)));
        given += 1;
        // The batch that is being written comes on top.
        expect(writer.state().queuedBytes).toBeLessThan(maxBytes + 20_000);
      }
    }
    open();
    await writer.flush();
    const { dropped, written } = writer.state();
    expect(dropped).toBeGreaterThan(0);
    expect(written + dropped).toBe(given);
    expect(stored).toHaveLength(written);
    // Every report that starts or ends an anomaly is stored.
    expect(new Set(stored.filter((each) => each.occurrence === 1n).map((each) => each.id)).size).toBe(60);
    expect(stored.filter((each) => each.state === State.ENDED)).toHaveLength(60);
    const updates = (severity: number) =>
      stored.filter((each) => each.occurrence === 2n && each.severity === severity).length;
    expect(updates(Severity.CRITICAL)).toBeGreaterThan(updates(Severity.LOW));
    expect(lines.filter(({ msg }) => String(msg).includes("least important"))).toHaveLength(1);
    const sums = () => lines.filter(({ msg }) => String(msg).includes("were dropped while"));
    expect(sums()).toEqual([
      expect.objectContaining({ level: "warn", dropped, dropped_since_start: dropped }),
    ]);
    writer.offer(encodeReport(report({ id: id(1_000) })));
    await writer.flush();
    expect(sums()).toHaveLength(1);
  });

  it("gives up at its deadline, and says how many were lost", async () => {
    const { lines, log } = listen();
    let attempts = 0;
    const writer = new Writer(
      () => {
        attempts += 1;
        return Promise.reject(new Error("away"));
      },
      log,
      small,
    );
    for (const anomaly of many(7)) writer.offer(encodeReport(anomaly));
    expect(await writer.close(50)).toBe(7);
    const before = attempts;
    expect(before).toBeGreaterThan(0);
    await sleep(20);
    expect(attempts).toBe(before);
    expect(lines).toContainEqual(expect.objectContaining({ level: "error", anomalies: 7 }));
  });
});

describe.skipIf(skipPostgres)("a PostgreSQL that goes away", () => {
  async function server(): Promise<Postgres> {
    const postgres = await Postgres.start();
    cleanups.push(() => postgres.remove());
    return postgres;
  }

  async function open(
    postgres: Postgres,
    database: string,
    more: Partial<StoreOptions> = {},
  ): Promise<Store> {
    const folder = mkdtempSync(join(tmpdir(), "driftlock-store-"));
    const store = await openStore(storeConfig(folder, { url: postgres.url(database) }), options(more));
    cleanups.push(async () => {
      await store.close();
      rmSync(folder, { recursive: true, force: true });
    });
    return store;
  }

  it("delays anomalies and loses none; the store says that it is not ready, and why", {
    timeout: 120_000,
  }, async () => {
    const postgres = await server();
    const name = await postgres.createDatabase();
    const store = await open(postgres, name);
    const { secret } = await store.keys.create("acme", { name: "k", scopes: ["ingest"] }, "ann");
    const sink = anomalySink(store);
    for (const anomaly of many(20)) sink(encodeReport(anomaly));
    await store.writer.flush();
    expect(await store.keys.verify(secret)).toBeDefined();
    expect(store.health()).toMatchObject({ ready: true });

    await postgres.stop("SIGQUIT");
    for (const anomaly of many(20, 20)) sink(encodeReport(anomaly));
    store.usage.add("acme", { requests: 3, records: 3, bytes: 3 });
    await vi.waitFor(() => expect(store.health().ready).toBe(false), patient);
    await vi.waitFor(() => expect(store.writer.state().failure).toBeDefined(), patient);
    expect(store.health().reason).toMatch(
      /postgres:\/\/127\.0\.0\.1:\d+\/\w+: .*reports of anomalies waiting: 20, dropped: 0/,
    );
    expect(store.health().reason).not.toContain("tests");
    const error = await store.anomalies.list("acme").catch((failure: unknown) => failure);
    expect(isUnavailable(error)).toBe(true);
    // A key that was verified a moment ago is still valid.
    expect(await store.keys.verify(secret)).toMatchObject({ tenant: "acme" });

    await postgres.resume();
    await store.writer.flush();
    await vi.waitFor(() => expect(store.health().ready).toBe(true), patient);
    expect((await store.anomalies.list("acme")).items).toHaveLength(40);
    expect(store.writer.state()).toMatchObject({ written: 40, dropped: 0, rejected: 0 });
    const [usage] = await store.usage.list("acme", { from: "2000-01-01", to: "2100-01-01" });
    expect(usage).toMatchObject({ requests: 3n });
  });

  it("may be away when the store opens", { timeout: 120_000 }, async () => {
    const postgres = await server();
    const name = await postgres.createDatabase();
    await postgres.stop();
    const store = await open(postgres, name);
    expect(store.health()).toMatchObject({ ready: false });
    for (const anomaly of many(5)) anomalySink(store)(encodeReport(anomaly));
    const error = await store.audit.list("acme").catch((failure: unknown) => failure);
    expect(isUnavailable(error)).toBe(true);

    await postgres.resume();
    await vi.waitFor(() => expect(store.health().ready).toBe(true), patient);
    await store.writer.flush();
    expect((await store.anomalies.list("acme")).items).toHaveLength(5);
  });

  /** Changes the conditions of new connections, and ends the existing ones, as a failover or an operator does. */
  async function change(postgres: Postgres, database: string, sql: string): Promise<void> {
    await postgres.query("postgres", sql);
    const pids = `select pid from pg_stat_activity where datname = '${database}'`;
    await postgres.query("postgres", `select pg_terminate_backend(pid) from (${pids}) b`);
  }

  it("may be read-only for a while, as a standby is", { timeout: 120_000 }, async () => {
    const postgres = await server();
    const name = await postgres.createDatabase();
    const readOnly = `alter database ${name} set default_transaction_read_only`;
    await change(postgres, name, `${readOnly} = on`);
    const store = await open(postgres, name);
    expect(store.health()).toMatchObject({ ready: false, reason: expect.stringContaining("read-only") });
    await change(postgres, name, `${readOnly} = off`);
    await vi.waitFor(() => expect(store.health().ready).toBe(true), patient);
    await store.anomalies.record(many(2));

    await change(postgres, name, `${readOnly} = on`);
    for (const anomaly of many(3, 2)) anomalySink(store)(encodeReport(anomaly));
    await vi.waitFor(() => expect(store.health().ready).toBe(false), patient);
    expect((await store.anomalies.list("acme")).items).toHaveLength(2);
    const patch = store.anomalies.patch("acme", id(1), { state: "resolved", author: "ann" });
    expect(isUnavailable(await patch.catch((failure: unknown) => failure))).toBe(true);
    await change(postgres, name, `${readOnly} = off`);
    await store.writer.flush();
    expect((await store.anomalies.list("acme")).items).toHaveLength(5);
  });

  it("may refuse a password that was good before", { timeout: 120_000 }, async () => {
    const postgres = await server();
    const name = await postgres.createDatabase();
    let now = Date.now();
    const store = await open(postgres, name, { now: () => now });
    const { secret } = await store.keys.create("acme", { name: "k", scopes: ["ingest"] }, "ann");
    expect(await store.keys.verify(secret)).toBeDefined();
    await change(postgres, name, "alter user driftlock password 'another'");
    await vi.waitFor(() => expect(store.health().ready).toBe(false), patient);
    expect(store.health().reason).toContain("password authentication failed");
    const error = await store.anomalies.list("acme").catch((failure: unknown) => failure);
    expect(isUnavailable(error)).toBe(true);
    // Senders are not to blame, and may continue for a while.
    now += 60_000;
    expect(await store.keys.verify(secret)).toMatchObject({ tenant: "acme" });
    await change(postgres, name, "alter user driftlock password 'for tests'");
    await vi.waitFor(() => expect(store.health().ready).toBe(true), patient);
  });

  it("may be killed while it works", { timeout: 120_000 }, async () => {
    const postgres = await server();
    const name = await postgres.createDatabase();
    const store = await open(postgres, name);
    await store.anomalies.record(many(3));
    await postgres.query(name, "begin");
    await postgres.query(name, "lock table anomalies");
    const asked = Promise.allSettled(Array.from({ length: 3 }, () => store.anomalies.list("acme")));
    const blocked = `select pid from pg_stat_activity where datname = '${name}' and wait_event_type = 'Lock'`;
    const pids = await vi.waitFor(async () => {
      const rows = await postgres.query("postgres", blocked);
      expect(rows).toHaveLength(3);
      return rows.map(({ pid }) => Number(pid));
    }, patient);
    for (const pid of pids) process.kill(pid, "SIGKILL");
    for (const answer of await asked) {
      expect(answer).toMatchObject({
        status: "rejected",
        reason: { message: expect.stringMatching(/^Connection terminated/) },
      });
    }
    await vi.waitFor(async () => expect((await store.anomalies.list("acme")).items).toHaveLength(3), patient);
  });

  it("may freeze: what is asked goes to other connections, and the store can be closed", {
    timeout: 120_000,
  }, async () => {
    const postgres = await server();
    const name = await postgres.createDatabase();
    const store = await open(postgres, name);
    await store.anomalies.record(many(3));
    const connected = `select pid from pg_stat_activity where datname = '${name}'`;
    const pids = (await postgres.query("postgres", connected)).map(({ pid }) => Number(pid));
    for (const pid of pids) process.kill(pid, "SIGSTOP");
    try {
      const error = await store.anomalies.list("acme").catch((failure: unknown) => failure);
      expect(isUnavailable(error)).toBe(true);
      for (let n = 0; n < 8; n++) expect((await store.anomalies.list("acme")).items).toHaveLength(3);
      await vi.waitFor(() => expect(store.health().ready).toBe(true), { ...patient, timeout: 40_000 });

      const others = (await postgres.query("postgres", connected)).map(({ pid }) => Number(pid));
      pids.push(...others.filter((pid) => !pids.includes(pid)));
      for (const pid of others) process.kill(pid, "SIGSTOP");
      await store.close();
    } finally {
      for (const pid of pids) {
        try {
          process.kill(pid, "SIGCONT");
        } catch {
          // The process has ended.
        }
      }
    }
  });
});
