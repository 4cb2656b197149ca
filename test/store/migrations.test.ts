import { spawn } from "node:child_process";
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { Kysely } from "kysely";
import { Migrator } from "kysely/migration";
import { afterAll, expect, it } from "vitest";
import { migrations } from "../../src/store/database/migrations.ts";
import { connectPostgres } from "../../src/store/database/postgres.ts";
import { SqliteDialect } from "../../src/store/database/sqlite/dialect.ts";
import type { Tables } from "../../src/store/database/tables.ts";
import { isUnavailable, migrateTo, migrationState, openStore } from "../../src/store/index.ts";
import { onEachDatabase } from "./databases.ts";
import { id, midnight, options, report, storeConfig } from "./fixtures.ts";

const opener = fileURLToPath(new URL("./opener.ts", import.meta.url));
const folders: string[] = [];
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

function folder(): string {
  folders.push(mkdtempSync(join(tmpdir(), "driftlock-store-")));
  return folders.at(-1)!;
}

/** Resolves to the process's standard error, which is empty on success. */
async function runOpener(...args: string[]): Promise<string> {
  const child = spawn(process.execPath, [opener, ...args], { stdio: ["ignore", "ignore", "pipe"] });
  let said = "";
  child.stderr.on("data", (chunk: Buffer) => {
    said += chunk.toString();
  });
  const code = await new Promise((resolve) => child.once("exit", resolve));
  return code === 0 ? "" : `exit ${code}: ${said}`;
}

const evidence = (n: number) => ({
  id: `bundle-${n}`,
  anomalyId: id(n),
  author: "ann",
  bytes: Buffer.from("content"),
});

