/**
 * Logs at fixed rates in requests of 1,000, as in the published benchmarks of OpenTelemetry Arrow, and at twice what each peer can
 * take: what is delivered, and how much CPU time and memory that costs.
 */
import { sendLoad } from "../test/e2e/tools.ts";
import { cpuSeconds, median, peakMemory } from "./measure.ts";
import { collectorPeer, driftlockPeer, type Peer } from "./peers.ts";
import { round, table } from "./table.ts";

export interface ScenarioResult {
  scenario: string;
  peer: Peer["name"];
  /** Log records per second. */
  offered: number;
  /** Log records per second that the back end has accepted, median of the rounds. */
  delivered: number;
  /** Requests of all rounds that were not accepted. */
  failed: number;
  /** CPU time per time: 1 is one core. */
  cores: number;
  /** Peak resident memory since the start of the peer, in bytes. */
  memory: number;
}

const rates = [100_000, 400_000, 800_000];
const requests = ["-records=1000", "-conns=4", "-inflight=16"];
const makers = [() => collectorPeer("none"), () => driftlockPeer("none")];
/** Seconds of load before the first round. */
const warmUp = 2;

interface Round {
  delivered: number;
  failed: number;
  cores: number;
}

/** @param rate records per second; 0 sends as fast as requests are answered */
async function send({ address, program }: Peer, rate: number, seconds: number): Promise<Round> {
  const before = await cpuSeconds(program.pid);
  const load = await sendLoad(address, [...requests, `-rate=${rate}`, `-seconds=${seconds}`]);
  const used = (await cpuSeconds(program.pid)) - before;
  return {
    delivered: load.records / load.seconds,
    failed: Object.values(load.errors).reduce((sum, count) => sum + count, 0),
    cores: used / load.seconds,
  };
}

async function run(scenario: string, peer: Peer, rate: number, seconds: number, rounds: number) {
  await send(peer, rate, warmUp);
  const results: Round[] = [];
  for (let i = 0; i < rounds; i++) results.push(await send(peer, rate, seconds));
  return {
    scenario,
    peer: peer.name,
    offered: rate,
    delivered: median(results.map(({ delivered }) => delivered)),
    failed: results.reduce((sum, { failed }) => sum + failed, 0),
    cores: median(results.map(({ cores }) => cores)),
    memory: await peakMemory(peer.program.pid),
  };
}

export async function scenarios(seconds: number, rounds: number): Promise<ScenarioResult[]> {
  const results: ScenarioResult[] = [];
  for (const rate of rates) {
    for (const make of makers) {
      const peer = await make();
      results.push(await run(`${rate / 1_000}k`, peer, rate, seconds, rounds));
      await peer.stop();
    }
  }
  for (const make of makers) {
    const peer = await make();
    await send(peer, 0, warmUp);
    const { delivered: capacity } = await send(peer, 0, seconds);
    results.push(await run("twice its capacity", peer, Math.round(2 * capacity), seconds, rounds));
    await peer.stop();
  }
  return results;
}

export const scenariosTable = (results: ScenarioResult[]): string =>
  table(
    results.map(({ scenario, peer, offered, delivered, failed, cores, memory }) => ({
      load: scenario,
      peer,
      "offered, records/s": Math.round(offered),
      "delivered, records/s": Math.round(delivered),
      "requests that failed": failed,
      "CPU, cores": round(cores),
      "CPU, us per record": round((1e6 * cores) / delivered),
      "peak memory, MiB": Math.round(memory / 2 ** 20),
    })),
  );
