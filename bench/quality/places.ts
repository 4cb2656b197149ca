/** Where things are: data and scorers beside the project, what is made under build/. */
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url));

/** Labelled data, for evaluation only: not part of the project. */
export const data = process.env.QUALITY_DATA ?? path("../../../shared/data");
/** Their scorers, in Python's standard library alone. */
export const scorers = process.env.QUALITY_SCORERS ?? path("../../../shared/quality");
export const built = path("../../build/quality");
export const document = path("../../docs/QUALITY.md");
/** What bench/peers wrote when it was last run. */
export const peerResults = path("../peers/results.json");
export const cli = path("../../src/cli/main.ts");

/** What is missing to run, in one sentence each. */
export function missing(): string[] {
  const wanted: [string, string][] = [
    [`${data}/logs/bgl_2k.tsv`, "labelled data (QUALITY_DATA names its folder)"],
    [`${scorers}/rank_score.py`, "the scorers (QUALITY_SCORERS names their folder)"],
  ];
  return wanted.filter(([file]) => !existsSync(file)).map(([file, what]) => `${what}: there is no ${file}`);
}
