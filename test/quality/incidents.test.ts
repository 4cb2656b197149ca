/** The measures of incidents, and the reference for ranking their causes. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Incident } from "../../bench/incidents/incident.ts";
import { falseIncidents, figures, foundFaults } from "../../bench/incidents/measure.ts";
import { type Interval, rankNodes } from "../../bench/incidents/petshop.ts";
import { rankingRuns } from "../../bench/incidents/topology.ts";
import type { Fault } from "../../src/generate/topology/fault.ts";

const start = Date.UTC(2026, 0, 5);
const fault: Fault = {
  id: "fault-1",
  kind: "slow-database",
  cause: { service: "orders-db" },
  services: ["orders-db", "orders", "web-gateway"],
  start: 60_000,
  end: 120_000,
};

function incident(some: Partial<Incident>): Incident {
  return {
    id: "1",
    reported: start + 70_000,
    start: start + 65_000,
    end: start + 130_000,
    services: ["orders"],
    channels: ["shift"],
    ranking: [{ service: "orders" }, { service: "orders-db" }],
    ...some,
  };
}

describe("faults and incidents", () => {
  it("belong together by time and service", () => {
    const [found] = foundFaults({ start, faults: [fault], incidents: [incident({})] });
    expect(found).toMatchObject({ incidents: 1, delay: 10_000, rank: 2 });
    const others = [
      incident({ reported: start + 50_000 }),
      incident({ reported: start + 500_000 }),
      incident({ services: ["search"] }),
    ];
    const run = { start, faults: [fault], incidents: others };
    expect(foundFaults(run)[0]).toMatchObject({ incidents: 0, delay: undefined, rank: undefined });
    expect(falseIncidents(run)).toBe(3);
  });

  it("are counted, and ranked by the first incident", () => {
    const incidents = [
      incident({ reported: start + 90_000, ranking: [] }),
      incident({ ranking: [{ service: "orders-db" }] }),
    ];
    const results = foundFaults({
      start,
      faults: [fault, { ...fault, start: 600_000, end: 660_000 }],
      incidents,
    });
    expect(figures(results)).toEqual({
      faults: 2,
      found: 0.5,
      perFault: 2,
      first: 0.5,
      within3: 0.5,
      medianSeconds: 10,
    });
  });

  it("are about a host, or about those who read through a cache", () => {
    const rank = (cause: Fault["cause"], ranking: Incident["ranking"]) =>
      foundFaults({ start, faults: [{ ...fault, cause }], incidents: [incident({ ranking })] })[0]!.rank;
    expect(rank({ service: "a", host: "node-1" }, [{ service: "b" }, { host: "node-1" }])).toBe(2);
    expect(rank({ service: "a-cache", readers: ["a"] }, [{ service: "a" }])).toBe(1);
    expect(rank({ service: "a" }, [{ host: "node-1" }, { service: "b" }])).toBeUndefined();
  });
});

describe("own excess", () => {
  it("ranks the node that is slow, wherever it is in a chain of calls", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 2, max: 8 }),
        fc.nat(),
        fc.double({ min: 0.5, max: 5, noNaN: true }),
        (length, at, slower) => {
          const names = Array.from({ length }, (_, i) => `n${i}`);
          const cause = at % length;
          // Each node takes a second of its own, and what those below it take.
          const interval = (time: number, extra: number): Interval => ({
            time,
            nodes: new Map(
              names.map((name, i) => {
                const seconds = 100 * (length - i + (i <= cause ? extra : 0));
                return [name, { requests: 100, seconds, failures: 0 }];
              }),
            ),
          });
          const ranked = rankNodes({
            name: "",
            usual: [],
            intervals: [
              ...Array.from({ length: 400 }, (_, i) => interval(300 * i, 0)),
              interval(120_000, slower),
            ],
            calls: new Map(names.map((name, i) => [name, names.slice(i + 1, i + 2)])),
            since: 120_100,
            shows: "latency",
            cause: names[cause]!,
          });
          expect(ranked[0]).toBe(names[cause]);
        },
      ),
    );
  });

  it.each(["slow-database", "failing-dependency", "pool-exhaustion"] as const)(
    "finds the cause of %s",
    async (kind) => {
      expect(await rankingRuns("1", 20, [kind])).toMatchObject([{ fault: { kind }, whole: 1 }]);
    },
  );
});
