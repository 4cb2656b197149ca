import { readlinkSync } from "node:fs";
import { getPriority, setPriority } from "node:os";

/**
 * Lowers the priority of the calling thread, so that requests come first if processors are busy. On Linux each thread has its
 * own priority.
 */
export function makeWay(): void {
  try {
    const thread = Number(readlinkSync("/proc/thread-self").split("/").at(-1));
    setPriority(thread, Math.min(19, getPriority(thread) + 10));
  } catch {
    // Other systems have no priorities of threads.
  }
}
