/**
 * Writes the load that the profile of the compiler is recorded under: training-load.ts FOLDER. It holds one file per signal, each with
 * the requests of the generated shop and agents as engine_bench reads them. The benches measure other loads, so that what they gain
 * is not what the compiler has learned by heart.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { AgentTelemetry } from "../src/generate/agents/agent-telemetry.ts";
import { ShopTelemetry } from "../src/generate/shop-telemetry.ts";
import { signals } from "../src/otlp/protocol.ts";

const folder = process.argv[2]!;
const load = {
  seed: "training",
  startUnixNano: 1_767_225_600_000_000_000n,
  rate: 1_000,
  speed: 1,
  duration: 60_000,
  recordsPerRequest: 200,
  schedule: [],
};

/** The body of a request after its length, in 4 bytes. */
const delimited = (body: Uint8Array) => {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(body.length);
  return [length, body];
};

for (const signal of signals) {
  const shop = new ShopTelemetry({ ...load, signals: [signal] });
  const agents =
    signal === "metrics" ? [] : new AgentTelemetry({ ...load, signals: [signal], duration: 6_000 }).batches();
  const requests = [...shop.batches(), ...agents].map(({ body }) => delimited(body));
  writeFileSync(join(folder, signal), Buffer.concat(requests.flat()));
}
