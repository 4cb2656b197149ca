/** CPU per record of the sidecar with detection on, compared with a Collector that passes through, at the same load. */
import { median } from "./measure.ts";
import {
  type Compression,
  collectorPeer,
  cpuOfLoad,
  driftlockPeer,
  microsPerRecord,
  type Peer,
} from "./peers.ts";
import { round, table } from "./table.ts";

export interface CpuResult {
  signal: string;
  perRequest: number;
  compression: Compression;
  /** Microseconds of CPU per record, medians of the rounds. */
  driftlock: number;
  collector: number;
  ratio: number;
}

const signals = ["logs", "traces"];
const sizes = [1_000, 100];
const compressions: Compression[] = ["none", "gzip"];

function load(peer: Peer, signal: string, records: number, compression: Compression, seconds: number) {
  const args = [`-signal=${signal}`, `-records=${records}`, `-seconds=${seconds}`, "-conns=2", "-inflight=4"];
  return cpuOfLoad(peer, compression === "gzip" ? [...args, "-gzip"] : args);
}

export async function cpu(seconds: number, rounds: number): Promise<CpuResult[]> {
  const results: CpuResult[] = [];
  for (const compression of compressions) {
    const peers = [await driftlockPeer(compression), await collectorPeer(compression)];
    for (const signal of signals) {
      for (const perRequest of sizes) {
        const figures: number[][] = peers.map(() => []);
        for (const peer of peers) await load(peer, signal, perRequest, compression, seconds);
        for (let round = 0; round < rounds; round++) {
          for (const [i, peer] of peers.entries()) {
            figures[i]!.push(microsPerRecord(await load(peer, signal, perRequest, compression, seconds)));
          }
        }
        const [driftlock, collector] = figures.map(median) as [number, number];
        results.push({ signal, perRequest, compression, driftlock, collector, ratio: driftlock / collector });
      }
    }
    for (const peer of peers) await peer.stop();
  }
  return results;
}

export const cpuTable = (results: CpuResult[]): string =>
  table(
    results.map((result) => ({
      signal: result.signal,
      "records a request": result.perRequest,
      compression: result.compression,
      "Driftlock, us per record": round(result.driftlock),
      "Collector, us per record": round(result.collector),
      ratio: round(result.ratio),
    })),
  );
