/** One labelled input on disk: every detector, ours and the peers', reads the same files. */
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { built } from "./places.ts";

/** Groups of tasks; the result of a group is the mean over its sets of the mean over their tasks. */
export type Group = "lines" | "sequences" | "strange" | "burst" | "stop";

export interface Task {
  name: string;
  group: Group;
  /** The data set: tasks of one set differ in what was planted where. */
  set: string;
  format: "lines" | "sequences" | "otlp";
  /** The number of lines or sessions to learn from. */
  train: number;
  /** The unit of a label: null for a line or session, or the number of lines in a window. */
  window: number | null;
}

/** The files of a task: each line, and the whole record if the set has more than text. */
export interface TaskFiles {
  /** The input of `driftlock replay`. */
  input: Buffer;
  /** The same input as text, one record per line. */
  text: string[];
  /** A label is 1 for a line that belongs to an anomaly. */
  labels: number[];
}

const folder = `${built}/tasks`;

export const inputOf = ({ name, format }: Task): string => `${folder}/${name}/input.${format}`;
export const labelsOf = ({ name }: Task): string => `${folder}/${name}/labels`;
export const scoresOf = ({ name }: Task, detector: string): string => `${folder}/${name}/${detector}.jsonl`;

export async function textOf({ name }: Task): Promise<string[]> {
  return (await readFile(`${folder}/${name}/text`, "utf8")).split("\n").slice(0, -1);
}

export async function clearTasks(): Promise<void> {
  await rm(folder, { recursive: true, force: true });
}

/**
 * Writes the task's files. Labels are written per unit of judgement; those of windows begin after the training part.
 */
export async function writeTask(task: Task, { input, text, labels }: TaskFiles): Promise<Task> {
  await mkdir(`${folder}/${task.name}`, { recursive: true });
  const lines = (values: readonly unknown[]) => values.map((value) => `${value}\n`).join("");
  await writeFile(inputOf(task), input);
  await writeFile(`${folder}/${task.name}/text`, lines(text));
  await writeFile(labelsOf(task), lines(task.window === null ? labels : windowLabels(labels, task)));
  await writeFile(`${folder}/${task.name}/record-labels`, lines(labels));
  await writeFile(`${folder}/${task.name}/task.json`, `${JSON.stringify(task, null, 2)}\n`);
  return task;
}

export const recordLabelsOf = ({ name }: Task): string => `${folder}/${name}/record-labels`;

/**
 * Labels windows: a window is anomalous if one of its lines is. Windows are consecutive and follow the training part.
 */
export function windowLabels(labels: readonly number[], { train, window }: Task): number[] {
  const out: number[] = [];
  for (let end = train + window!; end <= labels.length; end += window!) {
    out.push(Math.max(...labels.slice(end - window!, end)));
  }
  return out;
}

export async function listTasks(): Promise<Task[]> {
  const names = (await readdir(folder)).sort();
  return Promise.all(
    names.map(async (name) => JSON.parse(await readFile(`${folder}/${name}/task.json`, "utf8")) as Task),
  );
}
