/** What a process consumes, and statistics of repeated runs. */
import { readFile } from "node:fs/promises";

/** Ticks per second of the kernel's process times; Linux has had 100 on every architecture since 2.6. */
const ticksPerSecond = 100;

/** CPU seconds that a process has used so far: user and system time of all threads. */
export function cpuSeconds(pid: number): Promise<number> {
  return secondsIn(`/proc/${pid}/stat`);
}

/** CPU seconds of the first thread alone, which runs the event loop in Node. */
export function loopSeconds(pid: number): Promise<number> {
  return secondsIn(`/proc/${pid}/task/${pid}/stat`);
}

async function secondsIn(path: string): Promise<number> {
  const stat = await readFile(path, "utf8");
  // Fields 14 and 15 of proc(5), counted after the command's name, which may contain anything.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
}

/** Largest resident size that a process has had so far, in bytes. */
export async function peakMemory(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)![1]) * 1024;
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
