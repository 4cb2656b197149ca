/** Driftlock and the Collector, each between a load and a back end that only counts. */
import { startDriftlock } from "../test/e2e/driftlock.ts";
import type { Program } from "../test/e2e/programs.ts";
import { startCollector, startSink } from "../test/e2e/tools.ts";

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
