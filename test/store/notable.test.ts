import { expect, it } from "vitest";
import { encodeReport } from "../../src/anomaly/report.ts";
import { fresh, onEachDatabase } from "./databases.ts";
import { midnight, report } from "./fixtures.ts";

const hour = 3_600_000_000_000n;

onEachDatabase((databases) => {
  it("keeps the strangest finding of each stream and hour, the strangest first", async () => {
    const { store } = await fresh(databases);
    const offer = (stream: string, timeUnixNano: bigint, margin: number, tenant = "acme") =>
      store.notable.offer(encodeReport(report({ id: "", tenant, stream, timeUnixNano, margin })));
    offer("a", midnight, 0.3);
    offer("a", midnight + 1n, 0.2);
    await store.notable.flush();
    offer("a", midnight + 2n, 0.1);
    offer("b", midnight + 3n, 0.4);
    offer("a", midnight + hour, 0.25);
    offer("c", midnight, 0.9, "globex");
    offer("late", 2n ** 64n - 1n, 0.01);
    expect(() => offer("a", midnight, 0.5, "")).toThrow("tenant");
    const list = async (tenant: string, filter = {}, page = {}) =>
      (await store.notable.list(tenant, filter, page)).map(({ stream, margin }) => `${stream} ${margin}`);
    expect(await list("acme")).toEqual(["b 0.4", "a 0.3", "a 0.25", "late 0.01"]);
    offer("b", midnight + 4n, 0.5);
    expect(await list("acme", {}, { limit: 1 })).toEqual(["b 0.5"]);
    expect(await list("acme", { from: midnight + 1n, until: midnight + hour })).toEqual(["b 0.5"]);
    expect(await list("globex")).toEqual(["c 0.9"]);
    await expect(list("acme", {}, { limit: 0 })).rejects.toThrow("limit");
  });

  it("shows what is being written while it is asked", async () => {
    const { store } = await fresh(databases);
    store.notable.offer(encodeReport(report({ id: "", tenant: "acme", margin: 0.3 })));
    const [, listed] = await Promise.all([store.notable.flush(), store.notable.list("acme")]);
    expect(listed).toHaveLength(1);
  });

  it("deletes what is older than the retention", async () => {
    let now = Date.parse("2026-02-01T00:00:00Z");
    let elapsed = 0;
    const { store } = await fresh(databases, {
      now: () => now,
      elapsed: () => elapsed,
      retention: { max_age: 86_400_000 },
    });
    store.notable.offer(encodeReport(report({ id: "", tenant: "acme", margin: 0.3 })));
    await store.notable.flush();
    for (let i = 0; i < 30; i++) {
      now += 3_600_000;
      elapsed += 3_600_000;
      await store.retention.run();
    }
    expect(await store.notable.list("acme")).toEqual([]);
  });
});
