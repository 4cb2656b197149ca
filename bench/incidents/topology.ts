/**
 * Runs of generated topologies: days without faults, and faults that follow the first of them, each from the same snapshot, as
 * they are and on top of something that has been wrong all the time.
 */
import { configSchema } from "../../src/config/schema.ts";
import { Engine } from "../../src/engine/index.ts";
import type { GraphTick } from "../../src/gen/driftlock/v1/incidents_pb.js";
import {
  type Fault,
  type FaultName,
  type FaultSchedule,
  faultNames,
} from "../../src/generate/topology/fault.ts";
import { TopologyTelemetry } from "../../src/generate/topology/topology-telemetry.ts";
import { tickMs } from "../../src/incidents/bounds.ts";
import { addTick, createExcess } from "../../src/incidents/excess.ts";
import { rank } from "../../src/incidents/ranking.ts";
import { type Signal, signals } from "../../src/otlp/protocol.ts";
import type { IncidentFormer, Ranked } from "./incident.ts";
import { type FaultRun, isCause } from "./measure.ts";

const minute = 60_000;
const hour = 3_600_000;
const day = 24 * hour;
/** The first day begins on a Monday; the hour depends on the seed. */
const monday = Date.UTC(2026, 0, 5);
/** When a fault begins in its run, how long it lasts, and how long the run goes on afterwards. */
const faultAt = 20 * minute;
const faultLasts = 10 * minute;
const faultRun = faultAt + faultLasts + 5 * minute;
/** What has been wrong all the time: a dependency that fails in 5 % of its calls. */
const chronic = { kind: "failing-dependency", size: 0.1 } as const;

export interface Bench {
  seed: string;
  /** Records per second, on average. */
  rate: number;
  /** Days without faults, at least one. */
  days: number;
  /** @param snapshot what another one has learned */
  createFormer(snapshot?: Buffer): IncidentFormer;
}

interface Run {
  name?: string;
  start: number;
  duration: number;
  schedule: readonly FaultSchedule[];
  /** All of them by default. */
  signals?: readonly Signal[];
}

async function createEngine(snapshot?: Buffer): Promise<Engine> {
  const engine = new Engine(configSchema.parse({}).detect, { mode: "all" });
  if (snapshot !== undefined && !(await engine.restore(snapshot)))
    throw new Error("the engine refuses its own snapshot");
  return engine;
}

/** Judges a run. @param atDay is called between two requests when a day is over, with the number of days so far */
async function judge(
  { seed, rate }: Pick<Bench, "seed" | "rate">,
  { name, start, duration, schedule, signals: sent = signals }: Run,
  engine: Engine,
  former: IncidentFormer,
  atDay?: (day: number) => Promise<void>,
): Promise<Fault[]> {
  const faults: Fault[] = [];
  const telemetry = new TopologyTelemetry({
    seed,
    ...(name !== undefined && { run: name }),
    startUnixNano: BigInt(start) * 1_000_000n,
    signals: sent,
    rate,
    speed: 1,
    duration,
    recordsPerRequest: 100,
    schedule,
    onFault: (fault) => faults.push(fault),
  });
  let days = 0;
  for (const { signal, body, time } of telemetry.batches()) {
    while (atDay && time >= (days + 1) * day) await atDay(++days);
    former.add(signal, body, await engine.process(signal, "default", body), start + time);
  }
  return faults;
}

/** The first day and what an engine has learned from it. */
export interface Past {
  /** The beginning of the first day. */
  start: number;
  snapshot: Buffer;
  /** What a former of incidents has learned from it. */
  learned: Buffer;
  /** The number of incidents of each day. */
  incidents: number[];
}

/** Generates days without faults, and takes the snapshot at the end of the first one. */
export async function quietDays(bench: Bench, schedule: readonly FaultSchedule[] = []): Promise<Past> {
  const start = monday + ((Number(bench.seed) * 5) % 24) * hour;
  const duration = bench.days * day;
  const engine = await createEngine();
  const former = bench.createFormer();
  let snapshot: Buffer | undefined;
  let learned: Buffer | undefined;
  try {
    await judge(bench, { name: "past", start, duration, schedule }, engine, former, async (days) => {
      if (days > 1) return;
      snapshot = await engine.snapshot();
      learned = former.snapshot();
    });
    snapshot ??= await engine.snapshot();
    learned ??= former.snapshot();
  } finally {
    await engine.close();
  }
  const incidents = Array.from({ length: bench.days }, () => 0);
  for (const { reported } of former.incidents()) {
    const at = Math.floor((reported - start) / day);
    incidents[Math.min(at, bench.days - 1)]!++;
  }
  return { start, snapshot, learned, incidents };
}

