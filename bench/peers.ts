/** Driftlock and the Collector, each between a load and a back end that only counts. */
import { startDriftlock } from "../test/e2e/driftlock.ts";
import type { Program } from "../test/e2e/programs.ts";
import { sendLoad, startCollector, startSink } from "../test/e2e/tools.ts";
import { cpuSeconds } from "./measure.ts";

export type Compression = "none" | "gzip";

export interface Peer {
  name: "Driftlock" | "Collector";
  /** host:port of the peer's OTLP/gRPC endpoint. */
  address: string;
  program: Program;
  stop(): Promise<void>;
}

/** Driftlock with its defaults for everything but addresses and compression: detection is on. */
export async function driftlockPeer(
  compression: Compression,
  nodeOptions: string[] = [],
  config: Record<string, unknown> = {},
): Promise<Peer> {
  const sink = await startSink(["-seconds=3600"]);
  const { program, grpc } = await startDriftlock(
    { ...config, forward: { endpoint: `http://${sink.address}`, compression } },
    { nodeOptions },
  );
  return peer("Driftlock", grpc, program, sink.program);
}

export async function collectorPeer(compression: Compression): Promise<Peer> {
  const sink = await startSink(["-seconds=3600"]);
  const config = new URL("collector.yaml", import.meta.url).href;
  const { program, grpc } = await startCollector(config, { TARGET: sink.address, COMPRESSION: compression });
  return peer("Collector", grpc, program, sink.program);
}

function peer(name: Peer["name"], address: string, program: Program, sink: Program): Peer {
  return {
    name,
    address,
    program,
    async stop() {
      await program.stop();
      await sink.stop();
    },
  };
}

/**
 * Sends a load to a peer. Returns the CPU time that the peer took, in seconds, and the number of records.
 * @throws {Error} if requests failed
 */
export async function cpuOfLoad(
  { name, address, program }: Peer,
  args: string[],
): Promise<{ cpu: number; records: number }> {
  const before = await cpuSeconds(program.pid);
  const { records, errors } = await sendLoad(address, args);
  if (Object.keys(errors).length > 0) throw new Error(`${name}: ${JSON.stringify(errors)}`);
  return { cpu: (await cpuSeconds(program.pid)) - before, records };
}

/** Microseconds of CPU per record. */
export const microsPerRecord = ({ cpu, records }: { cpu: number; records: number }): number =>
  (1e6 * cpu) / records;
