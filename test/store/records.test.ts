/** Keys, audit log, usage, streams and evidence. */
import { setTimeout as sleep } from "node:timers/promises";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { canonicalJson } from "../../src/base/canonical.ts";
import { sha256 } from "../../src/base/sha256.ts";
import { fresh, onEachDatabase } from "./databases.ts";
import { id, incident, observation, report } from "./fixtures.ts";

const day = 86_400_000;

onEachDatabase((databases) => {
  describe("keys", () => {
    it("stand for a tenant and its scopes, and are stored as a hash alone", async () => {
      const { store, database } = await fresh(databases);
      const { secret, key } = await store.keys.create(
        "acme",
        { name: "ci", scopes: ["read", "ingest"] },
        "ann",
      );
      expect(secret).toMatch(/^dlk_[0-9a-f]{16}_[\w-]{43}$/);
      expect(secret.startsWith(key.prefix)).toBe(true);
      expect(key).toMatchObject({ tenant: "acme", name: "ci", scopes: ["ingest", "read"], createdBy: "ann" });
      expect(await store.keys.verify(secret)).toEqual({
        id: key.id,
        prefix: key.prefix,
        tenant: "acme",
        name: "ci",
        scopes: ["ingest", "read"],
      });
      const rows = JSON.stringify(await database.query("select * from api_keys"), (_, value) =>
        typeof value === "bigint" ? String(value) : value,
      );
      expect(rows).not.toContain(secret.slice(-43));
      const log = JSON.stringify((await store.audit.list("acme")).items);
      expect(log).toContain("key.created");
      expect(log).not.toContain(secret.slice(-43));
    });

    it("are rotated: another takes the place of one, which goes on for a while", async () => {
      const start = Date.now();
      let now = start;
      const { store } = await fresh(databases, { now: () => now });
      const life = 10 * 86_400_000;
      const input = { name: "edge", scopes: ["ingest", "read"] as const, expiresAt: start + life };
      const old = await store.keys.create("acme", input, "ann");
      now += 1_000;
      const { secret, key, replaced } = (await store.keys.rotate("acme", old.key.id, 5_000, "bob"))!;
      expect(key).toMatchObject({
        tenant: "acme",
        name: "edge",
        scopes: ["ingest", "read"],
        createdBy: "bob",
      });
      expect(key.expiresAt).toBe(now + life);
      expect(replaced).toEqual({ ...old.key, expiresAt: now + 5_000 });
      for (const each of [secret, old.secret]) expect(await store.keys.verify(each)).toBeDefined();
      // A key may end sooner, never later.
      await store.keys.rotate("acme", old.key.id, 60_000, "bob");
      expect((await store.keys.list("acme")).items.find(({ id }) => id === old.key.id)).toEqual(replaced);
      now += 5_000;
      expect(await store.keys.verify(old.secret)).toBeUndefined();
      expect(await store.keys.verify(secret)).toMatchObject({ id: key.id, tenant: "acme" });

      await expect(store.keys.rotate("acme", old.key.id, 0, "bob")).rejects.toThrow(
        "id: the key has expired",
      );
      await store.keys.revoke("acme", key.id, "bob");
      await expect(store.keys.rotate("acme", key.id, 0, "bob")).rejects.toThrow("id: the key is revoked");
      await expect(store.keys.rotate("acme", key.id, -1, "bob")).rejects.toThrow("graceMs: must be");
      expect(await store.keys.rotate("other", key.id, 0, "bob")).toBeUndefined();

      const { items } = await store.audit.list("acme");
      const about = ({ action, target, detail }: (typeof items)[number]) => ({ action, target, detail });
      expect(items.slice(3, 5).map(about)).toEqual([
        {
          action: "key.rotated",
          target: old.key.id,
          detail: { replaced_by: key.id, expires_at: replaced.expiresAt },
        },
        {
          action: "key.created",
          target: key.id,
          detail: {
            name: "edge",
            scopes: key.scopes,
            expires_at: key.expiresAt,
            fingerprint: expect.stringMatching(/^[0-9a-f]{64}$/),
            replaces: old.key.id,
          },
        },
      ]);
      expect(await store.audit.verify("acme")).toMatchObject({ ok: true, entries: 6 });
    });

    it("that never expire are rotated into such, and may end at once", async () => {
      const { store } = await fresh(databases);
      const old = await store.keys.create("acme", { name: "k", scopes: ["read"] }, "ann");
      expect(await store.keys.verify(old.secret)).toBeDefined();
      const { key } = (await store.keys.rotate("acme", old.key.id, 0, "ann"))!;
      expect(key).not.toHaveProperty("expiresAt");
      expect(await store.keys.verify(old.secret)).toBeUndefined();
    });

    it("are refused when they are unknown, altered or no keys", async () => {
      const { store } = await fresh(databases);
      const { secret } = await store.keys.create("acme", { name: "ci", scopes: ["read"] }, "ann");
      const other = await store.keys.create("acme", { name: "ci", scopes: ["read"] }, "ann");
      const flipped = `${secret.slice(0, -1)}${secret.endsWith("A") ? "Q" : "A"}`;
      const crossed = `${secret.slice(0, 21)}${other.secret.slice(21)}`;
      const unknown = `dlk_${"0".repeat(16)}${secret.slice(20)}`;
      for (const wrong of [
        flipped,
        crossed,
        unknown,
        "",
        "dlk_",
        `${secret} `,
        `${secret}A`,
        "\0".repeat(65),
      ]) {
        expect(await store.keys.verify(wrong)).toBeUndefined();
      }
    });

    it("end when they expire or are revoked", async () => {
      let now = 1_000_000;
      const { store } = await fresh(databases, { now: () => now });
      const scopes = ["admin"] as const;
      const brief = await store.keys.create("acme", { name: "brief", scopes, expiresAt: now + 500 }, "ann");
      const long = await store.keys.create("acme", { name: "long", scopes }, "ann");
      expect(await store.keys.verify(brief.secret)).toBeDefined();
      now += 500;
      expect(await store.keys.verify(brief.secret)).toBeUndefined();

      expect(await store.keys.verify(long.secret)).toBeDefined();
      expect(await store.keys.revoke("acme", long.key.id, "bob")).toMatchObject({ revokedAt: now });
      expect(await store.keys.verify(long.secret)).toBeUndefined();
      now += 500;
      expect(await store.keys.revoke("acme", long.key.id, "bob")).toMatchObject({ revokedAt: now - 500 });
      expect(await store.keys.revoke("acme", "0".repeat(16), "bob")).toBeUndefined();
      const { items } = await store.audit.list("acme");
      expect(items.filter(({ action }) => action === "key.revoked")).toHaveLength(1);
    });

    it("revoked by another process end within ten seconds", async () => {
      let now = 1_000_000;
      const database = await databases.empty();
      const store = await database.open({ now: () => now });
      const other = await database.open();
      const { secret, key } = await store.keys.create("acme", { name: "k", scopes: ["read"] }, "ann");
      expect(await store.keys.verify(secret)).toBeDefined();
      await other.keys.revoke("acme", key.id, "bob");
      now += 10_000;
      expect(await store.keys.verify(secret)).toBeUndefined();
    });

    it("are listed with their last use", async () => {
      let now = 1_000_000;
      const { store } = await fresh(databases, { now: () => now });
      for (const name of ["a", "b", "c"]) {
        now += 10;
        await store.keys.create("acme", { name, scopes: ["read"] }, "ann");
      }
      const { secret } = await store.keys.create("acme", { name: "used", scopes: ["read"] }, "ann");
      await store.keys.verify(secret);
      await store.keys.flush();
      const first = await store.keys.list("acme", { limit: 2 });
      const rest = await store.keys.list("acme", { limit: 9, after: first.next! });
      const all = [...first.items, ...rest.items];
      expect(all.map(({ name }) => name).sort()).toEqual(["a", "b", "c", "used"]);
      expect(all.find(({ name }) => name === "used")!.lastUsedAt).toBe(now);
      expect(all.find(({ name }) => name === "a")).not.toHaveProperty("lastUsedAt");
      expect(rest.next).toBeUndefined();
    });

    it("are told when each was last used, hundreds at once", { timeout: 60_000 }, async () => {
      let now = 1_000_000;
      const { store } = await fresh(databases, { now: () => now });
      const used = new Map<string, number>();
      for (let n = 0; n < 501; n++) {
        const { secret, key } = await store.keys.create("acme", { name: `${n}`, scopes: ["read"] }, "ann");
        now += 1;
        await store.keys.verify(secret);
        used.set(key.id, now);
      }
      await store.keys.flush();
      const { items } = await store.keys.list("acme", { limit: 1_000 });
      expect(new Map(items.map(({ id: key, lastUsedAt }) => [key, lastUsedAt]))).toEqual(used);
    });

    it("cannot be made without a name, a scope or a future", async () => {
      const { store } = await fresh(databases);
      const make = (input: object) =>
        store.keys.create("acme", { name: "k", scopes: ["read"], ...input } as never, "ann");
      await expect(make({ name: "" })).rejects.toThrow("name: must not be empty");
      await expect(make({ scopes: [] })).rejects.toThrow("scopes: must be some of ingest, read, admin");
      await expect(make({ scopes: ["read", "root"] })).rejects.toThrow("scopes: must be some of");
      await expect(make({ expiresAt: 5 })).rejects.toThrow("expiresAt: must be in the future");
      expect((await store.keys.list("acme")).items).toEqual([]);
    });
  });

  describe("audit log", () => {
    const entries = 6;

    async function filled() {
      const { store, database } = await fresh(databases);
      for (let n = 0; n < entries; n++) {
        await store.audit.append("acme", {
          actor: `actor ${n}`,
          action: "anomaly.resolved",
          target: id(n),
          detail: { b: [n, null, "ü\0"], a: { z: true, y: 1.5 } },
        });
        await store.audit.append("umbrella", { actor: "other", action: "x", target: "" });
      }
      return { store, database };
    }

    it("is a chain of hashes, newest first in the list", async () => {
      const { store } = await filled();
      const first = await store.audit.list("acme", { limit: 4 });
      const rest = await store.audit.list("acme", { limit: 4, after: first.next! });
      const all = [...first.items, ...rest.items];
      expect(all.map(({ seq }) => seq)).toEqual([6, 5, 4, 3, 2, 1]);
      expect(all.at(-1)!.previousHash).toBe("0".repeat(64));
      for (const [i, entry] of all.slice(1).entries()) expect(all[i]!.previousHash).toBe(entry.hash);
      expect(all[0]).toMatchObject({ tenant: "acme", actor: "actor 5", target: id(5) });
      expect(await store.audit.verify("acme")).toEqual({ ok: true, entries, head: all[0]!.hash, keys: 0 });
      expect(await store.audit.verify("nobody")).toEqual({
        ok: true,
        entries: 0,
        head: "0".repeat(64),
        keys: 0,
      });
    });

    it("lines up entries that come at once, from several stores", async () => {
      const database = await databases.empty();
      const stores = await Promise.all([database.open(), database.open()]);
      await Promise.all(
        Array.from({ length: 20 }, (_, n) =>
          stores[n % 2]!.audit.append("acme", { actor: `${n}`, action: "x", target: "" }),
        ),
      );
      expect(await stores[0]!.audit.verify("acme")).toMatchObject({ ok: true, entries: 20 });
    });

    it("shows any edit", { timeout: 60_000 }, async () => {
      const { store, database } = await filled();
      const backup = async () => {
        await database.query("create table backup as select * from audit_log");
        await database.query("create table backup_tenants as select * from tenants");
      };
      const restore = async () => {
        await database.query("delete from audit_log");
        await database.query("insert into audit_log select * from backup");
        await database.query("delete from tenants");
        await database.query("insert into tenants select * from backup_tenants");
      };
      await backup();
      const seq = fc.integer({ min: 1, max: entries });
      const hex = fc.string({ unit: fc.constantFrom(..."0123456789abcdef"), minLength: 64, maxLength: 64 });
      const at = (n: number) => `where tenant = 'acme' and seq = ${n}`;
      const edits = fc.oneof(
        // One character of an entry is replaced by another.
        fc
          .tuple(seq, fc.integer({ min: 1, max: 150 }), fc.constantFrom("0", "x", " ", ""))
          .map(
            ([n, i, c]) =>
              `update audit_log set entry = substr(entry, 1, ${i - 1}) || '${c}' || substr(entry, ${i + 1}) ${at(n)}`,
          ),
        fc.tuple(seq, hex).map(([n, hash]) => `update audit_log set hash = '${hash}' ${at(n)}`),
        fc.tuple(seq, hex).map(([n, hash]) => `update audit_log set previous_hash = '${hash}' ${at(n)}`),
        seq.map((n) => `update audit_log set seq = seq + 1000 ${at(n)}`),
        seq.map((n) => `update audit_log set seq = -seq ${at(n)}`),
        seq.map((n) => `update audit_log set tenant = 'nobody' ${at(n)}`),
        seq.map((n) => `delete from audit_log ${at(n)}`),
        seq.map((n) => `delete from audit_log where tenant = 'acme' and seq >= ${n}`),
        fc
          .tuple(seq, seq)
          .filter(([a, b]) => a !== b)
          .map(
            ([a, b]) =>
              `update audit_log set entry = (select entry from backup ${at(a)}), hash = (select hash from backup ${at(a)}) ${at(b)}`,
          ),
        fc.constant("update tenants set audit_seq = 3 where id = 'acme'"),
        fc.constant("delete from tenants where id = 'acme'"),
        fc.constant(
          "insert into audit_log select tenant, 7, previous_hash, hash, entry from backup where tenant = 'acme' and seq = 6",
        ),
        hex.map((hash) => `update tenants set audit_hash = '${hash}' where id = 'acme'`),
        fc.constant(
          "insert into audit_log select tenant, 0, previous_hash, hash, entry from backup where tenant = 'acme' and seq = 1",
        ),
      );
      await fc.assert(
        fc.asyncProperty(edits, async (edit) => {
          await restore();
          const before = await database.query("select * from audit_log order by tenant, seq");
          const tenants = await database.query("select * from tenants order by id");
          await database.query(edit);
          const after = await database.query("select * from audit_log order by tenant, seq");
          const tenantsAfter = await database.query("select * from tenants order by id");
          fc.pre(String(JSON.stringify([before, tenants])) !== String(JSON.stringify([after, tenantsAfter])));
          expect((await store.audit.verify("acme")).ok).toBe(false);
          expect((await store.audit.verify("umbrella")).ok).toBe(true);
        }),
        { numRuns: 40 },
      );
      await restore();
      expect((await store.audit.verify("acme")).ok).toBe(true);
    });

    it("shows a forged entry whose own hash is right", async () => {
      const { store, database } = await filled();
      const { items } = await store.audit.list("acme");
      for (const { seq, previousHash, hash, ...entry } of items) {
        const forged = canonicalJson({ ...entry, seq, actor: "nobody" } as never).replaceAll("'", "''");
        const set = (text: string, itsHash: string) =>
          `update audit_log set entry = '${text}', hash = '${itsHash}' where tenant = 'acme' and seq = ${seq}`;
        await database.query(set(forged, sha256(previousHash + forged)));
        expect((await store.audit.verify("acme")).ok).toBe(false);
        await database.query(set(canonicalJson({ ...entry, seq } as never), hash));
        expect((await store.audit.verify("acme")).ok).toBe(true);
      }
    });

    it("shows a tenant's log in another's place", async () => {
      const { store, database } = await filled();
      await database.query(
        "update audit_log set tenant = case tenant when 'acme' then 'swapped' else 'acme' end",
      );
      await database.query("update audit_log set tenant = 'umbrella' where tenant = 'swapped'");
      await database.query(
        "update tenants set audit_hash = (select hash from audit_log a where a.tenant = tenants.id and seq = 6)",
      );
      for (const tenant of ["acme", "umbrella"]) {
        expect(await store.audit.verify(tenant)).toEqual({
          ok: false,
          seq: 1,
          reason: "the entry belongs elsewhere in the log",
        });
      }
    });

    it("is bounded, an entry at a time", async () => {
      const { store } = await fresh(databases);
      const input = { actor: "ann", action: "x", target: "" };
      const append = (more: object) => store.audit.append("acme", { ...input, ...more });
      await expect(append({ actor: "" })).rejects.toThrow("actor: must not be empty");
      await expect(append({ target: "x".repeat(257) })).rejects.toThrow("target: must be at most 256");
      await expect(append({ detail: { x: "x".repeat(20_000) } })).rejects.toThrow("detail: must be at most");
      await expect(append({ detail: { x: "\ud800" } })).rejects.toThrow("detail: half a surrogate pair");
      await expect(append({ detail: { x: Number.NaN } })).rejects.toThrow(
        "NaN cannot be represented in JSON",
      );
      expect(await store.audit.verify("acme")).toMatchObject({ ok: true, entries: 0 });
    });
  });

  describe("usage", () => {
    it("adds up for each tenant and day", async () => {
      let now = Date.UTC(2026, 0, 31, 23, 59, 59);
      const { store } = await fresh(databases, { now: () => now });
      store.usage.add("acme", { requests: 1, records: 10, bytes: 2 ** 40 });
      store.usage.add("umbrella", { requests: 1, records: 1, bytes: 1 });
      await store.usage.flush();
      store.usage.add("acme", { requests: 1, records: 5, bytes: 2 ** 40 });
      now += 2_000;
      store.usage.add("acme", { requests: 7, records: 0, bytes: 0 });
      expect(await store.usage.list("acme", { from: "2026-01-01", to: "2026-12-31" })).toMatchObject([
        { tenant: "acme", day: "2026-01-31", requests: 2n, records: 15n, bytes: 2n ** 41n },
        { tenant: "acme", day: "2026-02-01", requests: 7n, records: 0n, bytes: 0n },
      ]);
      expect(await store.usage.list("acme", { from: "2026-02-01", to: "2026-02-01" })).toHaveLength(1);
      await expect(store.usage.list("acme", { from: "today", to: "2026-02-01" })).rejects.toThrow(
        "from: must be",
      );
    });
  });

  it("lists evidence bundles", async () => {
    let now = 1_000;
    const { store } = await fresh(databases, { now: () => now++ });
    const bundle = (name: string) => ({
      id: name,
      author: "ann",
      bytes: Buffer.from("content"),
    });
    await store.anomalies.record([report()]);
    await store.evidence.add("acme", { ...bundle("one"), anomalyId: id(1) });
    await store.evidence.add("acme", bundle("two"));
    const first = await store.evidence.list("acme", { limit: 1 });
    const rest = await store.evidence.list("acme", { limit: 1, after: first.next! });
    expect([...first.items, ...rest.items].map((each) => [each.id, each.anomalyId])).toEqual([
      ["two", undefined],
      ["one", id(1)],
    ]);
    expect(await store.evidence.get("acme", "one")).toEqual(rest.items[0]);
    const bytes = Buffer.from("content");
    expect(rest.items[0]).toMatchObject({ size: bytes.length, sha256: sha256(bytes) });
    expect(Buffer.from((await store.evidence.bytes("acme", "one"))!)).toEqual(bytes);
    expect(await store.evidence.bytes("acme", "three")).toBeUndefined();
    expect(await store.evidence.size("acme")).toBe(2 * bytes.length);
    expect((await store.audit.list("acme")).items.map(({ action }) => action)).toEqual([
      "evidence.created",
      "evidence.created",
    ]);
  });

  describe("retention", () => {
    it("deletes what is older than may be kept, and only that", async () => {
      let now = 1_000 * day;
      const { store, database } = await fresh(databases, {
        now: () => now,
        retention: { max_age: 90 * day },
      });
      const ids = (from: number, to: number) => Array.from({ length: to - from }, (_, n) => id(from + n));
      await store.anomalies.record(
        ids(0, 450).map((each) =>
          report({ id: each, stream: "logs service.name=old", startTimeUnixNano: 5n }),
        ),
      );
      await store.anomalies.record(ids(450, 460).map((each) => report({ id: each, tenant: "umbrella" })));
      await store.anomalies.patch("acme", id(1), { state: "resolved", author: "ann" });
      now += 60 * day;
      await store.anomalies.record(
        [...ids(448, 450), ...ids(500, 510)].map((each) => report({ id: each, occurrence: 2n })),
      );
      now += 40 * day;

      const result = await store.retention.run();
      expect(result).toMatchObject({ anomalies: 458 });
      expect(result.bytes).toBeGreaterThan(458 * 500);
      const { items } = await store.anomalies.list("acme", {}, { limit: 1_000 });
      expect(items.map((item) => item.id).sort()).toEqual([...ids(448, 450), ...ids(500, 510)]);
      expect((await store.anomalies.list("umbrella")).items).toEqual([]);
      for (const table of ["anomaly_reports", "anomaly_events"]) {
        const [row] = await database.query(
          `select count(*) as n from ${table} where anomaly_id not in (select id from anomalies)`,
        );
        expect(Number(row!.n)).toBe(0);
      }
      // Each deletion is an entry, so that nothing else can be said to have been deleted by age.
      expect(await store.audit.verify("acme")).toMatchObject({ ok: true, entries: 4 });
      const { items: deletions } = await store.audit.list("acme", { limit: 3 });
      expect(
        deletions.map(({ actor, action, detail }) => [actor, action, detail.kind, detail.count]),
      ).toEqual([48, 200, 200].map((count) => ["driftlock", "retention.deleted", "anomalies", count]));
      expect(deletions[0]!.detail.until).toBe(new Date(1_000 * day).toISOString());
      expect(await store.retention.run()).toEqual({ anomalies: 0, bytes: 0, streams: 0, bundles: 0 });
    });

    it("counts each day what is kept, so that what is deleted by hand is noticed", async () => {
      let now = 1_000 * day + 5;
      const { store, database } = await fresh(databases, {
        now: () => now,
        retention: { max_age: 90 * day },
      });
      await store.anomalies.record([1, 2, 3, 4].map((n) => report({ id: id(n) })));
      await store.incidents.record({ incidents: [incident({ id: id(5) })], changes: [] });
      now += day;
      await store.anomalies.record([report({ id: id(9) })]);
      for (let i = 0; i < 2; i++) await store.retention.run();
      const { items } = await store.audit.list("acme");
      expect(items.map(({ action, detail }) => [action, detail])).toEqual([
        ["retention.counted", { day: "1972-09-27", anomalies: 4, incidents: 1 }],
      ]);
      expect(await store.audit.verify("acme")).toMatchObject({ ok: true });
      expect(await store.audit.missing("acme")).toEqual([]);

      await database.query(`delete from anomalies where id = '${id(2)}'`);
      const missing = [{ kind: "anomalies", day: "1972-09-27", count: 1 }];
      expect(await store.audit.missing("acme")).toEqual(missing);
      expect(await store.audit.verify("acme")).toMatchObject({
        ok: false,
        reason:
          "1 of the anomalies stored on 1972-09-27 are missing, and no entry says that they were deleted",
      });
      // What the retention deletes is not missing, and what was missing remains so.
      now += 89 * day + 6;
      expect(await store.retention.run()).toMatchObject({ anomalies: 3 });
      const twice = await Promise.all([store.audit.missing("acme"), store.audit.missing("acme")]);
      expect(twice).toEqual([missing, missing]);
    });

    it("keeps each tenant within its size, the latest anomalies", async () => {
      let now = 1_000_000;
      const { store, database } = await fresh(databases, {
        now: () => now,
        retention: { max_size: 400_000 },
      });
      const text = "x".repeat(1_000);
      for (let n = 0; n < 40; n++) {
        now += 1;
        await store.anomalies.record(
          Array.from({ length: 10 }, (_, i) => report({ id: id(10 * n + i), record: { text } })),
        );
      }
      await store.anomalies.record([report({ id: id(1), tenant: "umbrella" })]);
      const { anomalies, bytes } = await store.retention.run();
      expect(anomalies).toBeGreaterThan(100);
      const [row] = await database.query("select sum(size) as n from anomaly_reports where tenant = 'acme'");
      expect(Number(row!.n)).toBeLessThanOrEqual(400_000);
      expect(Number(row!.n)).toBeGreaterThan(390_000);
      expect(Number(row!.n) + bytes).toBeGreaterThan(800_000);
      const { items } = await store.anomalies.list("acme", {}, { limit: 1_000 });
      const oldestKept = Math.min(...items.map((item) => item.recordedAt));
      expect(items.length).toBe(400 - anomalies);
      expect(oldestKept).toBeGreaterThanOrEqual(1_000_000 + Math.floor(anomalies / 10));
      expect((await store.anomalies.list("umbrella")).items).toHaveLength(1);
    });

    it("forgets streams without anomalies and usage of the year before last", async () => {
      let now = Date.UTC(2026, 0, 1);
      const { store } = await fresh(databases, { now: () => now, retention: { max_age: 30 * day } });
      const observed = (key: string, at: number) => {
        const time = BigInt(at) * 1_000_000n;
        return observation({ key, firstSeen: time, lastSeen: time });
      };
      store.usage.add("acme", { requests: 1, records: 1, bytes: 1 });
      await store.usage.flush();
      await store.streams.record([observed("gone", now)]);
      now += 401 * day;
      await store.streams.record([observed("here", now)]);
      expect(await store.retention.run()).toEqual({ anomalies: 0, bytes: 0, streams: 1, bundles: 0 });
      expect((await store.streams.list("acme")).items.map(({ key }) => key)).toEqual(["here"]);
      expect(await store.usage.list("acme", { from: "2000-01-01", to: "2100-01-01" })).toEqual([]);
    });

    it.runIf(databases.kind === "sqlite")("gives most of what it freed back to the device", async () => {
      let now = 1_000 * day;
      const { store, database } = await fresh(databases, { now: () => now, retention: { max_age: day } });
      const excerpts = { window: new Uint8Array(15_000) };
      for (let n = 0; n < 3_000; n += 500) {
        await store.anomalies.record(
          Array.from({ length: 500 }, (_, i) => report({ id: id(n + i), excerpts })),
        );
      }
      now += 2 * day;
      await store.retention.run();
      const [free] = await database.query("pragma freelist_count");
      const [pages] = await database.query("pragma page_count");
      expect(Number(free!.freelist_count)).toBeLessThanOrEqual(Number(pages!.page_count) / 4);
    });

    it("lets what is to be written in between", async () => {
      let now = 1_000 * day;
      const { store } = await fresh(databases, { now: () => now, retention: { max_age: day } });
      await store.anomalies.record(Array.from({ length: 1_500 }, (_, n) => report({ id: id(n) })));
      now += 2 * day;
      let ended = false;
      const running = store.retention.run().then((result) => {
        ended = true;
        return result;
      });
      let written = 0;
      while (!ended) {
        await store.anomalies.record([report({ id: id(10_000 + written) })]);
        written += 1;
        await sleep(1);
      }
      expect((await running).anomalies).toBe(1_500);
      expect(written).toBeGreaterThan(1);
      expect((await store.anomalies.list("acme", {}, { limit: 1_000 })).items).toHaveLength(
        Math.min(written, 1_000),
      );
    });
  });
});
