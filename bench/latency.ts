/** Latency of a request at a fixed rate: directly to the back end, through the Collector, and through Driftlock. */
import { sendLoad, startSink } from "../test/e2e/tools.ts";
import { median } from "./measure.ts";
import { collectorPeer, driftlockPeer } from "./peers.ts";
import { round, table } from "./table.ts";

export interface LatencyResult {
  path: string;
  /** Median milliseconds over the rounds. */
  p50: number;
  p99: number;
}

/** 10,000 records per second in requests of 100: a tenth of what one core handles, so that nothing queues. */
const load = ["-rate=10000", "-records=100", "-conns=2", "-inflight=8"];

export async function latency(seconds: number, rounds: number): Promise<LatencyResult[]> {
  const sink = await startSink(["-seconds=3600"]);
  const peers = [await collectorPeer("none"), await driftlockPeer("none")];
  const paths = [
    { path: "straight to the back end", address: sink.address },
    ...peers.map(({ name, address }) => ({ path: `through ${name}`, address })),
  ];
  const runs = paths.map(() => ({ p50: [] as number[], p99: [] as number[] }));
  // The first round is a warm-up.
  for (let round = 0; round <= rounds; round++) {
    for (const [i, { address }] of paths.entries()) {
      const { latency_ms } = await sendLoad(address, [...load, `-seconds=${seconds}`]);
      if (round === 0) continue;
      runs[i]!.p50.push(latency_ms!.p50);
      runs[i]!.p99.push(latency_ms!.p99);
    }
  }
  for (const peer of peers) await peer.stop();
  await sink.program.stop();
  return paths.map(({ path }, i) => ({ path, p50: median(runs[i]!.p50), p99: median(runs[i]!.p99) }));
}

export function latencyTable(results: LatencyResult[]): string {
  const [straight] = results;
  return table(
    results.map(({ path, p50, p99 }) => ({
      path,
      "p50, ms": round(p50),
      "p99, ms": round(p99),
      "added p50, ms": round(p50 - straight!.p50),
      "added p99, ms": round(p99 - straight!.p99),
    })),
  );
}
