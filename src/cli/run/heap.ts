import { PerformanceObserver } from "node:perf_hooks";
import process from "node:process";
import { getHeapSpaceStatistics, setFlagsFromString } from "node:v8";

/** Size of both halves of the young generation together, in bytes. */
const youngSize = 8 * 2 ** 20;

/** Size with which V8 begins. Its second half is there only after the first collection. */
const initialSize = 2 * 2 ** 20;

/**
 * Suits V8's heap to a process whose requests are in large buffers outside of the heap and die young, while what lives long is
 * small. Call it before most of the process is loaded, and before compiled code is cached.
 *
 * Buffers count together with the heap, and both may grow by three fifths before the whole heap is marked. By default V8 marks it
 * whenever about 64 MiB of buffers have been allocated, which is half of a busy sidecar's CPU time. Counted with the heap, they let
 * it grow by a tenth and by the size of the young generation, which requests of 1,000 records do three times per second.
 *
 * The young generation is kept at one size. V8 doubles it while a process starts, to 32 MiB and then to 96, and makes it small while
 * the process is idle, so that resident memory depended on what had happened before. What the network reads is freed when the young
 * generation is collected: with 8 MiB, that is several times per second under load, in a millisecond or two each.
 */
export function suitHeap(): void {
  // Node.js before version 24 does not know the first flag, and would report that on standard error.
  if (Number.parseInt(process.versions.v8, 10) < 13) return;
  setFlagsFromString("--external-memory-accounted-in-global-limit");
  setFlagsFromString("--heap-growing-percent=60");
  growYoung();
  new PerformanceObserver(limitGrowth).observe({ entryTypes: ["gc"] });
  // Compiled code is written to its cache at the end, with a hash of the flags that have to be the same at the next start.
  process.once("exit", () => setGrowth(1));
}

function currentYoungSize(): number {
  return getHeapSpaceStatistics().find(({ space_name }) => space_name === "new_space")!.space_size;
}

/** Lets the young generation grow to its size at once, and no further. V8 has no other way to set it once the process runs. */
function limitGrowth(): void {
  setGrowth(Math.max(1, Math.floor(youngSize / Math.max(initialSize, currentYoungSize()))));
}

/** Sets how many times larger the young generation may become at once. */
function setGrowth(factor: number): void {
  setFlagsFromString(`--semi-space-growth-factor=${factor}`);
}

/** V8 lets the young generation grow when enough of it has survived collections: that is seen to here. */
function growYoung(): void {
  const surviving: unknown[] = [];
  limitGrowth();
  for (let kib = 0; kib < 4 * 1_024 && currentYoungSize() < youngSize; kib += 64) {
    for (let i = 0; i < 64; i++) surviving.push(new Array(128).fill(i));
  }
  setGrowth(1);
}
