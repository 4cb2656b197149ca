/** The programs that the bench runs: the CLI, and the scorers. */
import { spawn } from "node:child_process";
import { writeFile } from "node:fs/promises";
import process from "node:process";
import { cli, scorers } from "./places.ts";

async function run(program: string, args: readonly string[]): Promise<string> {
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "inherit"] });
  const parts: Buffer[] = [];
  child.stdout.on("data", (part: Buffer) => parts.push(part));
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", resolve);
  });
  if (code !== 0) throw new Error(`${program} ${args.join(" ")}: exit code ${code}`);
  return Buffer.concat(parts).toString();
}

export interface ReplayLine {
  i: number;
  kind: "record" | "window";
  score: number;
  flagged: boolean;
  channel: string | null;
}

/** Runs `driftlock replay` with the defaults for everything but `args`. */
export async function replay(args: readonly string[]): Promise<ReplayLine[]> {
  const out = await run(process.execPath, [cli, "replay", ...args]);
  return out
    .split("\n")
    .slice(0, -1)
    .map((line) => JSON.parse(line) as ReplayLine);
}

export interface Scored {
  score: number;
  flagged?: boolean;
}

export async function writeScores(file: string, rows: readonly Scored[]): Promise<void> {
  await writeFile(
    file,
    rows.map(({ score, flagged = false }) => `${JSON.stringify({ score, flagged })}\n`).join(""),
  );
}

export interface RankScore {
  auc: number;
  average_precision: number;
  best_f1: number;
  flag_all_f1: number;
  own_alarms: { precision: number; recall: number; false_alarm_rate: number };
  records: number;
  anomalous: number;
}

export async function rankScore(labels: string, scores: string, skip = 0): Promise<RankScore> {
  return JSON.parse(
    await run("python3", [`${scorers}/rank_score.py`, labels, scores, "--skip", String(skip)]),
  );
}

export interface NabScore {
  nab_standard: number;
  windows_found: number;
  windows: number;
  points_flagged: number;
  files: number;
}

export async function nabScore(windows: string, data: string, scores: string): Promise<NabScore> {
  return JSON.parse(await run("python3", [`${scorers}/nab_score.py`, windows, data, scores]));
}
