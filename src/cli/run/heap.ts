import process from "node:process";
import { setFlagsFromString } from "node:v8";

/**
 * Suits V8's heap to a process whose requests are in large buffers outside of the heap and die young, while what lives long is
 * small.
 *
 * Buffers count together with the heap, and both may grow to two and a half times their size before the whole heap is marked. By
 * default V8 marks it whenever about 64 MiB of buffers have been allocated, which is half of a busy sidecar's CPU time. Counted with
 * the heap, they let it grow by a tenth and by the size of the young generation, which requests of 1,000 records do three times per
 * second once the process has been idle and V8 has made the young generation small.
 *
 * The young generation, whose size V8 doubles while a process starts, grows no further, to 128 MiB. It is thus collected often, but
 * never for long, and the buffers of requests are freed soon.
 */
export function suitHeap(): void {
  // Node.js before version 24 does not know the first flag, and would report that on standard error.
  if (Number.parseInt(process.versions.v8, 10) < 13) return;
  setFlagsFromString("--external-memory-accounted-in-global-limit");
  setFlagsFromString("--heap-growing-percent=150");
  setFlagsFromString("--semi-space-growth-factor=1");
}
