/**
 * The sidecar, and in its process a store that receives reports of anomalies at a rate that the parent sets: as the
 * engine makes them, and decoded where the sidecar decodes them. `node bench/storing-sidecar.ts DOWNSTREAM FOLDER`, by
 * fork.
 */
import { join } from "node:path";
import process from "node:process";
import { decodeReport } from "../src/anomaly/report.ts";
import { configSchema } from "../src/config/schema.ts";
import { startSidecar } from "../src/sidecar/index.ts";
import { anomalySink, openStore } from "../src/store/index.ts";
import { createLogger } from "../src/telemetry/log.ts";
import { endOf, firstReports, Template } from "./storing-reports.ts";

export interface StoreState {
  written: number;
  dropped: number;
  queued: number;
}

const [downstream, folder] = process.argv.slice(2);
const any = { endpoint: "127.0.0.1:0" };
const config = configSchema.parse({
  receive: { grpc: any, http: any },
  api: { enabled: false },
  forward: { endpoint: downstream, compression: "none" },
  data_dir: join(folder!, "sidecar"),
});
const log = createLogger({ ...config.telemetry, log_level: "warn" });
const versions = { version: "bench", node: process.versions.node, codecs: {} };
const store = await openStore({ ...config, data_dir: join(folder!, "store") }, { log, versions });
const sink = anomalySink(store);
const reports = await firstReports();
const firsts = reports.map((report) => new Template(report));
const ends = reports.map((report) => new Template(endOf(report)));
const sidecar = await startSidecar(config, { log });

/**
 * The largest number of open anomalies; only the start of each is kept. No object is kept for one: nor does the sidecar
 * keep any.
 */
const mostOpen = 5_000;
const beganAt = new Float64Array(mostOpen);

let given = 0;
let feeding: NodeJS.Timeout | undefined;
function feed(rate: number): void {
  clearInterval(feeding);
  if (rate === 0) return;
  const [start, before] = [performance.now(), given];
  feeding = setInterval(() => {
    const due = before + Math.ceil(((performance.now() - start) / 1e3) * rate);
    for (const now = Date.now(); given < due; given++) {
      const slot = given % mostOpen;
      const ended = given - mostOpen;
      if (ended >= 0) sink(decodeReport(ends[ended % ends.length]!.of(ended, beganAt[slot]!)));
      sink(decodeReport(firsts[given % firsts.length]!.of(given, now)));
      beganAt[slot] = now;
    }
  }, 10);
}

process.on("message", (rate: number) => {
  feed(rate);
  const { written, dropped, queued } = store.writer.state();
  process.send!({ written, dropped, queued } satisfies StoreState);
});
process.once("disconnect", async () => {
  await sidecar.close();
  await store.close();
  process.exit();
});
process.send!({
  address: sidecar.addresses.grpc,
  bytes: firsts.reduce((sum, { length }) => sum + length, 0) / firsts.length,
});
