/**
 * `make bench`: the measurements of docs/guides/sizing.md, side by side in one run. Prints Markdown and writes
 * bench/results.json.
 *
 *   node bench/run.ts [engine] [cpu] [first-minute] [latency] [privacy] [memory] [storing] [scenarios] [start]
 *                    [--seconds N] [--rounds N] [--streams N]
 *
 * `--seconds` is the length of one run. Each measurement has `--rounds` runs after a warm-up run.
 */
import { writeFile } from "node:fs/promises";
import { cpus } from "node:os";
import process from "node:process";
import { parseArgs } from "node:util";
import { stopAll } from "../test/e2e/programs.ts";
import { buildTools } from "../test/e2e/tools.ts";
import { cpu, cpuTable } from "./cpu.ts";
import { engine, engineTable } from "./engine.ts";
import { firstMinute, firstMinuteTable } from "./first-minute.ts";
import { latency, latencyTable } from "./latency.ts";
import { memory, memoryTable } from "./memory.ts";
import { privacyCost, privacyCostTable } from "./privacy-cost.ts";
import { scenarios, scenariosTable } from "./scenarios.ts";
import { start, startTable } from "./start.ts";
import { storing, storingTable } from "./storing.ts";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seconds: { type: "string", default: "5" },
    rounds: { type: "string", default: "5" },
    streams: { type: "string", default: "10000" },
  },
});
const [seconds, rounds, streams] = [values.seconds, values.rounds, values.streams].map(Number) as [
  number,
  number,
  number,
];

const benches = {
  engine: { title: "The engine alone, on one core", run: () => engine(rounds), table: engineTable },
  cpu: { title: "CPU of the sidecar, detection on", run: () => cpu(seconds, rounds), table: cpuTable },
  "first-minute": {
    title: "CPU per log record in the first minute, 1,000 per request",
    run: () => firstMinute(),
    table: firstMinuteTable,
  },
  latency: {
    title: "Latency of a request at 10,000 records/s",
    run: () => latency(seconds, rounds),
    table: latencyTable,
  },
  privacy: {
    title: "The engine with masks of personal values, as multiples of its time without",
    run: () => privacyCost(),
    table: privacyCostTable,
  },
  memory: { title: "Memory at its worst", run: () => memory(streams), table: memoryTable },
  storing: {
    title: "The sidecar's path while anomalies are stored in SQLite",
    run: () => storing(seconds, rounds),
    table: storingTable,
  },
  scenarios: {
    title: "Logs at fixed rates, and at twice what can be taken",
    run: () => scenarios(seconds, rounds),
    table: scenariosTable,
  },
  start: { title: "Time of a start", run: () => start(rounds), table: startTable },
};
type Name = keyof typeof benches;
const names = Object.keys(benches) as Name[];
const unknown = positionals.filter((name) => !names.includes(name as Name));
if (unknown.length > 0) {
  process.stderr.write(`bench: no bench is called ${unknown.join(", ")}; there are ${names.join(", ")}\n`);
  process.exit(2);
}

async function measure<R>(name: Name, bench: { title: string; run(): Promise<R>; table(result: R): string }) {
  const result = await bench.run();
  process.stdout.write(`\n### ${bench.title}\n\n${bench.table(result)}\n`);
  return [name, result] as const;
}

await buildTools();
const machine = { cpu: cpus()[0]!.model, cores: cpus().length, node: process.versions.node };
process.stdout.write(`${machine.cpu}, ${machine.cores} cores, Node ${machine.node}\n`);
const results: Record<string, unknown> = { date: new Date().toISOString(), machine, seconds, rounds };
try {
  for (const name of names) {
    if (positionals.length > 0 && !positionals.includes(name)) continue;
    const [key, result] = await measure(name, benches[name] as never);
    results[key] = result;
  }
} finally {
  await stopAll();
}
const file = new URL("results.json", import.meta.url);
await writeFile(file, `${JSON.stringify(results, null, 2)}\n`);
