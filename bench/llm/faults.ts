/**
 * Faults of agents that are planted into generated telemetry: is each reported, with the default budget, with a turn that it affects,
 * or in a stream of its agent or of the service? All other alarms are false. As many minutes before the fault show how often a stream
 * of the service has an alarm by chance.
 */
import process from "node:process";
import { configSchema } from "../../src/config/schema.ts";
import { type AffectedTurn, AgentTelemetry } from "../../src/generate/agents/agent-telemetry.ts";
import { type AgentFault, type AgentFaultName, agentFaultNames } from "../../src/generate/agents/fault.ts";
import { enginePrivacy } from "../../src/privacy/policy.ts";
import { type Alarm, Operator, tally } from "../quality/operator/alarms.ts";
import { parallel } from "../quality/parallel.ts";
import type { Row } from "../table.ts";

const minute = 60_000;
const start = Date.UTC(2026, 0, 5, 10);
const seeds = Number(process.env.SEEDS ?? 50);
const firstSeed = Number(process.env.FIRST_SEED ?? 1);
/** Spans per second, and how long the agents are watched before the fault, in hours. */
const rate = Number(process.env.RATE ?? 2);
const hours = Number(process.env.HOURS ?? 6);
/** When the fault begins and ends, and when the telemetry does: a fault may be reported until then. */
const from = hours * 60 * minute;
const [to, end] = [from + 10 * minute, from + 15 * minute];
const kinds = (process.env.KINDS?.split(",") ?? agentFaultNames) as AgentFaultName[];

const config = configSchema.parse({});

/** The floor of the share of seeds in which a fault is found. */
const floor = 0.9;

interface Result {
  kind: AgentFaultName;
  /** Milliseconds from its start to the first report; undefined if it was not found. */
  after: number | undefined;
  right: Alarm[];
  wrong: Alarm[];
  /** Whether the same would have been found before the fault. */
  chance: boolean;
}

async function run(kind: AgentFaultName, seed: number): Promise<Result> {
  let fault: AgentFault | undefined;
  const affected: AffectedTurn[] = [];
  const telemetry = new AgentTelemetry({
    seed: `agents/${seed}`,
    startUnixNano: BigInt(start) * 1_000_000n,
    signals: ["traces"],
    rate,
    speed: 1,
    duration: end,
    recordsPerRequest: 50,
    schedule: [{ kind, start: from, end: to, size: 1 }],
    onFault: (each) => {
      fault = each;
    },
    onAffected: (turn) => affected.push(turn),
  });
  const operator = new Operator(
    {},
    { llm: config.llm, privacy: enginePrivacy(config.privacy, Buffer.alloc(32)) },
  );
  for (const { signal, body } of telemetry.batches()) await operator.process(signal, body);
  await operator.close();
  const { service, agent } = fault!.cause;
  const traces = new Set(affected.map(({ trace }) => trace));
  const later = ({ reported }: Alarm) => reported.some((time) => time >= start + from);
  const within = ({ stream }: Alarm) =>
    stream.includes(`service.name=${service}`) &&
    (stream.includes(`agent.name=${agent} `) || !stream.includes("agent.name="));
  const isRight = (alarm: Alarm) => later(alarm) && (traces.has(alarm.trace) || within(alarm));
  const right = operator.alarms.filter(isRight);
  const times = right.flatMap(({ reported }) => reported).filter((time) => time >= start + from);
  return {
    kind,
    after: times.length === 0 ? undefined : Math.min(...times) - start - from,
    right,
    wrong: operator.alarms.filter((alarm) => !isRight(alarm)),
    chance: operator.alarms.some(
      (alarm) =>
        within(alarm) && alarm.reported.some((time) => time >= start + 2 * from - end && time < start + from),
    ),
  };
}

const channelOf = ({ channel, stream }: Alarm) => `${channel} of ${stream.split(" ")[0]}`;

export async function agentFaults(): Promise<Row[]> {
  const jobs = Array.from({ length: seeds }, (_, i) =>
    kinds.map((kind) => ({ kind, seed: firstSeed + i })),
  ).flat();
  const results = await parallel(jobs, 1, ({ kind, seed }) => run(kind, seed));
  if (process.env.VERBOSE) {
    for (const { kind, right, wrong } of results) {
      for (const each of right)
        process.stderr.write(`${kind} + ${each.channel} | ${each.stream} | ${each.explanation}\n`);
      for (const each of wrong)
        process.stderr.write(
          `${kind} - ${each.channel} | ${Math.round((each.reported[0]! - start) / minute)} min | ${each.stream} | ${each.explanation}\n`,
        );
    }
  }
  const days = end / 86_400_000;
  return kinds.map((kind) => {
    const own = results.filter((result) => result.kind === kind);
    const found = own.flatMap(({ after }) => after ?? []).sort((a, b) => a - b);
    const wrong = own.flatMap((each) => each.wrong);
    const share = found.length / own.length;
    if (share < floor)
      process.stderr.write(
        `bench-llm: ${kind} is found in ${share.toFixed(2)} of the seeds, the floor is ${floor}\n`,
      );
    return {
      fault: kind,
      found: share.toFixed(2),
      "by chance": (own.filter(({ chance }) => chance).length / own.length).toFixed(2),
      "median s": found.length === 0 ? "–" : Math.round(found[found.length >> 1]! / 1_000),
      by: tally(
        own.flatMap(({ right }) => right.slice(0, 1)),
        channelOf,
      ),
      "false per run": (wrong.length / own.length).toFixed(2),
      "false per day": (wrong.length / own.length / days).toFixed(1),
      "false by": tally(wrong, channelOf),
    };
  });
}
