/** Anomalies that an evidence bundle refers to are kept beyond retention. */
import { describe, expect, it } from "vitest";
import { openStore, type Store } from "../../src/store/index.ts";
import { fresh, onEachDatabase } from "./databases.ts";
import { id, options, report } from "./fixtures.ts";

const day = 86_400_000;
const recordings = { max_age: day, max_size: 2 ** 20 };

const bundle = (name: string, n?: number) => ({
  id: name,
  ...(n === undefined ? {} : { anomalyId: id(n) }),
  author: "ann",
  bytes: Buffer.from("content"),
});

async function kept(store: Store, tenant = "acme"): Promise<number[]> {
  const { items } = await store.anomalies.list(tenant, {}, { limit: 1_000 });
  return items.map((item) => Number.parseInt(item.id, 16)).sort((a, b) => a - b);
}

onEachDatabase((databases) => {
  describe("an anomaly with an evidence bundle", () => {
    it("is kept beyond its age, for as long as the bundle is", async () => {
      let now = Date.now();
      const { store } = await fresh(databases, { now: () => now, retention: { max_age: day } });
      await store.anomalies.record([1, 2, 3].map((n) => report({ id: id(n) })));
      await store.anomalies.record([report({ id: id(2), tenant: "other" })]);
      await store.evidence.add("acme", bundle("one", 2));
      await store.evidence.add("acme", bundle("two", 2));
      await store.evidence.add("acme", bundle("about-none"));
      now += 2 * day;
      // The same id with another tenant is another anomaly.
      expect(await store.retention.run()).toMatchObject({ anomalies: 3 });
      expect(await kept(store)).toEqual([2]);
      expect(await kept(store, "other")).toEqual([]);
      expect(await store.anomalies.get("acme", id(2))).toMatchObject({ examples: [{}] });

      expect(await store.evidence.delete("other", "one", "ann")).toBeUndefined();
      expect(await store.evidence.delete("acme", "one", "ann")).toMatchObject({
        id: "one",
        anomalyId: id(2),
      });
      expect(await store.evidence.bytes("acme", "one")).toBeUndefined();
      expect(await store.retention.run()).toMatchObject({ anomalies: 0 });
      expect(await store.evidence.delete("acme", "two", "ann")).toBeDefined();
      expect(await store.evidence.delete("acme", "two", "ann")).toBeUndefined();
      const [deleted] = (await store.audit.list("acme")).items;
      expect(deleted).toMatchObject({ actor: "ann", action: "evidence.deleted", target: "two" });
      expect(await store.retention.run()).toMatchObject({ anomalies: 1 });
      expect(await kept(store)).toEqual([]);
    });

    it("goes with its bundle, once that is older than may be kept", async () => {
      let now = Date.now();
      const database = await databases.empty();
      const config = { ...database.config({ max_age: day }), evidence: { recordings, max_age: 3 * day } };
      const store = await openStore(config, options({ now: () => now }));
      try {
        await store.anomalies.record([report()]);
        await store.evidence.add("acme", bundle("one", 1));
        now += 2 * day;
        expect(await store.retention.run()).toMatchObject({ anomalies: 0, bundles: 0 });
        await store.evidence.add("acme", bundle("two"));
        now += 2 * day;
        expect(await store.retention.run()).toMatchObject({ anomalies: 1, bundles: 1 });
        expect((await store.evidence.list("acme")).items.map((each) => each.id)).toEqual(["two"]);
        const entry = (await store.audit.list("acme")).items.find(
          (each) => each.action === "evidence.deleted",
        );
        expect(entry).toMatchObject({
          actor: "driftlock",
          target: "one",
          detail: { reason: "evidence.max_age", sha256: expect.stringMatching(/^[0-9a-f]{64}$/) },
        });
      } finally {
        await store.close();
      }
    });

    it("takes nothing of the room that others have", async () => {
      let now = Date.now();
      const retention = { max_size: 100_000 };
      const { store } = await fresh(databases, { now: () => now, retention });
      const text = "x".repeat(20_000);
      for (let n = 1; n <= 20; n++) {
        await store.anomalies.record([report({ id: id(n), record: { text, novel: [], index: 0 } })]);
        now += 1_000;
      }
      for (let n = 1; n <= 10; n++) await store.evidence.add("acme", bundle(`of-${n}`, n));
      await store.retention.run();
      const after = await kept(store);
      expect(after.slice(0, 10)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
      // Of the others, the latest ones that fit are kept.
      expect(after.slice(10).length).toBeGreaterThan(1);
      expect(after.slice(10).length).toBeLessThan(5);
      expect(after.at(-1)).toBe(20);
    });

    it("must be there", async () => {
      const { store } = await fresh(databases);
      await expect(store.evidence.add("acme", bundle("one", 1))).rejects.toThrow(
        "anomalyId: there is no such anomaly",
      );
      await store.anomalies.record([report({ tenant: "other" })]);
      await expect(store.evidence.add("acme", bundle("one", 1))).rejects.toThrow("there is no such");
      expect((await store.evidence.list("acme")).items).toEqual([]);
    });

    it("is either kept or refused while retention runs", async () => {
      let now = Date.now();
      const { store } = await fresh(databases, { now: () => now, retention: { max_age: day } });
      const all = Array.from({ length: 1_000 }, (_, i) => i + 1);
      await store.anomalies.record(all.map((n) => report({ id: id(n) })));
      now += 2 * day;
      const running = store.retention.run();
      const asked = all.filter((n) => n % 50 === 0);
      const made = await Promise.all(
        asked.map((n) =>
          store.evidence.add("acme", bundle(`of-${n}`, n)).then(
            () => [n],
            () => [],
          ),
        ),
      );
      await running;
      await store.retention.run();
      expect(await kept(store)).toEqual(made.flat());
    });
  });
});
