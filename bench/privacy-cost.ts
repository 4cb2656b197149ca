/** What the privacy policy costs: the engine's time per record as a multiple of its time without any mask. */
import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { ShopTelemetry } from "../src/generate/shop-telemetry.ts";
import { type Signal, signals } from "../src/otlp/protocol.ts";
import { delimited } from "./quality/log-sets.ts";
import { table } from "./table.ts";

/** The telemetry of `driftlock generate`. */
export function* shopRequests(signal: Signal, records: number, recordsPerRequest: number): Generator<Buffer> {
  const rate = 1_000;
  const shop = new ShopTelemetry({
    seed: "privacy",
    startUnixNano: 1_767_225_600_000_000_000n,
    signals: [signal],
    rate,
    speed: 1,
    duration: (records / rate) * 1_000,
    recordsPerRequest,
    schedule: [],
  });
  for (const { body } of shop.batches()) yield body;
}

/** The times of a signal's records, all measured in one run. */
interface PrivacyCost {
  signal: Signal;
  /** Microseconds per record without any mask, and the multiples of that with three policies. */
  us_per_record: number;
  default: number;
  forwarded: number;
  everywhere: number;
}

export async function privacyCost(): Promise<PrivacyCost[]> {
  const program = fileURLToPath(new URL("../build/bench/engine_bench", import.meta.url));
  const folder = await mkdtemp(join(tmpdir(), "driftlock-bench-"));
  try {
    const costs: PrivacyCost[] = [];
    for (const signal of signals) {
      const file = join(folder, signal);
      await writeFile(file, Buffer.concat([...shopRequests(signal, 100_000, 100)].map(delimited)));
      const { stdout } = await promisify(execFile)(program, [file, signal, "3", "privacy"]);
      costs.push(JSON.parse(stdout) as PrivacyCost);
    }
    return costs;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

export function privacyCostTable(costs: readonly PrivacyCost[]): string {
  return table(
    costs.map((cost) => ({
      signal: cost.signal,
      "no mask, µs per record": cost.us_per_record,
      "default policy": cost.default,
      "with forwarded: mask": cost.forwarded,
      "every place: mask": cost.everywhere,
    })),
  );
}
