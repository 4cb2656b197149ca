/** Compares the audit log with the heads stored outside of the database and with the table of API keys. */
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pino from "pino";
import { describe, expect, it } from "vitest";
import { AuditHeads, currentHeads, parseHeads } from "../../src/store/audit-heads.ts";
import { Database } from "../../src/store/database/database.ts";
import { headsFile } from "../../src/store/index.ts";
import { fresh, onEachDatabase } from "./databases.ts";
import { silent } from "./fixtures.ts";

const zeros = "0".repeat(64);

onEachDatabase((databases) => {
  const create = (scopes: ("read" | "admin")[] = ["read"]) => ({ name: "edge", scopes });

  describe("API keys", () => {
    it("agree with the log, whatever was done to them by the product", async () => {
      const { store } = await fresh(databases);
      const made = await store.keys.create("acme", { ...create(), expiresAt: 4e12 }, "ann");
      await store.keys.create("acme", create(["read", "admin"]), "ann");
      await store.keys.rotate("acme", made.key.id, 60_000, "ann");
      await store.keys.revoke("acme", made.key.id, "ann");
      await store.keys.verify(made.secret);
      await store.keys.flush();
      expect(await store.audit.verify("acme")).toMatchObject({ ok: true, entries: 5, keys: 3 });
    });

    const other = "f".repeat(64);
    it.each([
      [
        "more scopes",
        "update api_keys set scopes = 'read admin' where revoked_at is null",
        /scopes is \["read","admin"\], and \["read"\] in the log/,
      ],
      [
        "another hash",
        `update api_keys set hash = '${other}' where revoked_at is null`,
        /the hash of the API key \w+ was changed/,
      ],
      [
        "another end",
        "update api_keys set expires_at = 5 where revoked_at is null",
        /expires_at is 5, and null in the log/,
      ],
      ["another name", "update api_keys set name = 'x'", /name is "x"/],
      ["another author", "update api_keys set created_by = 'x'", /created_by is "x"/],
      ["no revocation", "update api_keys set revoked_at = null", /revoked_at is null, and \d+ in the log/],
      [
        "a revocation",
        "update api_keys set revoked_at = 7 where revoked_at is null",
        /revoked_at is 7, and null in the log/,
      ],
      ["no row", "delete from api_keys where revoked_at is null", /was removed from the table api_keys/],
      [
        "another tenant",
        "update api_keys set tenant = 'umbrella' where revoked_at is null",
        /was removed from the table api_keys/,
      ],
      [
        "a twin",
        "insert into api_keys select 'abcdef0123456789', tenant, 'twin', hash, scopes, created_by, created_at, expires_at, revoked_at, last_used_at from api_keys where revoked_at is null",
        /API key abcdef0123456789 \(twin\) is in the table api_keys but not in the log/,
      ],
    ])("that have %s by another hand are found", async (_, sql, reason) => {
      const { store, database } = await fresh(databases);
      await store.keys.create("acme", create(), "ann");
      const { key } = await store.keys.create("acme", create(), "ann");
      await store.keys.revoke("acme", key.id, "ann");
      await database.query(sql);
      const verdict = await store.audit.verify("acme");
      expect(verdict).toMatchObject({ ok: false, reason: expect.stringMatching(reason) });
      expect(verdict).not.toHaveProperty("seq");
    });

    it("that are put in for a tenant without a log are found", async () => {
      const { store, database } = await fresh(databases);
      await store.keys.create("acme", create(), "ann");
      await database.query("update api_keys set tenant = 'umbrella'");
      expect(await store.audit.verify("umbrella")).toMatchObject({
        ok: false,
        reason: expect.stringContaining("is in the table api_keys but not in the log"),
      });
    });

    it("may be made while they are verified", async () => {
      const { store } = await fresh(databases);
      const making = Array.from({ length: 10 }, () => store.keys.create("acme", create(), "ann"));
      const verdicts = await Promise.all(making.map(() => store.audit.verify("acme")));
      for (const verdict of verdicts) expect(verdict.ok).toBe(true);
      await Promise.all(making);
    });
  });

  describe("heads", () => {
    const append = { actor: "ann", action: "x", target: "" };

    it("are on disk when a change has been made, and whoever has them notices a new chain", async () => {
      const { store, database } = await fresh(databases);
      for (let n = 0; n < 3; n++) await store.audit.append("acme", append);
      const { hash } = await store.audit.append("umbrella", append);
      const file = headsFile(database.config());
      const heads = parseHeads(readFileSync(file, "utf8"));
      expect(heads.map(({ tenant, seq }) => `${tenant} ${seq}`)).toEqual([
        "acme 1",
        "acme 2",
        "acme 3",
        "umbrella 1",
      ]);
      expect(heads[3]!.hash).toBe(hash);
      expect(statSync(file).mode & 0o777).toBe(0o600);
      expect(store.auditHeads()).toMatchObject({ entries: 4, altered: 0 });
      const recorded = [{ seq: 2, hash: heads[1]!.hash, source: "a note" }];
      expect(await store.audit.verify("acme", recorded)).toMatchObject({ ok: true });
      recorded[0]!.hash = hash;
      expect(await store.audit.verify("acme", recorded)).toMatchObject({
        ok: false,
        seq: 2,
        reason: "the log was rewritten: a note has another entry with this number",
      });
    });

    it("are compared by a running process, which says so where a log was altered", async () => {
      const { store, database } = await fresh(databases);
      for (const tenant of ["acme", "umbrella", "third"]) {
        for (let n = 0; n < 3; n++) await store.audit.append(tenant, append);
      }
      const lines: { level: number; tenant?: string }[] = [];
      const log = pino({}, { write: (line: string) => void lines.push(JSON.parse(line)) });
      const heads = new AuditHeads(headsFile(database.config()), log);
      await heads.load();
      const db = new Database(database.config(), { thread: "this" });
      await db.migrate();
      try {
        await heads.compare(db.read);
        expect(heads.state()).toMatchObject({ entries: 9, altered: 0 });
        expect(await currentHeads(db.read)).toHaveLength(3);
        // One log is truncated and its number reset, one is truncated and continued at a greater number, one is
        // removed.
        await database.query("delete from audit_log where tenant = 'acme' and seq = 3");
        await database.query("update tenants set audit_seq = 2 where id = 'acme'");
        await database.query("update audit_log set seq = seq + 3 where tenant = 'umbrella'");
        await database.query("update tenants set audit_seq = 6 where id = 'umbrella'");
        await database.query("delete from audit_log where tenant = 'third'");
        await database.query("delete from tenants where id = 'third'");
        await heads.compare(db.read);
        await heads.compare(db.read);
        expect(heads.state().altered).toBe(3);
        const alarms = lines.filter(({ level }) => level === 50);
        expect(alarms.map(({ tenant }) => tenant).sort()).toEqual(["acme", "third", "umbrella"]);
      } finally {
        await db.close();
      }
    });
  });
});

