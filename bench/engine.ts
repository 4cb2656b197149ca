/** The engine alone: records per second of CPU, and how much of that time reading takes. */
import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { otelload } from "../test/e2e/tools.ts";
import { median } from "./measure.ts";
import { round, table } from "./table.ts";

export interface EngineResult {
  signal: string;
  bytesPerRecord: number;
  recordsPerSecond: number;
  /** Nanoseconds per record: in total, for finding the records, and for reading their fields. */
  total: number;
  index: number;
  decode: number;
}

const run = promisify(execFile);
const program = (name: string) => fileURLToPath(new URL(`../build/bench/${name}`, import.meta.url));

export async function engine(rounds: number): Promise<EngineResult[]> {
  const folder = await mkdtemp(join(tmpdir(), "driftlock-bench-"));
  try {
    const results: EngineResult[] = [];
    for (const signal of ["logs", "traces"]) {
      const file = join(folder, signal);
      await run(otelload, ["gen", `-signal=${signal}`, "-dump", file, "-requests=200", "-records=1000"]);
      const figures = [];
      for (let i = 0; i < rounds; i++) {
        const { stdout } = await run(program("engine_bench"), [file, signal, "5"]);
        figures.push(JSON.parse(stdout) as { bytes_per_record: number; us_per_record: number });
      }
      const reading = (await run(program("otlp_bench"), [signal, file])).stdout;
      const [, index, decode] = /index ([\d.]+) ns a record, decode with attributes ([\d.]+) ns/.exec(
        reading,
      )!;
      const total = 1e3 * median(figures.map((figure) => figure.us_per_record));
      results.push({
        signal,
        bytesPerRecord: figures[0]!.bytes_per_record,
        recordsPerSecond: 1e9 / total,
        total,
        index: Number(index),
        decode: Number(decode),
      });
    }
    return results;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

export const engineTable = (results: EngineResult[]): string =>
  table(
    results.map((result) => ({
      signal: result.signal,
      "bytes per record": result.bytesPerRecord,
      "records a CPU second": Math.round(result.recordsPerSecond),
      "ns per record": round(result.total, 0),
      "find the records, ns": round(result.index, 0),
      "read all fields, ns": round(result.decode, 0),
    })),
  );
