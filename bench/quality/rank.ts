/** Ranking of the labelled inputs by Driftlock and by textbook CBAD. */
import { native } from "../../src/native.ts";
import { type RankScore, type ReplayLine, rankScore, replay, type Scored, writeScores } from "./programs.ts";
import { inputOf, labelsOf, recordLabelsOf, scoresOf, type Task, textOf } from "./task.ts";

export interface Ranked {
  task: Task;
  /** The score by the task's unit. */
  score: RankScore;
  /** The score by record, for planted lines. */
  records?: RankScore;
}

function unitsOf({ window, train }: Task, lines: readonly ReplayLine[]): ReplayLine[] {
  if (window === null) return lines.filter(({ kind }) => kind === "record");
  return lines.filter(({ kind, i }) => kind === "window" && i >= train);
}

export async function rankDriftlock(task: Task): Promise<Ranked> {
  const args = ["--format", task.format, "--train", String(task.train)];
  if (task.format === "otlp") args.splice(2, 2, "--signal", "logs", "--train", String(task.train));
  if (task.window !== null) {
    args.push("--detect.window.records", String(task.window), "--detect.window.hop", String(task.window));
  }
  const lines = await replay([...args, inputOf(task)]);
  const scores = scoresOf(task, "driftlock");
  await writeScores(scores, unitsOf(task, lines));
  const score = await rankScore(labelsOf(task), scores, task.window === null ? task.train : 0);
  if (task.group !== "strange") return { task, score };
  const byRecord = scoresOf(task, "driftlock-records");
  await writeScores(byRecord, unitsOf({ ...task, window: null }, lines));
  return { task, score, records: await rankScore(recordLabelsOf(task), byRecord, task.train) };
}

const baselineLines = 400;
const windowLines = 50;
/** Textbook CBAD flags what is at least this far from its baseline. */
export const threshold = 0.3;

export function ncd(baseline: readonly string[], window: readonly string[]): Scored {
  const bytes = (lines: readonly string[]) => Buffer.from(lines.map((line) => `${line}\n`).join(""));
  const score = native.ncd(bytes(baseline), bytes(window), "zstd");
  return { score, flagged: score >= threshold };
}

/**
 * Computes the NCD between the first 400 lines and each window of 50. Lines have the score of their window; a session
 * is a window.
 */
export async function rankTextbook(task: Task): Promise<Ranked> {
  const text = await textOf(task);
  const baseline = text.slice(0, Math.min(baselineLines, task.train));
  const size = task.format === "sequences" ? 1 : windowLines;
  const rows: Scored[] = [];
  const copies = task.window === null ? size : 1;
  for (let start = task.train; start < text.length; start += size) {
    const window = text.slice(start, start + size);
    if (task.window !== null && window.length < size) break;
    const scored = ncd(baseline, window);
    for (let i = 0; i < Math.min(copies, window.length); i++) rows.push(scored);
  }
  const learned: Scored[] =
    task.window === null ? Array.from({ length: task.train }, () => ({ score: 0 })) : [];
  const scores = scoresOf(task, "textbook");
  await writeScores(scores, [...learned, ...rows]);
  return { task, score: await rankScore(labelsOf(task), scores, task.window === null ? task.train : 0) };
}