describe("the file of heads", () => {
  const hashOf = (n: number) => n.toString(16).padStart(64, "0");
  const headOf = (tenant: string, seq: number, hash = hashOf(seq)) => ({
    tenant,
    seq,
    hash,
    previousHash: seq === 1 ? zeros : hashOf(seq - 1),
  });

  it("stays small, and keeps what contradicts itself", async ({ onTestFinished }) => {
    const folder = mkdtempSync(join(tmpdir(), "driftlock-heads-"));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const file = join(folder, "deep", "heads");
    const heads = new AuditHeads(file, silent);
    await heads.record(Array.from({ length: 20_000 }, (_, n) => headOf("acme", n + 1)));
    await heads.record([headOf("forked", 5), headOf("forked", 4), headOf("forked", 5, hashOf(99))]);
    expect(statSync(file).size).toBeLessThan(1_000);
    expect(parseHeads(readFileSync(file, "utf8")).map(({ tenant, seq }) => [tenant, seq])).toEqual([
      ["acme", 20_000],
      ["forked", 5],
      ["forked", 4],
      ["forked", 5],
    ]);
    expect(heads.state().altered).toBe(1);
    await heads.close();
    const next = new AuditHeads(file, silent);
    await next.load();
    expect(next.state().entries).toBe(20_005);
    await next.record([{ ...headOf("acme", 20_001), previousHash: zeros }]);
    expect(next.state().altered).toBe(1);
  });

  it("is read past lines that are torn", () => {
    const text = `acme 1 ${hashOf(1)}\nacme 2 ${hashOf(2).slice(3)}\nx\nacme 3 ${hashOf(3)}\nacme 4 ab`;
    expect(parseHeads(text).map(({ seq }) => seq)).toEqual([1, 3]);
  });

  it("that cannot be written holds up no change", async ({ onTestFinished }) => {
    const folder = mkdtempSync(join(tmpdir(), "driftlock-heads-"));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    writeFileSync(join(folder, "plain"), "");
    const lines: string[] = [];
    const heads = new AuditHeads(
      join(folder, "plain", "heads"),
      pino({}, { write: (line: string) => void lines.push(line) }),
    );
    await heads.record([headOf("acme", 1)]);
    await heads.record([headOf("acme", 2)]);
    expect(heads.state().entries).toBe(2);
    expect(lines.filter((line) => line.includes("cannot be written to their file"))).toHaveLength(1);
  });
});
