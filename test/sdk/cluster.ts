/** A cluster of two processes, each of which finds its own anomaly. Prints how many processes did. */
import cluster from "node:cluster";
import { once } from "node:events";
import process from "node:process";
import { Driftlock } from "../../src/sdk/index.ts";

if (cluster.isPrimary) {
  const exits = [cluster.fork(), cluster.fork()].map((worker) => once(worker, "exit"));
  const codes = (await Promise.all(exits)).map(([code]) => code);
  console.log(codes.join(" "));
} else {
  let found = 0;
  const driftlock = new Driftlock({ detect: { baseline: { records: 200 } }, onAnomaly: () => found++ });
  for (let i = 0; i < 600; i++) {
    driftlock.text("orders", `order ${(i * 7919) % 10_007} paid in ${(i * 31) % 97} ms`);
  }
  driftlock.text("orders", "ledger refused: fencing token is stale, replay of mandate denied");
  await driftlock.close();
  process.exit(40 + found);
}
