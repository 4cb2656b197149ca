import { expect, it } from "vitest";
import { encodeReport } from "../../src/anomaly/report.ts";
import { State } from "../../src/gen/driftlock/v1/anomaly_pb.js";
import { parseConfig } from "../../src/index.ts";
import type { Finding } from "../../src/kafka/index.ts";
import { InstallationBudget, WithheldAlarms } from "../../src/sidecar/installation-budget.ts";
import { onEachDatabase } from "./databases.ts";
import { ending, id, report } from "./fixtures.ts";

const day = 86_400_000;
const rare = 1_000;

const anomaly = (n: number, { tenant = "acme", margin = rare, ended = false } = {}): Finding => ({
  kind: "anomaly",
  report: encodeReport({
    ...(ended ? { ...ending(), id: id(n), state: State.ENDED } : report({ id: id(n) })),
    tenant,
    margin: ended ? 0 : margin,
  }),
});

const idsOf = (findings: readonly Finding[]) =>
  findings.map((found) => (found.kind === "anomaly" ? Number.parseInt(found.report.message.id, 16) : 0));

const range = (count: number, from = 1) => Array.from({ length: count }, (_, i) => from + i);

onEachDatabase((databases) => {
  /** Returns the budgets of as many processes, whose clock is `clock.now`. */
  async function processes(count: number, budget: object, clock = { now: Date.now() }) {
    const database = await databases.empty();
    const stores = [];
    for (let i = 0; i < count; i += 1) {
      stores.push(await database.open({ now: () => clock.now, elapsed: () => clock.now }));
    }
    const config = parseConfig({ detect: { budget } });
    const withheld = new WithheldAlarms();
    return {
      database,
      stores,
      withheld,
      budgets: stores.map((store) => new InstallationBudget(config, store.alarmBudgets, withheld)),
    };
  }

  it("pays for as many anomalies as there is budget, however many processes ask at once", async () => {
    const { budgets, withheld } = await processes(3, { per_process_per_day: 10, per_tenant_per_day: 0 });
    const found = await Promise.all(
      range(30).map((n) => budgets[n % 3]!.apply([anomaly(n, { tenant: "acme" })])),
    );
    expect(found.flat()).toHaveLength(10);
    expect(withheld.count).toBe(20);
    // What is reported again is the same anomaly.
    await Promise.all(range(30).map((n) => budgets[0]!.apply([anomaly(n, { tenant: "acme" })])));
    expect(withheld.count).toBe(20);
  });

  it("pays for the anomalies of a tenant up to its own budget, and leaves half of it for the rare", async () => {
    const { budgets } = await processes(2, { per_process_per_day: 0, per_tenant_per_day: 4 });
    const common = range(6).map((n) => anomaly(n, { margin: 2 }));
    expect(idsOf(await budgets[0]!.apply(common))).toEqual([1, 2]);
    expect(idsOf(await budgets[1]!.apply(range(6, 11).map((n) => anomaly(n))))).toEqual([11, 12]);
    const other = range(6, 21).map((n) => anomaly(n, { tenant: "other" }));
    expect(idsOf(await budgets[1]!.apply(other))).toEqual([21, 22, 23, 24]);
  });

  it("gives a tenant its share although others have spent everything", async () => {
    const { budgets } = await processes(2, { per_process_per_day: 10, per_tenant_per_day: 0 });
    expect(await budgets[0]!.apply(range(20).map((n) => anomaly(n, { tenant: "loud" })))).toHaveLength(10);
    const late = range(20, 101).map((n) => anomaly(n, { tenant: "late" }));
    expect(await budgets[1]!.apply(late)).toHaveLength(5);
  });

  it("pays once for an anomaly, whoever reads its reports again", async () => {
    const { budgets } = await processes(2, { per_process_per_day: 3, per_tenant_per_day: 0 });
    const all = range(6).map((n) => anomaly(n));
    expect(idsOf(await budgets[0]!.apply(all))).toEqual([1, 2, 3]);
    expect(idsOf(await budgets[1]!.apply(all))).toEqual([1, 2, 3]);
    // One that began withheld must not end as if somebody knew of it.
    const ends = range(6).map((n) => anomaly(n, { ended: true }));
    expect(idsOf(await budgets[1]!.apply(ends))).toEqual([1, 2, 3]);
  });

  it("pays for what goes on once there is budget again", async () => {
    const clock = { now: Date.now() };
    const { budgets } = await processes(2, { per_process_per_day: 2, per_tenant_per_day: 0 }, clock);
    expect(idsOf(await budgets[0]!.apply(range(4).map((n) => anomaly(n))))).toEqual([1, 2]);
    clock.now += day / 2;
    expect(idsOf(await budgets[1]!.apply(range(4).map((n) => anomaly(n))))).toEqual([1, 2, 3]);
    // A clock that is behind gains nothing, neither now nor when it has caught up.
    clock.now -= day / 4;
    expect(idsOf(await budgets[0]!.apply([anomaly(4)]))).toEqual([]);
    clock.now += day / 4;
    expect(idsOf(await budgets[0]!.apply([anomaly(4)]))).toEqual([]);
    clock.now += day / 2;
    expect(idsOf(await budgets[0]!.apply([anomaly(4)]))).toEqual([4]);
  });

  it("notes anomalies until they are stored", async () => {
    const clock = { now: Date.now() };
    const { database, stores, budgets } = await processes(
      1,
      { per_process_per_day: 2, per_tenant_per_day: 0 },
      clock,
    );
    await budgets[0]!.apply([anomaly(1)]);
    await stores[0]!.anomalies.record([report({ id: id(1) })]);
    clock.now += 2 * day;
    expect(idsOf(await budgets[0]!.apply(range(3, 2).map((n) => anomaly(n))))).toEqual([2, 3]);
    expect(idsOf(await budgets[0]!.apply([anomaly(1)]))).toEqual([1]);
    const noted = await database.query("select anomaly_id from paid_alarms order by 1");
    expect(noted.map(({ anomaly_id }) => anomaly_id)).toEqual([id(2), id(3)]);
  });

  it("lets everything pass without limits", async () => {
    const { budgets } = await processes(1, { per_process_per_day: 0, per_tenant_per_day: 0 });
    expect(await budgets[0]!.apply(range(2_000).map((n) => anomaly(n)))).toHaveLength(2_000);
  });
});
