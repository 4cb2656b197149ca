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

/** Returns how many more bytes JavaScript and buffers hold after `work` is done and its garbage is collected. */
export async function heldAfter(work: () => Promise<unknown>): Promise<number> {
  const before = held();
  await work();
  return held() - before;
}
