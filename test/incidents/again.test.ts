/** Incidents formed again from their bases: the same, whatever began them and joined them; and what is altered is found. */
import { create } from "@bufbuild/protobuf";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Channel, Severity, Signal } from "../../src/gen/driftlock/v1/anomaly_pb.js";
import { ChangeSchema, type Incident, IncidentState } from "../../src/gen/driftlock/v1/incidents_pb.js";
import { formAgain } from "../../src/incidents/again.ts";
import { type Basis, basisSchema } from "../../src/incidents/basis.ts";
import { changeText } from "../../src/incidents/describe.ts";
import type { IncidentFormer } from "../../src/incidents/former.ts";
import { at, call, calls, evidence, experienced, newFormer, operation, page, tenant, tick } from "./pages.ts";

const basisOf = ({ basis }: Incident): Basis =>
  basisSchema.parse(JSON.parse(new TextDecoder().decode(basis)));

function again(incident: Incident, basis = basisOf(incident)) {
  const changes = incident.changes.map((change) => ({
    service: change.serviceName,
    text: changeText(change),
  }));
  return formAgain(basis, incident.tenant, changes);
}

/** What a basis determines of an incident. */
function determined({ score, pValue, severity, sentence, services, undecided, ...more }: Incident) {
  const { startTimeUnixNano, endTimeUnixNano, reportedTimeUnixNano, members, ranking, graph } = more;
  const times = { startTimeUnixNano, endTimeUnixNano, reportedTimeUnixNano };
  return { score, pValue, severity, sentence, services, undecided, ...times, members, ranking, graph };
}

function expectSame(incident: Incident): void {
  const { message, faults } = again(incident);
  expect(faults).toEqual([]);
  expect(determined(message)).toEqual(determined(incident));
  expect(message.membersLeftOut).toBe(incident.membersLeftOut);
}

const rare = { margin: 2 ** 60 };
const slow = (number: number) =>
  tick(
    number,
    [operation("orders", 9, 1), operation("db", 40, 1, { host: "" }), operation("web", 12, 1)],
    [...calls, call("orders", "cache", { usual: {} })],
  );

describe("an incident is the same", () => {
  it.each<[string, (former: IncidentFormer) => Incident[]]>([
    [
      "of services that call one another",
      (former) => [
        ...former.add(page({ evidence: [evidence(1, "orders"), evidence(1, "web")], ticks: [slow(1)] })),
        ...former.add(page({ evidence: [evidence(2, "search")], ticks: [slow(2), slow(3)] })),
        ...former.add(page({ ticks: Array.from({ length: 100 }, (_, i) => tick(4 + i)) })),
      ],
    ],
    ["of a single stream", (former) => former.add(page({ evidence: [evidence(1, "mail", rare)] }))],
    [
      "that the service graph alone shows",
      (former) => [1, 2, 3].flatMap((number) => former.add(page({ ticks: [slow(number)] }))),
    ],
    [
      "that another one turned out to be part of",
      (former) => {
        const traceIds = [Buffer.alloc(16, 9)];
        return [
          page({ evidence: [evidence(1, "orders", rare)] }),
          page({ evidence: [evidence(2, "mail", { ...rare, host: "node-1" })] }),
          page({ evidence: [evidence(3, "orders", { traceIds })] }),
          page({ evidence: [evidence(3, "mail", { traceIds })] }),
          page({ evidence: [evidence(4, "other", { host: "node-1" })] }),
        ].flatMap((each) => former.add(each));
      },
    ],
    [
      "of a queue and its consumer",
      (former) => {
        const consumer = operation("mail", 1, 1, { operation: "process signups" });
        const stream =
          "metrics service.name=broker messaging.consumer.lag messaging.destination.name=signups";
        const lag = { signal: Signal.METRICS, channel: Channel.VALUE, stream };
        return [
          page({ ticks: [tick(0, [consumer], calls)] }),
          page({ evidence: [evidence(1, "broker", lag)] }),
          page({ evidence: [evidence(2, "mail")] }),
        ].flatMap((each) => former.add(each));
      },
    ],
    [
      "after a change",
      (former) => {
        const version = { attribute: "service.version", value: "2.0", previous: "1.9" };
        for (const serviceName of ["orders", "mail"]) {
          former.post(create(ChangeSchema, { tenant, timeUnixNano: at(1), serviceName, ...version }));
        }
        return former.add(page({ evidence: ["orders", "web", "mail"].map((name) => evidence(2, name)) }));
      },
    ],
    [
      "with more members than are kept",
      (former) => {
        former.add(page({ evidence: [evidence(1, "orders"), evidence(1, "web")] }));
        return former.add(
          page({
            evidence: Array.from({ length: 900 }, (_, i) =>
              evidence(2, "web", { stream: `traces ${i % 300}` }),
            ),
          }),
        );
      },
    ],
  ])("%s", (_, run) => {
    const incidents = run(experienced());
    expect(incidents.length).toBeGreaterThan(0);
    for (const incident of incidents) expectSame(incident);
  });

  it("whatever comes in whichever order, over restarts", () => {
    const service = fc.constantFrom("web", "orders", "search", "mail", "db", "");
    const one = fc.record({
      service,
      number: fc.nat(40),
      bits: fc.integer({ min: 0, max: 40 }),
      channel: fc.constantFrom(Channel.CONTENT, Channel.VALUE, Channel.SHIFT, Channel.GROUP),
      signal: fc.constantFrom(Signal.LOGS, Signal.TRACES, Signal.METRICS),
      host: fc.constantFrom("", "node-1", "node-2"),
      traces: fc.array(fc.nat(3), { maxLength: 2 }),
      severity: fc.constantFrom(Severity.LOW, Severity.HIGH),
      lasts: fc.boolean(),
      tick: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(one, { minLength: 5, maxLength: 60 }), (all) => {
        let former = newFormer();
        former.add(page({ ticks: Array.from({ length: 20 }, (_, i) => tick(i - 20, [], calls)) }));
        for (const [i, each] of all.sort((a, b) => a.number - b.number).entries()) {
          const { service: name, number, bits, traces, tick: isTick, ...some } = each;
          const traceIds = traces.map((trace) => Buffer.alloc(16, trace + 1));
          const shown = evidence(number, name, {
            ...some,
            margin: 2 ** bits,
            traceIds,
            finding: BigInt(bits),
          });
          const incidents = former.add(page({ evidence: [shown], ticks: isTick ? [slow(number)] : [] }));
          for (const incident of incidents) if (incident.state !== IncidentState.MERGED) expectSame(incident);
          if (i === 10) {
            const restarted = newFormer();
            expect(restarted.restore(former.snapshot())).toBe(true);
            former = restarted;
          }
        }
      }),
      { numRuns: 100 },
    );
  });
});

