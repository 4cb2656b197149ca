/** NAB's files, each replayed once. */
import { mkdir, readFile } from "node:fs/promises";
import { dirname } from "node:path";
import { parallel } from "./parallel.ts";
import { built, data } from "./places.ts";
import { type NabScore, nabScore, replay, type Scored, writeScores } from "./programs.ts";
import { ncd } from "./rank.ts";

export interface NabResult extends NabScore {
  /** The number of alarms that Driftlock raised. */
  alarms: number;
  /** The number of alarms within a labelled window. */
  rightAlarms: number;
  /** The number of labelled windows with an alarm. */
  foundByAlarms: number;
  days: number;
}

const folder = `${data}/nab`;
const windowsFile = `${folder}/windows.json`;
/** Flags that follow one another within this time count as one alarm. */
const quietMs = 300_000;

type Windows = Record<string, [string, string][]>;

interface Point {
  time: number;
  text: string;
}

const utc = (text: string) => Date.parse(`${text.slice(0, 19).replace(" ", "T")}Z`);

async function points(name: string): Promise<Point[]> {
  const rows = (await readFile(`${folder}/data/${name}`, "utf8")).trim().split("\n").slice(1);
  return rows.map((row) => ({ time: utc(row), text: row.slice(row.indexOf(",") + 1).trim() }));
}

async function run(detector: string, score: (name: string) => Promise<Scored[]>): Promise<NabResult> {
  const windows = JSON.parse(await readFile(windowsFile, "utf8")) as Windows;
  const scores = `${built}/nab/${detector}`;
  const totals = { alarms: 0, rightAlarms: 0, foundByAlarms: 0, days: 0 };
  await parallel(Object.keys(windows), 2, async (name) => {
    const rows = await score(name);
    const file = `${scores}/${name.replace(/\.csv$/, ".jsonl")}`;
    await mkdir(dirname(file), { recursive: true });
    await writeScores(file, rows);
    const times = (await points(name)).map(({ time }) => time);
    const spans = windows[name]!.map(([from, to]) => ({ from: utc(from), to: utc(to), found: false }));
    let last = Number.NEGATIVE_INFINITY;
    times.forEach((time, i) => {
      if (!rows[i]!.flagged) return;
      const span = spans.find(({ from, to }) => from <= time && time <= to);
      if (span) span.found = true;
      if (time > last + quietMs) {
        totals.alarms++;
        if (span) totals.rightAlarms++;
      }
      last = time;
    });
    totals.foundByAlarms += spans.filter(({ found }) => found).length;
    totals.days += (times.at(-1)! - times[0]!) / 86_400_000;
  });
  return { ...(await nabScore(windowsFile, `${folder}/data`, scores)), ...totals };
}

export function nabDriftlock(): Promise<NabResult> {
  return run("driftlock", async (name) => {
    const lines = await replay(["--format", "csv", `${folder}/data/${name}`]);
    return lines.filter(({ kind }) => kind === "record");
  });
}

/** Computes the NCD between the first 400 values as text and the latest 50. */
export function nabTextbook(): Promise<NabResult> {
  return run("textbook", async (name) => {
    const text = (await points(name)).map(({ text }) => text);
    const baseline = text.slice(0, 400);
    return text.map((_, i) => (i < 449 ? { score: 0 } : ncd(baseline, text.slice(i - 49, i + 1))));
  });
}
