/** What people decide, the budget, merging, and bounds. */
import { create } from "@bufbuild/protobuf";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  ChangeSchema,
  EvidencePageSchema,
  type Incident,
  IncidentState,
  Join,
} from "../../src/gen/driftlock/v1/incidents_pb.js";
import type { IncidentFormer } from "../../src/incidents/former.ts";
import { at, call, calls, evidence, experienced, newFormer, operation, page, tenant, tick } from "./pages.ts";

const both = (number: number, services = ["orders", "web"]) =>
  page({ evidence: services.map((service) => evidence(number, service)) });

/** Lets so many ticks pass. */
const quiet = (former: IncidentFormer, from: number, count: number) =>
  former.add(page({ ticks: Array.from({ length: count }, (_, i) => tick(from + i)) }));

describe("feedback", () => {
  it("suppresses what is like an expected incident until the time that was given", () => {
    const former = experienced();
    const [first] = former.add(both(1));
    const [ended] = former.judge(first!, "expected", at(400));
    expect(ended).toMatchObject({ id: first!.id, state: IncidentState.ENDED });
    quiet(former, 2, 198);
    expect(former.add(both(200))[0]).toMatchObject({ minor: true, expectedBy: first!.id });
    quiet(former, 201, 299);
    expect(former.stats().expectations).toBe(0);
    expect(former.add(both(500))[0]).toMatchObject({ minor: false, expectedBy: "" });
  });

  it("suppresses what is like an incident that the service graph alone has shown", () => {
    const former = experienced();
    const slow = (number: number) =>
      page({ ticks: [tick(number, [operation("mail", 6, 1, { variance: 1e-4, longest: 0.1 })], calls)] });
    const [first] = former.add(slow(1));
    expect(first).toMatchObject({ services: ["mail"], minor: false });
    former.judge(first!, "expected", at(400));
    quiet(former, 2, 198);
    expect(former.add(slow(200))[0]).toMatchObject({ minor: true, expectedBy: first!.id });
  });

  it("does not suppress what is unlike it, and can be withdrawn", () => {
    const former = experienced();
    const [first] = former.add(both(1));
    former.judge(first!, "expected", at(4_000));
    expect(former.add(page({ evidence: [evidence(2, "mail", { margin: 2 ** 40 })] }))[0]).toMatchObject({
      minor: false,
    });
    expect(former.withdraw(tenant, first!.id)).toBe(true);
    expect(former.withdraw(tenant, first!.id)).toBe(false);
    quiet(former, 3, 200);
    expect(former.add(both(203))[0]).toMatchObject({ minor: false });
  });

  it("asks for more after a false incident", () => {
    const former = experienced();
    const [first] = former.add(both(1));
    former.judge(first!, "false");
    quiet(former, 2, 200);
    expect(former.add(both(202))).toEqual([]);
  });

  it("of acknowledged incidents changes nothing", () => {
    const former = experienced();
    const [first] = former.add(both(1));
    expect(former.judge(first!, "acknowledged")).toEqual([]);
    expect(former.stats().open).toBe(1);
  });
});

describe("the budget", () => {
  it("makes further incidents of the day minor", () => {
    const former = experienced(1);
    const rare = { margin: 2 ** 60 };
    const alone = (number: number, service: string) => page({ evidence: [evidence(number, service, rare)] });
    const begun = ["a", "b"].map((service, i) => former.add(alone(i + 1, service))[0]!);
    expect(begun.map(({ minor }) => minor)).toEqual([false, true]);
    quiet(former, 3, 8_700);
    expect(former.add(alone(8_710, "c"))[0]).toMatchObject({ minor: false });
  });
});

it("two incidents that turn out to be one keep the id of the older one", () => {
  const former = experienced();
  const rare = { margin: 2 ** 60 };
  const [older] = former.add(page({ evidence: [evidence(1, "orders", rare)] }));
  const [newer] = former.add(page({ evidence: [evidence(2, "mail", rare)] }));
  expect(newer!.id).not.toBe(older!.id);
  // One trace passes through both services.
  const traceIds = [Buffer.alloc(16, 9)];
  former.add(page({ evidence: [evidence(3, "orders", { traceIds })] }));
  const reports = former.add(page({ evidence: [evidence(3, "mail", { traceIds })] }));
  const merged = reports.find(({ id }) => id === newer!.id);
  expect(merged).toMatchObject({ state: IncidentState.MERGED, mergedInto: older!.id });
  const whole = reports.find(({ id }) => id === older!.id)!;
  expect(whole.services).toEqual(["orders", "mail"]);
  expect(whole.members.find(({ serviceName }) => serviceName === "mail")?.join).toBe(Join.TRACE);
  expect(former.stats()).toMatchObject({ open: 1, merged: 1 });
});

it("a change just before an incident is a reason", () => {
  const former = experienced();
  former.post(
    create(ChangeSchema, {
      tenant,
      timeUnixNano: at(1),
      serviceName: "orders",
      attribute: "service.version",
      value: "2.0",
      previous: "1.9",
    }),
  );
  const [incident] = former.add(both(2));
  expect(incident!.changes).toMatchObject([{ value: "2.0" }]);
  expect(incident!.ranking.find(({ service }) => service === "orders")!.reasons).toContain(
    "Just before, service.version changed from 1.9 to 2.0",
  );
});