onEachDatabase((databases) => {
  it("makes the schema once, and finds it the next time", async () => {
    const database = await databases.empty();
    const before = await migrationState(database.config());
    const all = [
      "001_initial",
      "002_stream_figures",
      "003_evidence_by_anomaly",
      "004_stream_withheld",
      "005_clock",
      "006_keys_in_audit_log",
      "007_report_news",
      "008_policies_and_silences",
      "009_notifications",
      "010_incidents",
      "011_sessions",
      "012_report_traces",
      "013_notable",
      "014_evidence",
      "015_sessions_of_people",
      "016_incident_reports",
      "017_llm_calls",
      "018_incident_bases",
      "019_billing",
      "020_judgements_by_time",
      "021_log_positions",
      "022_report_recordings",
      "023_alarm_budgets",
    ];
    expect(before).toMatchObject({ kind: databases.kind, applied: [], pending: all });
    const first = await database.open();
    await first.anomalies.record([report()]);
    await first.close();
    const second = await database.open();
    expect((await second.anomalies.list("acme")).items).toHaveLength(1);
    expect(second.health().ready).toBe(true);
    expect(await migrationState(database.config())).toMatchObject({ applied: all, pending: [] });
  });

  it("brings what an older version has written up to date", async () => {
    const database = await databases.empty();
    const { data_dir, store } = database.config();
    const old = store.url
      ? connectPostgres(store.url, { connections: 1, timeouts: false })
      : new Kysely<Tables>({
          dialect: new SqliteDialect({
            file: join(data_dir, "driftlock.db"),
            readOnly: false,
            thread: "this",
          }),
        });
    const { error } = await new Migrator({ db: old, provider: migrations(databases.kind) }).migrateTo(
      "001_initial",
    );
    expect(error).toBeUndefined();
    const seen = { first_seen: midnight, last_seen: midnight, records: 7, signal: 1, service: "cart" };
    for (const state of ["learning", "watching"]) {
      const stream = { ...seen, tenant: "acme", id: state, key: `logs ${state}`, state };
      await old
        .insertInto("streams")
        .values(stream as never)
        .execute();
    }
    await old.destroy();

    const opened = await database.open();
    const { items } = await opened.streams.list("acme");
    expect(items.map(({ id, progress, records, flagged }) => ({ id, progress, records, flagged }))).toEqual([
      { id: "watching", progress: 1, records: 7n, flagged: 0n },
      { id: "learning", progress: 0, records: 7n, flagged: 0n },
    ]);
    expect(items[0]!.reportedAt).toBe(Number(midnight / 1_000_000n));
  });

  it("records the API keys that are there in the audit log", async () => {
    const database = await databases.empty();
    const first = await database.open();
    const { key } = await first.keys.create("acme", { name: "old", scopes: ["read"] }, "ann");
    await first.keys.revoke("acme", key.id, "ann");
    await first.keys.create("acme", { name: "other", scopes: ["ingest"], expiresAt: 4e12 }, "ann");
    await first.close();
    // This simulates keys that were made before the log had fingerprints.
    await migrateTo(database.config(), "006_keys_in_audit_log");
    await database.query("delete from audit_log");
    await database.query(`update tenants set audit_seq = 0, audit_hash = '${"0".repeat(64)}'`);
    await database.query("delete from kysely_migration where name = '006_keys_in_audit_log'");
    const second = await database.open();
    const { items } = await second.audit.list("acme");
    expect(items.map(({ actor, action, target }) => [actor, action, target])).toEqual([
      ["driftlock", "key.recorded", expect.any(String)],
      ["driftlock", "key.recorded", key.id],
    ]);
    expect(items[1]!.detail).toMatchObject({ name: "old", scopes: ["read"], revoked_at: expect.any(Number) });
    expect(await second.audit.verify("acme")).toMatchObject({ ok: true, entries: 2, keys: 2 });
    await database.query("update api_keys set revoked_at = null");
    expect(await second.audit.verify("acme")).toMatchObject({
      ok: false,
      reason: expect.stringContaining("revoked_at is null"),
    });
  });

  it("takes each migration back as far as it is asked to, and applies it again", async () => {
    const database = await databases.empty();
    const config = database.config();
    const columns =
      databases.kind === "sqlite"
        ? `select m.type, m.tbl_name, m.name, c.name as part, c.type as of_type, c."notnull", c.dflt_value
           from sqlite_master m left join pragma_table_info(m.name) c order by 1, 2, 3, c.name`
        : `select table_name, column_name, data_type, is_nullable, column_default from information_schema.columns
           where table_schema = 'public' order by 1, 2`;
    const indexes =
      databases.kind === "sqlite"
        ? "select name, sql from sqlite_master where type = 'index' order by name"
        : "select indexname, indexdef from pg_indexes where schemaname = 'public' order by 1";
    const schema = async () => [await database.query(columns), await database.query(indexes)];
    const history = (await migrationState(config)).pending;
    const until = [undefined, ...history];

    await migrateTo(config, undefined);
    const states: unknown[] = [];
    for (const name of until) {
      await migrateTo(config, name);
      states.push(await schema());
    }
    const newest = history.at(-1);
    // A step that leaves something behind shows in every state before it, so that not each of them has to be compared.
    const compared = [...until.entries()].filter(([i]) => i % 5 === 0 || i > until.length - 5);
    for (const [n, [i, name]] of compared.entries()) {
      await migrateTo(config, newest);
      const store = await database.open();
      const made = await store.keys.create("acme", { name: "k", scopes: ["read"] }, "ann");
      await store.anomalies.record([report({ id: id(n) })]);
      await store.evidence.add("acme", evidence(n));
      await store.close();

      await migrateTo(config, name);
      expect(await schema()).toEqual(states[i]);
      expect((await migrationState(config)).applied).toEqual(history.slice(0, i));
      const again = await database.open();
      expect((await again.anomalies.list("acme")).items.length).toBe(n);
      expect(await again.keys.verify(made.secret)).toEqual(i === 0 ? undefined : expect.anything());
      expect(await again.audit.verify("acme")).toMatchObject({ ok: true });
      await again.close();
    }
  });

  it("lets two processes start at once", { timeout: 60_000 }, async () => {
    const database = await databases.empty();
    const { data_dir, store } = database.config();
    const said = await Promise.all(
      [1, 2].map((n) => runOpener(data_dir, String(n), ...(store.url ? [store.url] : []))),
    );
    expect(said).toEqual(["", ""]);
    const opened = await database.open();
    const { items } = await opened.anomalies.list("acme");
    expect(items.map((item) => item.id).sort()).toEqual([id(1), id(2)]);
    expect(await opened.audit.verify("acme")).toMatchObject({ ok: true, entries: 2 });
  });

  it("refuses a database that a newer version has written", async () => {
    const database = await databases.empty();
    await (await database.open()).close();
    await database.query("insert into kysely_migration values ('999_future', '2099-01-01T00:00:00.000Z')");
    await expect(database.open()).rejects.toThrow(/^(store\.url|data_dir): .*a newer Driftlock has written/);
  });

  it("says that it is closed", async () => {
    const database = await databases.empty();
    const store = await database.open();
    await store.close();
    await store.close();
    await expect(store.anomalies.list("acme")).rejects.toThrow("closed");
  });

  it.runIf(databases.kind === "postgres")(
    "names the key and the remedy where PostgreSQL refuses",
    async () => {
      const server = databases.server()!;
      const open = (url: string) => openStore(storeConfig(folder(), { url }), options());
      await expect(open(server.url("postgres", { as: "driftlock:wrong" }))).rejects.toThrow(
        /^store\.url: postgres:\/\/127\.0\.0\.1:\d+\/postgres: password authentication failed.*; check user and password/,
      );
      await expect(open(server.url("nowhere"))).rejects.toThrow(
        /database "nowhere" does not exist; create the/,
      );
      const refused = await open(server.url("nowhere", { as: "driftlock:hidden" })).catch(String);
      expect(refused).not.toContain("hidden");
    },
  );
});