/** Generates one fault of each kind, each as it would come after the past. */
export async function faultRuns(
  bench: Bench,
  past: Past,
  kinds: readonly FaultName[] = faultNames,
  always: readonly FaultSchedule[] = [],
): Promise<FaultRun[]> {
  const runs: FaultRun[] = [];
  const start = past.start + day;
  for (const kind of kinds) {
    const engine = await createEngine(past.snapshot);
    const former = bench.createFormer(past.learned);
    const fault = { kind, start: faultAt, end: faultAt + faultLasts, size: 1 };
    try {
      const faults = await judge(
        bench,
        { name: kind, start, duration: faultRun, schedule: [...always, fault] },
        engine,
        former,
      );
      runs.push({ start, faults: faults.slice(always.length), incidents: former.incidents() });
    } finally {
      await engine.close();
    }
  }
  return runs;
}

/** What is wrong all the time in the runs that have a chronic anomaly. */
export function chronically(duration: number): FaultSchedule[] {
  return [{ ...chronic, start: 0, end: duration }];
}

/** Judges faults on top of a chronic anomaly, which was there on the first day already. */
export async function chronicRuns(bench: Bench, kinds: readonly FaultName[]): Promise<FaultRun[]> {
  const past = await quietDays({ ...bench, days: 1 }, chronically(day));
  return faultRuns(bench, past, kinds, chronically(faultRun));
}

/** A fault, and the place of its cause in the ranking, from 1. */
export interface RankedFault {
  fault: Fault;
  /** By the first minute of the fault, which is what there is when a person is told. */
  early: number | undefined;
  /** By the whole fault. */
  whole: number | undefined;
}

/** Ranks the causes of faults that show in spans by what the service graph tells: the beginning of each fault is known. */
export async function rankingRuns(
  seed: string,
  rate: number,
  kinds: readonly FaultName[],
): Promise<RankedFault[]> {
  const start = monday + ((Number(seed) * 5) % 24) * hour;
  const results: RankedFault[] = [];
  for (const kind of kinds) {
    const ticks: GraphTick[] = [];
    const former: IncidentFormer = {
      add: (_signal, _body, { evidence }) => ticks.push(...(evidence?.ticks ?? [])),
      incidents: () => [],
      snapshot: () => Buffer.alloc(0),
    };
    const engine = await createEngine();
    try {
      const faults = await judge(
        { seed, rate },
        {
          start,
          duration: faultRun,
          signals: ["traces"],
          schedule: [{ kind, start: faultAt, end: faultAt + faultLasts, size: 1 }],
        },
        engine,
        former,
      );
      const rankAt = (fault: Fault, lasts: number) => {
        const ranking = rankTicks(ticks, start + faultAt, start + faultAt + lasts);
        const at = ranking.findIndex((candidate) => isCause(candidate, fault));
        return at < 0 ? undefined : at + 1;
      };
      results.push(
        ...faults.map((fault) => ({ fault, early: rankAt(fault, minute), whole: rankAt(fault, faultLasts) })),
      );
    } finally {
      await engine.close();
    }
  }
  return results;
}

/** Ranks the services and hosts of all ticks from one time to another, in milliseconds since 1970. */
function rankTicks(ticks: readonly GraphTick[], from: number, to: number): Ranked[] {
  const excess = createExcess();
  for (const tick of ticks) {
    const at = Number(tick.tickUnixNano / 1_000_000n);
    if (at + tickMs <= from || at >= to) continue;
    const services = [
      ...tick.operations.map(({ service }) => service),
      ...tick.edges.map(({ caller }) => caller),
    ];
    addTick(excess, tick, new Set(services));
  }
  return rank(excess, new Map()).map(({ service, host }) => (host === "" ? { service } : { host }));
}
