/**
 * Faults of agents that are planted into generated telemetry: is each reported, with the default budget, with a turn that it affects,
 * or in a stream of its agent or of the service? All other alarms are false. As many minutes before the fault show how often a stream
 * of the service has an alarm by chance.
 */
import process from "node:process";
import { configSchema } from "../../src/config/schema.ts";
import {
  type AffectedTurn,
  type AgentOptions,
  AgentTelemetry,
} from "../../src/generate/agents/agent-telemetry.ts";
import { type AgentFault, type AgentFaultName, agentFaultNames } from "../../src/generate/agents/fault.ts";
import { enginePrivacy } from "../../src/privacy/policy.ts";
import { type Alarm, Operator, tally } from "../quality/operator/alarms.ts";
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

const newOperator = (alarms: readonly Alarm[] = []) =>
  new Operator({}, { llm: config.llm, privacy: enginePrivacy(config.privacy, Buffer.alloc(32)) }, alarms);

function telemetryOf(seed: number, kind?: AgentFaultName, options: Partial<AgentOptions> = {}) {
  return new AgentTelemetry({
    seed: `agents/${seed}`,
    startUnixNano: BigInt(start) * 1_000_000n,
    signals: ["traces"],
    rate,
    speed: 1,
    duration: kind ? end : from,
    recordsPerRequest: 50,
    schedule: kind ? [{ kind, start: from, end: to, size: 1 }] : [],
    ...options,
  }).batches();
}

/** The hours before the fault, which are the same for all kinds. */
interface Before {
  alarms: Alarm[];
  /** A snapshot of the engine, and the number of requests that it has judged. */
  state: Buffer;
  requests: number;
}

async function before(seed: number): Promise<Before> {
  const operator = newOperator();
  let requests = 0;
  for (const { signal, body } of telemetryOf(seed)) {
    await operator.process(signal, body);
    requests++;
  }
  const state = await operator.engine.snapshot();
  await operator.close();
  return { alarms: operator.alarms, state, requests };
}

async function run(kind: AgentFaultName, seed: number, { alarms, state, requests }: Before): Promise<Result> {
  let fault: AgentFault | undefined;
  const affected: AffectedTurn[] = [];
  const operator = newOperator(alarms);
  if (!(await operator.engine.restore(state))) throw new Error("the engine refuses its own snapshot");
  let skipped = 0;
  const batches = telemetryOf(seed, kind, {
    onFault: (each) => {
      fault = each;
    },
    onAffected: (turn) => affected.push(turn),
  });
  for (const { signal, body } of batches) if (skipped++ >= requests) await operator.process(signal, body);
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
  const results: Result[] = [];
  for (let seed = firstSeed; seed < firstSeed + seeds; seed++) {
    const quiet = await before(seed);
    for (const kind of kinds) results.push(await run(kind, seed, quiet));
  }
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
