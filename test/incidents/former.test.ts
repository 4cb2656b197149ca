import { describe, expect, it } from "vitest";
import { Channel, Severity, Signal } from "../../src/gen/driftlock/v1/anomaly_pb.js";
import { IncidentState, Join } from "../../src/gen/driftlock/v1/incidents_pb.js";
import { at, call, calls, evidence, experienced, operation, page, tick } from "./pages.ts";

describe("what begins an incident", () => {
  it("is evidence of services that call one another, and it is one incident", () => {
    const former = experienced();
    const incidents = [
      ...former.add(page({ evidence: [evidence(1, "orders"), evidence(1, "web")] })),
      ...former.add(page({ evidence: [evidence(2, "search")] })),
    ];
    expect(new Set(incidents.map(({ id }) => id)).size).toBe(1);
    const last = incidents.at(-1)!;
    expect(last).toMatchObject({ state: IncidentState.OPEN, minor: false, severity: Severity.HIGH });
    expect(last.services).toEqual(["orders", "web", "search"]);
    expect(last.members.map(({ join }) => join)).toEqual([Join.FIRST, Join.NEIGHBOUR, Join.NEIGHBOUR]);
    expect(last.startTimeUnixNano).toBe(at(1));
  });

  it("is a queue and the service that processes it", () => {
    const former = experienced();
    const consumer = operation("mail", 1, 1, { operation: "process signups" });
    former.add(page({ ticks: [tick(0, [consumer], calls)] }));
    const lag = evidence(1, "broker", {
      signal: Signal.METRICS,
      channel: Channel.VALUE,
      stream: "metrics service.name=broker messaging.consumer.lag messaging.destination.name=signups",
    });
    const [first] = former.add(page({ evidence: [lag] }));
    const [grown] = former.add(page({ evidence: [evidence(2, "mail")] }));
    expect(grown).toMatchObject({ id: first!.id });
    expect(grown!.members.map(({ joinedBy }) => joinedBy)).toEqual(["", "signups"]);
  });

  it("is not what is close in time alone", () => {
    const former = experienced();
    const weak = { channel: Channel.VALUE, margin: 1.5, severity: Severity.LOW };
    const services = ["mail", "web"].map((service, i) =>
      evidence(1, service, { ...weak, traceIds: [Buffer.alloc(16, i + 1)] }),
    );
    expect(former.add(page({ evidence: services }))).toEqual([]);
  });

  it("is not a single odd trace, in however many services it shows", () => {
    const former = experienced();
    const traceIds = [Buffer.alloc(16, 1)];
    const odd = { channel: Channel.VALUE, margin: 1.5, traceIds };
    const page1 = page({ evidence: ["orders", "web", "search"].map((service) => evidence(1, service, odd)) });
    expect(former.add(page1)).toEqual([]);
  });

  it("is a single stream if its evidence is rare enough by itself", () => {
    const former = experienced();
    const alone = evidence(1, "mail", { margin: 2 ** 40 });
    expect(former.add(page({ evidence: [alone] }))).toMatchObject([{ services: ["mail"] }]);
  });
});

describe("what lasts", () => {
  it("is an incident once a level has stayed for long enough", () => {
    const former = experienced();
    const level = (number: number, bits: number) =>
      page({
        evidence: [
          evidence(number, "mail", {
            signal: Signal.METRICS,
            channel: Channel.VALUE,
            stream: "metrics service.name=mail threads",
            margin: 2 ** bits,
            lasts: true,
          }),
        ],
      });
    expect(former.add(level(1, 1))).toEqual([]);
    // It is one observation, however long it takes.
    expect(former.add(level(15, 2))).toEqual([]);
    expect(former.add(level(30, 14))).toMatchObject([{ services: ["mail"], startTimeUnixNano: at(1) }]);
  });

  it("is evidence if a service takes a little more in each of many ticks, or much in one", () => {
    const slow = (seconds: number, longest: number) =>
      operation("mail", seconds, 1, { variance: 1e-4, longest });
    const little = experienced();
    const many = Array.from({ length: 32 }, (_, i) =>
      little.add(page({ ticks: [tick(i, [slow(1.3, 0.1)], calls)] })),
    );
    expect(many[0]).toEqual([]);
    expect(many.flat().length).toBeGreaterThan(0);
    expect(experienced().add(page({ ticks: [tick(0, [slow(6, 0.1)], calls)] }))).toHaveLength(1);
    // A single slow call is none.
    expect(experienced().add(page({ ticks: [tick(0, [slow(6, 5)], calls)] }))).toEqual([]);
  });

  it("is evidence if a service calls another far more often than usual", () => {
    const often = calls.map((each) =>
      each.caller === "orders" ? { ...each, now: { count: 900, seconds: 90 } } : each,
    );
    const [incident] = experienced().add(page({ ticks: [tick(0, [operation("orders", 1, 1)], often)] }));
    expect(incident).toMatchObject({ services: ["orders"], ranking: [{ service: "orders" }] });
  });
});

