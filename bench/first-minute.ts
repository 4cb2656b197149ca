/**
 * CPU per log record in the first minute of load after the start, in requests of 1,000: code is compiled, heaps find their size and
 * streams learn meanwhile. Both peers are fresh and take turns of a few seconds, so that what else the machine does meets both.
 */
import { peakMemory } from "./measure.ts";
import { collectorPeer, cpuOfLoad, driftlockPeer, microsPerRecord } from "./peers.ts";
import { round, table } from "./table.ts";

export interface FirstMinuteResult {
  /** Seconds of load before and after. */
  from: number;
  to: number;
  /** Microseconds of CPU per record. */
  driftlock: number;
  collector: number;
  /** Peak resident memory since the start, in bytes. */
  memory: number;
}

const minute = 60;
const turn = 5;
const load = ["-records=1000", "-conns=2", "-inflight=4", `-seconds=${turn}`];

/** Measures parts of the minute, and then all of it. */
export async function firstMinute(): Promise<FirstMinuteResult[]> {
  const peers = [await driftlockPeer("none"), await collectorPeer("none")];
  const results: FirstMinuteResult[] = [];
  const all = peers.map(() => ({ cpu: 0, records: 0 }));
  const add = async (from: number, to: number, turns: typeof all) => {
    const [driftlock, collector] = turns.map(microsPerRecord) as [number, number];
    results.push({ from, to, driftlock, collector, memory: await peakMemory(peers[0]!.program.pid) });
  };
  for (let from = 0; from < minute; from += turn) {
    const turns = [];
    for (const [i, peer] of peers.entries()) {
      const one = await cpuOfLoad(peer, load);
      turns.push(one);
      all[i]!.cpu += one.cpu;
      all[i]!.records += one.records;
    }
    await add(from, from + turn, turns);
  }
  await add(0, minute, all);
  for (const peer of peers) await peer.stop();
  return results;
}

export const firstMinuteTable = (results: FirstMinuteResult[]): string =>
  table(
    results.map(({ from, to, driftlock, collector, memory }) => ({
      "seconds of load": `${from} to ${to}`,
      "Driftlock, us per record": round(driftlock),
      "Collector, us per record": round(collector),
      ratio: round(driftlock / collector),
      "Driftlock's peak memory, MiB": Math.round(memory / 2 ** 20),
    })),
  );
