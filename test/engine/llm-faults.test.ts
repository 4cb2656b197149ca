/** Faults of agents that are planted into generated telemetry, one after the other, with default settings. */
import { expect, it } from "vitest";
import { Operator } from "../../bench/quality/operator/alarms.ts";
import { parseConfig } from "../../src/config/load.ts";
import type { Incident } from "../../src/gen/driftlock/v1/incidents_pb.js";
import { AgentTelemetry } from "../../src/generate/agents/agent-telemetry.ts";
import type { AgentFault, AgentFaultName } from "../../src/generate/agents/fault.ts";
import { IncidentFormer } from "../../src/incidents/former.ts";
import { changeText } from "../../src/json/incident.ts";
import { enginePrivacy } from "../../src/privacy/policy.ts";

const minute = 60_000;
const start = Date.UTC(2026, 0, 5, 10);

/** Returns the explanations of what is reported of an agent's streams in each fault. */
async function reports(kinds: readonly AgentFaultName[]): Promise<Map<AgentFaultName, string[]>> {
  const first = 120 * minute;
  const schedule = kinds.map((kind, i) => ({
    kind,
    start: first + 20 * i * minute,
    end: first + (20 * i + 10) * minute,
    size: 1,
  }));
  const faults: AgentFault[] = [];
  const telemetry = new AgentTelemetry({
    seed: "agents/1",
    startUnixNano: BigInt(start) * 1_000_000n,
    signals: ["traces"],
    rate: 2,
    speed: 1,
    duration: first + 20 * kinds.length * minute,
    recordsPerRequest: 50,
    schedule,
    onFault: (fault) => faults.push(fault),
  });
  const config = parseConfig({});
  const operator = new Operator(
    {},
    { llm: config.llm, privacy: enginePrivacy(config.privacy, Buffer.alloc(32)) },
  );
  for (const { signal, body } of telemetry.batches()) await operator.process(signal, body);
  await operator.close();
  return new Map(
    faults.map((fault) => [
      fault.kind,
      operator.alarms
        .filter(({ stream }) => stream.includes(`gen_ai.agent.name=${fault.cause.agent} `))
        .filter(({ reported }) =>
          reported.some((time) => time >= start + fault.start && time < start + fault.end + 5 * minute),
        )
        .map(({ explanation }) => explanation),
    ]),
  );
}

it("finds planted faults of agents in the streams of their calls", async () => {
  const found = await reports(["leak", "silent-truncation", "cost-jump", "loop"]);
  const expected: [AgentFaultName, RegExp][] = [
    ["leak", / appear in "body", which had none before/],
    ["silent-truncation", /^Answers that break off: \d+ % of \d+ in .*; usually 0 % to \d/],
    ["cost-jump", /^Output tokens of a call: a mean of \d+ in .*; usually \d+/],
    ["loop", /^Calls of (one tool with the same arguments|tools on unusual paths)/],
  ];
  for (const [kind, sentence] of expected) {
    expect(found.get(kind), kind).toContainEqual(expect.stringMatching(sentence));
  }
});

it("says which model answered before and after it was swapped", async () => {
  const config = parseConfig({});
  const former = new IncidentFormer({ perTenantPerDay: 100, seed: 1n });
  const incidents = new Map<string, Incident>();
  const operator = new Operator({}, { llm: config.llm });
  const from = 120 * minute;
  let service = "";
  let models: readonly string[] = [];
  const telemetry = new AgentTelemetry({
    seed: "agents/1",
    startUnixNano: BigInt(start) * 1_000_000n,
    signals: ["traces"],
    rate: 2,
    speed: 1,
    duration: from + 15 * minute,
    recordsPerRequest: 50,
    schedule: [{ kind: "model-swap", start: from, end: from + 10 * minute, size: 1 }],
    onFault: ({ cause }) => {
      service = cause.service;
      models = cause.models!;
    },
  });
  for (const { signal, body } of telemetry.batches()) {
    const { evidence } = await operator.process(signal, body);
    for (const each of evidence ? former.add(evidence) : []) incidents.set(each.id, each);
  }
  await operator.close();
  const told = [...incidents.values()].flatMap(({ changes }) => changes.map(changeText));
  expect(told).toContain(`${service}: gen_ai.response.model is ${models[1]} instead of ${models[0]}`);
});
