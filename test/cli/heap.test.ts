/** The young generation of a process that runs the sidecar. */
import { execFileSync } from "node:child_process";
import process from "node:process";
import { expect, test } from "vitest";

const heap = new URL("../../src/cli/run/heap.ts", import.meta.url);

/** Much survives the first collections, as it does while a process loads, after which V8 would double the young generation. */
const program = `
  import { setTimeout as sleep } from "node:timers/promises";
  import { getHeapSpaceStatistics } from "node:v8";
  const { suitHeap } = await import(${JSON.stringify(heap.href)});
  const size = () => getHeapSpaceStatistics().find(({ space_name }) => space_name === "new_space").space_size;
  suitHeap();
  const sizes = [size()];
  const kept = [];
  for (let round = 0; round < 10; round++) {
    for (let i = 0; i < 8_192; i++) kept.push(new Array(128).fill(i));
    await sleep(10);
    sizes.push(size());
  }
  console.log(JSON.stringify(sizes));
`;

test.skipIf(Number.parseInt(process.versions.v8, 10) < 13)(
  "has its size from the start, and keeps it however much survives",
  () => {
    const args = ["--disable-warning=ExperimentalWarning", "--input-type=module", "--eval", program];
    const sizes = JSON.parse(execFileSync(process.execPath, args, { encoding: "utf8" }));
    expect(new Set(sizes)).toEqual(new Set([8 * 2 ** 20]));
  },
);
