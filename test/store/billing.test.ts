import { expect, it } from "vitest";
import type { Store } from "../../src/store/index.ts";
import { fresh, onEachDatabase } from "./databases.ts";

const dayMs = 86_400_000;
const noon = Date.parse("2026-01-31T12:00:00Z");
const lease = { limit: 100, leaseMs: 60_000 };
const all = ["requests", "records", "bytes"] as const;

const subscription = { tenant: "acme", id: "sub_1", customer: "cus_1", plan: "team", active: true };

async function use(store: Store, records: number, tenant = "acme"): Promise<void> {
  store.usage.add(tenant, { requests: 1, records, bytes: 10 * records });
  await store.usage.flush();
}

onEachDatabase((databases) => {
  async function open() {
    let now = noon;
    const { store } = await fresh(databases, { now: () => now, elapsed: () => now });
    return { store, billing: store.billing, pass: (ms: number) => (now += ms) };
  }

  it("collects each piece of usage once, from the subscription on", async () => {
    const { store, billing, pass } = await open();
    await use(store, 1_000);
    expect(await billing.collect(all)).toBe(0);
    expect(await billing.subscribe(subscription, "stripe")).toBe(true);
    expect(await billing.collect(all)).toBe(0);
    await use(store, 20);
    await use(store, 7, "another");
    expect(await billing.collect(["records"])).toBe(1);
    expect(await billing.collect(all)).toBe(0);
    pass(dayMs);
    await use(store, 3);
    expect(await billing.collect(all)).toBe(3);
    const events = await billing.claim(lease);
    const shown = events.map(({ meter, value, customer, time }) => [
      meter,
      value,
      customer,
      new Date(time).toISOString(),
    ]);
    expect(shown.sort()).toEqual([
      ["bytes", 30n, "cus_1", "2026-02-01T12:00:00.000Z"],
      ["records", 20n, "cus_1", "2026-01-31T12:00:00.000Z"],
      ["records", 3n, "cus_1", "2026-02-01T12:00:00.000Z"],
      ["requests", 1n, "cus_1", "2026-02-01T12:00:00.000Z"],
    ]);
    expect(new Set(events.map(({ id }) => id)).size).toBe(4);
  });

  it("dates what is collected after midnight to the day on which it was used", async () => {
    const { store, billing, pass } = await open();
    await billing.subscribe(subscription, "stripe");
    await use(store, 5);
    pass(dayMs);
    await billing.collect(["records"]);
    const [event] = await billing.claim(lease);
    expect(new Date(event!.time).toISOString()).toBe("2026-01-31T23:59:59.000Z");
  });

  it("collects the same usage once, however many processes do so", async () => {
    const { store, billing } = await open();
    const tenants = Array.from({ length: 20 }, (_, i) => `tenant-${i}`);
    for (const tenant of tenants) {
      await billing.subscribe({ ...subscription, tenant, id: tenant }, "stripe");
      await use(store, 4, tenant);
    }
    const made = await Promise.all(Array.from({ length: 4 }, () => billing.collect(all)));
    expect(made.reduce((sum, each) => sum + each)).toBe(60);
    const claimed = await Promise.all(Array.from({ length: 4 }, () => billing.claim(lease)));
    const ids = claimed.flat().map(({ id }) => id);
    expect(ids).toHaveLength(60);
    expect(new Set(ids).size).toBe(60);
    expect(await billing.claim(lease)).toEqual([]);
  });

  it("gives an event back after the lease, and says since when it is unclear", async () => {
    const { store, billing, pass } = await open();
    await billing.subscribe(subscription, "stripe");
    await use(store, 5);
    await billing.collect(["records"]);
    const [first] = await billing.claim(lease);
    expect(first).toMatchObject({ attempts: 0, unclearSince: undefined });
    pass(lease.leaseMs + 1);
    const [second] = await billing.claim(lease);
    expect(second).toMatchObject({ id: first!.id, unclearSince: noon });
    await billing.postpone(second!, { until: noon, taken: false });
    const [third] = await billing.claim(lease);
    expect(third).toMatchObject({ attempts: 1, unclearSince: noon });
    await billing.settle(third!, "sent");
    expect(await billing.claim(lease)).toEqual([]);
    expect(await billing.pending()).toEqual([]);
    pass(41 * dayMs);
    await billing.clean();
    expect(await billing.unsent()).toEqual({ due: 0, refused: 0, unclear: 0 });
  });

  it("leaves refused and unclear events to people, whose decisions are in the audit log", async () => {
    const { store, billing } = await open();
    await billing.subscribe(subscription, "stripe");
    await use(store, 5);
    await billing.collect(["records", "bytes"]);
    const [one, two] = await billing.claim(lease);
    expect(await billing.decide(one!.id, "due", "ann")).toBe(false);
    await billing.settle(one!, "refused");
    await billing.settle(two!, "unclear");
    expect(await billing.unsent()).toEqual({ due: 0, refused: 1, unclear: 1 });
    expect(await billing.decide(one!.id, "due", "ann")).toBe(true);
    expect(await billing.decide(two!.id, "dismissed", "ann")).toBe(true);
    expect((await billing.claim(lease)).map(({ id }) => id)).toEqual([one!.id]);
    const { items } = await store.audit.list("acme");
    expect(items.map(({ action, actor }) => [action, actor])).toEqual([
      ["usage.dismissed", "ann"],
      ["usage.retried", "ann"],
      ["subscription.changed", "stripe"],
    ]);
  });

  it("keeps one subscription of a tenant, which one that has ended does not replace", async () => {
    const { store, billing } = await open();
    await billing.subscribe(subscription, "stripe");
    expect(await billing.subscribe(subscription, "stripe")).toBe(false);
    expect(await billing.subscribe({ ...subscription, id: "sub_0", active: false }, "stripe")).toBe(false);
    expect(await billing.plans()).toEqual(new Map([["acme", "team"]]));
    await billing.subscribe({ ...subscription, active: false }, "stripe");
    expect(await billing.plans()).toEqual(new Map());
    await use(store, 100);
    await billing.subscribe({ ...subscription, id: "sub_2", plan: undefined }, "stripe");
    expect(await billing.plans()).toEqual(new Map());
    expect(await billing.subscription("acme")).toEqual({ ...subscription, id: "sub_2", plan: undefined });
    // What was used between the two belongs to neither.
    expect(await billing.collect(all)).toBe(0);
  });

  it("reports nothing that providers would refuse as too old", async () => {
    const { store, billing, pass } = await open();
    await billing.subscribe(subscription, "stripe");
    await use(store, 5);
    pass(36 * dayMs);
    expect(await billing.collect(all)).toBe(0);
  });

  it("says which argument is wrong", async () => {
    const { billing } = await open();
    await expect(billing.subscribe({ ...subscription, tenant: "" }, "stripe")).rejects.toThrow(/^tenant/);
    await expect(billing.subscribe({ ...subscription, customer: "" }, "stripe")).rejects.toThrow(/^customer/);
    await expect(billing.decide("no id!", "due", "ann")).rejects.toThrow(/^event/);
  });
});
