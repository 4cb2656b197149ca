/** The store while the machine's clock is wrong. */
import { describe, expect, it } from "vitest";
import { fresh, onEachDatabase } from "./databases.ts";
import { id, report } from "./fixtures.ts";

const minute = 60_000;
const hour = 60 * minute;
const day = 24 * hour;

/** Returns the machine's clock and the monotonic one. */
function clocks() {
  let [now, elapsed] = [Date.UTC(2026, 0, 31), 0];
  return {
    now: () => now,
    elapsed: () => elapsed,
    step(ms: number) {
      now += ms;
    },
    pass(ms: number) {
      now += ms;
      elapsed += ms;
    },
  };
}

onEachDatabase((databases) => {
  describe("retention", () => {
    const retention = { max_age: 30 * day };

    it.each([100 * day, 20_000 * day])("deletes nothing when the clock is %i ms ahead", async (step) => {
      const { now, elapsed, step: jump, pass } = clocks();
      const { store } = await fresh(databases, { now, elapsed, retention });
      await store.anomalies.record([1, 2, 3].map((n) => report({ id: id(n) })));
      store.usage.add("acme", { requests: 1, records: 1, bytes: 1 });
      const run = () => store.retention.run();
      pass(6 * hour);
      expect(await run()).toMatchObject({ anomalies: 0 });
      expect(store.retention.waitsForClock).toBe(false);

      jump(step);
      // These are a minute, the time after which the clock is believed, and hours after it.
      for (const ms of [minute, 4 * minute, minute, ...Array(5).fill(hour)]) {
        pass(ms);
        expect(await run()).toMatchObject({ anomalies: 0, streams: 0 });
        expect(store.retention.waitsForClock).toBe(true);
      }
      jump(-step);
      pass(minute);
      await run();
      pass(6 * minute);
      await run();
      expect(store.retention.waitsForClock).toBe(false);
      expect((await store.anomalies.list("acme")).items).toHaveLength(3);
      const { usage } = store;
      expect(await usage.list("acme", { from: "2026-01-01", to: "2026-12-31" })).toHaveLength(1);
      // Anomalies stored meanwhile have their true age.
      pass(29 * day);
      await run();
      expect((await store.anomalies.list("acme")).items).toHaveLength(3);
    });

    it("deletes nothing when the clock is ahead at the start, until it has been so for hours", async () => {
      const { now, elapsed, step, pass } = clocks();
      const database = await databases.empty();
      const first = await database.open({ now, elapsed, retention });
      await first.anomalies.record([1, 2].map((n) => report({ id: id(n) })));
      // This store never confirmed its time.
      await first.retention.run();
      await first.close();

      step(100 * day);
      const second = await database.open({ now, elapsed, retention });
      pass(5 * hour);
      await second.retention.run();
      expect((await second.anomalies.list("acme")).items).toHaveLength(2);
      await second.close();

      step(-100 * day);
      const third = await database.open({ now, elapsed, retention });
      pass(6 * hour);
      await third.retention.run();
      await third.close();

      step(100 * day);
      const fourth = await database.open({ now, elapsed, retention });
      pass(6 * hour - 1);
      await fourth.retention.run();
      expect((await fourth.anomalies.list("acme")).items).toHaveLength(2);
      pass(1);
      expect(await fourth.retention.run()).toMatchObject({ anomalies: 2 });
    });

    it("goes on at once after a restart within a day", async () => {
      const { now, elapsed, pass } = clocks();
      const database = await databases.empty();
      const first = await database.open({ now, elapsed, retention });
      await first.anomalies.record([report()]);
      for (const ms of [6 * hour, 29.6 * day]) {
        pass(ms);
        await first.retention.run();
      }
      await first.close();
      pass(20 * hour);
      const second = await database.open({ now, elapsed, retention });
      expect(await second.retention.run()).toMatchObject({ anomalies: 1 });
    });

    it("believes the clock of a store that has nothing to lose, and no other from then on", async () => {
      const { now, elapsed, step, pass } = clocks();
      const database = await databases.empty();
      const first = await database.open({ now, elapsed, retention });
      await first.retention.run();
      expect(first.retention.waitsForClock).toBe(false);
      await first.anomalies.record([report()]);
      pass(minute);
      await first.retention.run();
      await first.close();
      step(100 * day);
      const second = await database.open({ now, elapsed, retention });
      expect(await second.retention.run()).toMatchObject({ anomalies: 0 });
      expect(second.retention.waitsForClock).toBe(true);
    });

    it("keeps to sizes whatever the clock says", async () => {
      const { now, elapsed, step } = clocks();
      const { store } = await fresh(databases, { now, elapsed, retention: { max_size: 1 } });
      await store.anomalies.record([report()]);
      step(100 * day);
      expect(await store.retention.run()).toMatchObject({ anomalies: 1 });
    });
  });

  it("a key that was revoked elsewhere ends within ten seconds when the clock is set back", async () => {
    const { now, elapsed, step, pass } = clocks();
    const database = await databases.empty();
    const store = await database.open({ now, elapsed });
    const other = await database.open({ now, elapsed });
    const { secret, key } = await store.keys.create("acme", { name: "k", scopes: ["read"] }, "ann");
    expect(await store.keys.verify(secret)).toBeDefined();
    await other.keys.revoke("acme", key.id, "bob");
    step(-day);
    pass(10_000);
    expect(await store.keys.verify(secret)).toBeUndefined();
  });

  it("keys neither end nor rise again while the clock is wrong for a while", async () => {
    const { now, elapsed, step, pass } = clocks();
    const { store } = await fresh(databases, { now, elapsed });
    const input = { name: "k", scopes: ["read"] as const, expiresAt: now() + day };
    const { secret } = await store.keys.create("acme", input, "ann");
    step(100 * day);
    expect(await store.keys.verify(secret)).toBeDefined();
    step(-100 * day);
    pass(day);
    expect(await store.keys.verify(secret)).toBeUndefined();
    step(-2 * day);
    expect(await store.keys.verify(secret)).toBeUndefined();
  });

  it("changes and usage are of the time that it was", async () => {
    const { now, elapsed, step } = clocks();
    const { store } = await fresh(databases, { now, elapsed });
    const before = now();
    step(100 * day);
    await store.anomalies.record([report()]);
    store.usage.add("acme", { requests: 1, records: 1, bytes: 1 });
    expect((await store.anomalies.list("acme")).items).toMatchObject([{ recordedAt: before }]);
    const { usage } = store;
    expect(await usage.list("acme", { from: "2000-01-01", to: "2100-01-01" })).toMatchObject([
      { day: "2026-01-31" },
    ]);
    expect(await store.anomalies.latestChange()).toBe(before);
  });
});