describe("what is altered is found", () => {
  const incident = () => {
    const former = experienced();
    former.add(page({ evidence: [evidence(1, "orders"), evidence(1, "web")], ticks: [slow(1)] }));
    return former.add(page({ evidence: [evidence(2, "search")], ticks: [slow(2)] })).at(-1)!;
  };
  const withChange = (change: (basis: Basis) => void) => {
    const whole = incident();
    const basis = basisOf(whole);
    change(basis);
    const { message, faults } = again(whole, basis);
    return { message, faults, whole };
  };

  it("in what it began with", () => {
    const { message, whole } = withChange(({ formation }) => {
      formation.beginning!.observations[0]!.bits += 1;
    });
    expect(message.score).not.toBe(whole.score);
    const common = withChange((basis) => {
      basis.budget = 1e-12;
    });
    expect(common.faults).toEqual(["What it began with is not rare enough to begin an incident."]);
  });

  it("in what joins its evidence", () => {
    const { faults } = withChange(({ formation }) => {
      Object.assign(formation.steps.find(({ near }) => near !== undefined)!, { near: "mail" });
    });
    expect(faults).toEqual([
      expect.stringContaining("Nothing joins the evidence of traces service.name=web"),
    ]);
    const first = withChange(({ formation }) => {
      Object.assign(formation.steps[0]!, { join: 1, by: "ff" });
    });
    expect(first.faults).toHaveLength(1);
  });

  it("in what its services took", () => {
    const { message, whole } = withChange(({ excess }) => {
      excess.operations.find(({ service }) => service === "db")!.most.seconds = 0;
    });
    expect(message.ranking[0]!.service).not.toBe(whole.ranking[0]!.service);
    expect(message.sentence).not.toBe(whole.sentence);
  });
});

it("a former that keeps bases forgets them with their incidents", () => {
  const former = experienced();
  const noisy = (number: number) =>
    page({
      evidence: Array.from({ length: 600 }, (_, i) =>
        evidence(number, "mail", { ...rare, stream: `traces ${i}` }),
      ),
    });
  let last: Incident | undefined;
  for (let number = 1; number < 3_000; number += 200) last = former.add(noisy(number)).at(-1) ?? last;
  // If their steps were counted for ever, there would be no room for these.
  expect(basisOf(last!).formation.steps.length).toBeGreaterThan(100);
});
