import { createHash } from "node:crypto";
import { expect, it } from "vitest";
import { hashLeaf, isConsistent, rootOfInclusion } from "../../src/base/merkle.ts";
import type { Store } from "../../src/store/index.ts";
import { fresh, onEachDatabase } from "./databases.ts";

const hash = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest();
const bytesOf = (hex: string) => Buffer.from(hex, "hex");
const entry = (n: number) => ({ actor: "ann", action: "test.made", target: `target-${n % 3}` });

async function log(store: Store, from: number, to: number): Promise<void> {
  for (let n = from; n < to; n++) await store.audit.append("acme", entry(n));
}

onEachDatabase((databases) => {
  it("grows with the log, and proves each entry and that nothing of it was removed", async () => {
    const { store } = await fresh(databases);
    const tree = store.auditTree;
    expect(await tree.grow("acme")).toBe(0);
    expect(await tree.root("acme", 0)).toBe(hash(new Uint8Array()).toString("hex"));
    const heads: { size: number; root: Buffer }[] = [];
    for (const [from, to] of [
      [0, 1],
      [1, 6],
      [6, 13],
    ] as const) {
      await log(store, from, to);
      await store.audit.append("other", entry(from));
      expect(await tree.grow("acme")).toBe(to);
      heads.push({ size: to, root: bytesOf(await tree.root("acme", to)) });
    }
    const last = heads.at(-1)!;
    for (const earlier of heads) {
      const proof = (await tree.consistency("acme", earlier.size, last.size)).map(bytesOf);
      expect(await isConsistent(hash, earlier, last, proof)).toBe(true);
    }
    const { entries, leftOut } = await tree.about("acme", ["target-0", "target-2"], 13, 100);
    expect(entries.map(({ seq }) => seq)).toEqual([1, 3, 4, 6, 7, 9, 10, 12, 13]);
    expect(leftOut).toBe(0);
    for (const { seq, text } of entries) {
      const proof = (await tree.inclusion("acme", seq, 13)).map(bytesOf);
      const leaf = await hashLeaf(hash, Buffer.from(text));
      expect(await rootOfInclusion(hash, leaf, { index: seq - 1, size: 13, proof })).toEqual(last.root);
    }
    const few = await tree.about("acme", ["target-0"], 12, 2);
    expect(few).toMatchObject({ entries: [{ seq: 7 }, { seq: 10 }], leftOut: 2 });
    expect(await tree.about("acme", ["nothing"], 13, 2)).toEqual({ entries: [], leftOut: 0 });
  });

  it("grows from several callers at once", async () => {
    const { store } = await fresh(databases);
    await log(store, 0, 9);
    const sizes = await Promise.all([1, 2, 3].map(() => store.auditTree.grow("acme")));
    expect(sizes).toEqual([9, 9, 9]);
  });

  it("finds by a checkpoint that the newest entries were removed, or that the log is another one", async () => {
    const { store, database } = await fresh(databases);
    await log(store, 0, 7);
    await store.auditTree.grow("acme");
    const root = await store.auditTree.root("acme", 5);
    const at = (size: number, text = root) => [{ size, root: text, source: "checkpoint.txt" }];
    expect(await store.audit.verify("acme", [], at(5))).toMatchObject({ ok: true, entries: 7 });
    expect(await store.audit.verify("acme", [], at(6))).toEqual({
      ok: false,
      seq: 6,
      reason: "the log was rewritten: checkpoint.txt has another tree of the first 6 entries",
    });
    const whole = await store.auditTree.root("acme", 7);
    const { entries } = await store.auditTree.about("acme", ["target-0"], 7, 10);
    // Whoever can write to the database removes the newest entry, and makes the tenant's row fit.
    await database.query("delete from audit_log where tenant = 'acme' and seq = 7");
    await database.query(
      `update tenants set audit_seq = 6, audit_hash = '${entries.at(-1)!.previousHash}' where id = 'acme'`,
    );
    expect(await store.audit.verify("acme")).toMatchObject({ ok: true, entries: 6 });
    expect(await store.audit.verify("acme", [], at(7, whole))).toEqual({
      ok: false,
      seq: 7,
      reason: "the newest entries were removed: checkpoint.txt has entry 7",
    });
  });

  it("keeps the latest checkpoint", async () => {
    const { store } = await fresh(databases);
    const tree = store.auditTree;
    expect(await tree.lastCheckpoint("acme")).toBeUndefined();
    for (const size of [3, 5, 4]) await tree.keepCheckpoint("acme", size, `note ${size}`);
    expect(await tree.lastCheckpoint("acme")).toEqual({ size: 5, note: "note 5" });
    expect(await tree.lastCheckpoint("other")).toBeUndefined();
  });
});