it("keeps the file from other users", async () => {
  const data = join(folder(), "new", "data");
  const store = await openStore(storeConfig(data), options());
  await store.anomalies.record([report()]);
  for (const name of ["driftlock.db", "driftlock.db-wal"]) {
    expect(statSync(join(data, name)).mode & 0o077).toBe(0);
  }
  await store.close();
});

it("names the key and the remedy where the file cannot be used", async () => {
  const noFile = folder();
  mkdirSync(join(noFile, "driftlock.db"));
  await expect(openStore(storeConfig(noFile), options())).rejects.toThrow(
    /^data_dir: .*driftlock\.db: EISDIR.*; check that/,
  );
  const file = join(folder(), "file");
  writeFileSync(file, "");
  await expect(openStore(storeConfig(file), options())).rejects.toThrow(/^data_dir: .*file.*; check that/);
  if (process.getuid?.() !== 0) {
    const closed = folder();
    chmodSync(closed, 0o500);
    await expect(openStore(storeConfig(closed), options())).rejects.toThrow(/^data_dir: .*EACCES/);
  }
});

it("waits, and names the remedy, while the file is damaged", async () => {
  const data = folder();
  const file = join(data, "driftlock.db");
  await (await openStore(storeConfig(data), options())).close();
  const whole = readFileSync(file);
  const damages: [damage: () => void, said: RegExp][] = [
    [
      () => writeFileSync(file, "this is no database, ".repeat(5_000)),
      /: file is not a database; stop Driftlock/,
    ],
    [() => truncateSync(file, whole.length / 2), /: database disk image is malformed; stop Driftlock/],
  ];
  for (const [damage, said] of damages) {
    damage();
    const store = await openStore(storeConfig(data), options());
    expect(store.health()).toMatchObject({ ready: false, reason: expect.stringMatching(said) });
    const error = await store.anomalies.list("acme").catch((failure: unknown) => failure);
    expect(isUnavailable(error)).toBe(true);
    await store.close();
    writeFileSync(file, whole);
    const mended = await openStore(storeConfig(data), options());
    expect(mended.health().ready).toBe(true);
    await mended.close();
  }
});