it("several operations that call one unknown callee are one reason", () => {
  const operations = ["a", "b", "c"].map((name) => operation("orders", 9, 1, { operation: name }));
  const figures = { count: 100, seconds: 30 };
  const edges = operations.map(({ operation: name }) =>
    call("orders", "cache", { operation: name!, now: figures, usual: {} }),
  );
  const former = experienced();
  former.add(page({ ticks: [tick(0, operations, [...calls, ...edges])] }));
  const [incident] = former.add(page({ ticks: [tick(1, operations, [...calls, ...edges])] }));
  const { reasons } = incident!.ranking[0]!;
  expect(reasons.filter((reason) => reason.startsWith("It calls"))).toEqual([
    "It calls cache, which was never seen before",
  ]);
});

describe("the ranking", () => {
  it("puts the callee first that took more of its own, although its callers showed it", () => {
    const former = experienced();
    former.add(page({ evidence: [evidence(1, "orders"), evidence(1, "web")] }));
    const db = operation("db", 30, 2, { host: "" });
    const operations = [operation("web", 5, 5), operation("orders", 4, 4), db];
    const [incident] = former.add(page({ ticks: [tick(1, operations, calls)] }));
    expect(incident!.ranking[0]).toMatchObject({ service: "db", operation: "db/run" });
    expect(incident!.ranking[0]!.seconds).toBeGreaterThan(27);
    expect(incident!.sentence).toMatch(
      /the cause seems to be db, which took 28\.\d s more of its own than usual/,
    );
    expect(incident!.undecided).toBe("");
  });

  it("keeps the cause when its fault is over", () => {
    const former = experienced();
    former.add(page({ evidence: [evidence(1, "orders"), evidence(1, "web")] }));
    const db = (seconds: number) => operation("db", seconds, 2, { host: "" });
    former.add(page({ ticks: [tick(1, [db(30)], calls)] }));
    // Meanwhile the fault has become a part of what is usual.
    const ticks = Array.from({ length: 20 }, (_, i) => tick(i + 2, [db(0.1)], calls));
    const after = former.add(page({ ticks, evidence: [evidence(22, "search")] }));
    expect(after.at(-1)!.ranking[0]).toMatchObject({ service: "db", seconds: expect.closeTo(28, 1) });
  });

  it("takes nothing for excess while the graph does not know what is usual", () => {
    const former = experienced();
    former.add(page({ evidence: [evidence(1, "orders"), evidence(1, "web")] }));
    const unknown = { usual: { count: 0, seconds: 0 } };
    const operations = [operation("web", 5, 0, unknown), operation("orders", 4, 0, unknown)];
    const edges = [call("web", "orders", unknown)];
    const incidents = [
      ...former.add(page({ ticks: [tick(1, operations, edges)] })),
      ...former.add(page({ evidence: [evidence(2, "search")] })),
    ];
    expect(incidents.at(-1)!.undecided).toMatch(/rarity of the evidence alone/);
  });

  it("says so if no span shows the cause", () => {
    const former = experienced();
    const [incident] = former.add(page({ evidence: [evidence(1, "orders"), evidence(1, "web")] }));
    expect(incident!.undecided).toMatch(/rarity of the evidence alone/);
  });
});

describe("an incident", () => {
  it("ends after quiet, and begins anew afterwards with another id", () => {
    const former = experienced();
    const both = (number: number) =>
      page({ evidence: [evidence(number, "orders"), evidence(number, "web")] });
    const [first] = former.add(both(1));
    const ended = Array.from({ length: 100 }, (_, i) => former.add(page({ ticks: [tick(i + 2)] }))).flat();
    expect(ended.at(-1)).toMatchObject({ id: first!.id, state: IncidentState.ENDED, endTimeUnixNano: at(2) });
    const [second] = former.add(both(110));
    expect(second!.id).not.toBe(first!.id);
    expect(second!.seenBefore).toEqual([first!.id]);
  });
});

it("continues after a restart as if nothing had happened", () => {
  const steps = [
    page({ evidence: [evidence(1, "orders"), evidence(1, "web")] }),
    page({ ticks: [tick(1, [operation("orders", 9, 3)], calls)] }),
    page({ evidence: [evidence(2, "search")], ticks: [tick(2, [operation("orders", 9, 3)], calls)] }),
    page({ ticks: Array.from({ length: 100 }, (_, i) => tick(i + 3)) }),
  ];
  const whole = experienced();
  const expected = steps.map((step) => whole.add(step));
  for (let cut = 0; cut <= steps.length; cut++) {
    const former = experienced();
    const before = steps.slice(0, cut).map((step) => former.add(step));
    const other = experienced();
    expect(other.restore(former.snapshot())).toBe(true);
    expect([...before, ...steps.slice(cut).map((step) => other.add(step))]).toEqual(expected);
  }
});
