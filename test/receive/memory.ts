import process from "node:process";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

function held(): number {
  collect();
  collect();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

/** Bytes that JavaScript and buffers hold more once `work` is done, and what it dropped is collected. */
export async function heldAfter(work: () => Promise<unknown>): Promise<number> {
  const before = held();
  await work();
  return held() - before;
}