it("what comes too late is counted, and what is late by less joins", () => {
  const former = experienced();
  former.add(both(100));
  const [grown] = former.add(page({ evidence: [evidence(60, "search")] }));
  expect(grown).toMatchObject({ startTimeUnixNano: at(60), services: ["search", "orders", "web"] });
  expect(former.add(page({ evidence: [evidence(1, "search")] }))).toEqual([]);
  expect(former.stats().late).toBe(1);
});

describe("bounds", () => {
  it("hold for members, which are counted", () => {
    const former = experienced();
    former.add(both(1));
    const streams = Array.from({ length: 300 }, (_, i) => evidence(2, "web", { stream: `traces ${i}` }));
    const [incident] = former.add(page({ evidence: streams })) as [Incident];
    expect(incident.members).toHaveLength(128);
    expect(incident.membersLeftOut).toBe(302 - 128);
  });

  it("hold for open incidents and tenants, which are counted", () => {
    const former = newFormer();
    // What begins incidents by itself becomes usual after a few times, so each has a kind of its own.
    const of = (name: string, i: number) =>
      evidence(1, `s${i}`, { tenant: name, margin: 2 ** 200, channel: 20 + i });
    former.add(page({ evidence: Array.from({ length: 1_010 }, (_, i) => of("one", i)) }));
    expect(former.stats().open).toBe(1_000);
    for (let i = 0; i < 1_100; i++) former.add(page({ evidence: [of(`tenant-${i}`, 0)] }));
    expect(former.stats().tenants).toBe(1_024);
    expect(former.stats().leftOut).toBeGreaterThanOrEqual(10 + 77);
  });
});

describe("a former", () => {
  const text = fc.constantFrom("", "a", "b", "web", "orders", "\u0000", "__proto__", "constructor");
  const number = fc.double();
  const time = fc.oneof(fc.bigInt(0n, 2n ** 64n - 1n), fc.integer({ min: 0, max: 2_000 }).map(at));
  const figures = fc.record({ count: number, seconds: number, failures: number });
  const some = <T>(of: fc.Arbitrary<T>) => fc.array(of, { maxLength: 4 });
  const anyPage = fc
    .record({
      evidence: some(
        fc.record({
          tenant: text,
          signal: fc.integer({ min: 0, max: 3 }),
          stream: text,
          serviceName: text,
          instance: text,
          host: text,
          channel: fc.integer({ min: 0, max: 9 }),
          tickUnixNano: time,
          flagged: fc.nat(),
          withheld: fc.nat(),
          margin: number,
          pValue: number,
          severity: fc.integer({ min: 0, max: 5 }),
          anomalyIds: some(text),
          traceIds: some(fc.uint8Array({ maxLength: 17 })),
          finding: fc.bigInt(0n, 2n ** 64n - 1n),
        }),
      ),
      ticks: some(
        fc.record({
          tenant: text,
          tickUnixNano: time,
          operations: some(
            fc.record(
              {
                service: text,
                operation: text,
                host: text,
                instance: text,
                now: figures,
                usual: figures,
                variance: number,
              },
              { requiredKeys: [] },
            ),
          ),
          edges: some(
            fc.record(
              {
                caller: text,
                operation: text,
                callee: text,
                calleeOperation: text,
                now: figures,
                usual: figures,
              },
              { requiredKeys: [] },
            ),
          ),
        }),
      ),
      changes: some(
        fc.record({
          tenant: text,
          timeUnixNano: time,
          serviceName: text,
          attribute: text,
          value: text,
          title: text,
        }),
      ),
    })
    .map((parts) => create(EvidencePageSchema, parts));

  it("takes anything, and continues the same after a restart", () => {
    fc.assert(
      fc.property(fc.array(anyPage, { maxLength: 12 }), fc.nat({ max: 12 }), (pages, cut) => {
        const whole = newFormer();
        const expected = pages.map((each) => whole.add(each));
        const before = newFormer();
        const reports = pages.slice(0, cut).map((each) => before.add(each));
        const after = newFormer();
        expect(after.restore(before.snapshot())).toBe(true);
        expect([...reports, ...pages.slice(cut).map((each) => after.add(each))]).toEqual(expected);
        for (const incident of expected.flat()) after.judge(incident, "false");
      }),
    );
  });

  it("refuses what is no snapshot, and then goes on as before", () => {
    const former = experienced();
    const [first] = former.add(both(1));
    const snapshot = former.snapshot();
    const damaged = Buffer.from(snapshot);
    damaged[damaged.length - 1]! ^= 1;
    for (const bytes of [Buffer.alloc(0), Buffer.from("driftlock"), damaged, snapshot.subarray(0, 100)])
      expect(former.restore(bytes)).toBe(false);
    expect(former.add(both(2))[0]?.id ?? first!.id).toBe(first!.id);
  });
});

it("peers that many services call join nothing", () => {
  const former = experienced();
  const names = Array.from({ length: 40 }, (_, i) => `caller-${i}`);
  former.add(page({ ticks: [tick(0, [], [...calls, ...names.map((name) => call(name, "auth-db"))])] }));
  const weak = { margin: 1 };
  former.add(
    page({ evidence: names.map((name) => evidence(1, name, { ...weak, traceIds: [Buffer.from(name)] })) }),
  );
  expect(former.stats().open).toBe(0);
});
