/** `make bench-quality`: how well Driftlock finds what is labelled. Writes the results into docs/QUALITY.md. */
import { writeFile } from "node:fs/promises";
import process from "node:process";
import { nabDriftlock, nabTextbook } from "./nab.ts";
import { operatorFigures } from "./operator/run.ts";
import { parallel } from "./parallel.ts";
import { built, data, missing } from "./places.ts";
import { quietResults } from "./quiet.ts";
import { rankDriftlock, rankTextbook } from "./rank.ts";
import { bars, type Figures, verdict, write } from "./report.ts";
import { spanResults } from "./spans.ts";
import { makeTasks } from "./tasks.ts";

const width = 2;

async function step<T>(what: string, work: () => Promise<T>): Promise<T> {
  const start = performance.now();
  const result = await work();
  process.stderr.write(`${what}: ${((performance.now() - start) / 1_000).toFixed(0)} s\n`);
  return result;
}

const absent = missing();
if (absent.length > 0) {
  process.stderr.write(`bench-quality: skipped, nothing was measured: ${data} lacks ${absent.join(", ")}\n`);
  process.stderr.write(
    "bench-quality: docs/QUALITY.md says where the labelled data comes from; QUALITY_DATA names its folder\n",
  );
  process.exit(0);
}

const tasks = await step("labelled inputs", makeTasks);
const figures: Figures = {
  driftlock: await step("lines, sessions and what was planted", () => parallel(tasks, width, rankDriftlock)),
  textbook: await step("textbook CBAD", () => parallel(tasks, width, rankTextbook)),
  nab: await step("NAB", nabDriftlock),
  nabTextbook: await step("NAB, textbook CBAD", nabTextbook),
  spans: await step("traces", spanResults),
  quiet: await step("30 days without anomalies", quietResults),
  operator: await step("what an operator sees", operatorFigures),
};
await writeFile(`${built}/figures.json`, `${JSON.stringify(figures, null, 2)}\n`);
process.stdout.write(`${await write(figures)}\n`);

const below = bars(figures).filter((bar) => verdict(bar) === "below");
for (const { data: input, measure, floor, driftlock } of below) {
  process.stderr.write(
    `bench-quality: ${input}: ${measure} is ${driftlock.toFixed(3)}, the floor ${floor}\n`,
  );
}
