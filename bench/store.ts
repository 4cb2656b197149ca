/**
 * The store under a stream of anomalies: what reaches the disk, and how much that takes of the event loop, which also
 * receives and forwards requests. `node bench/store.ts [RATE] [SECONDS] [URL]`: anomalies per second; the URL of a
 * PostgreSQL.
 */

import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { monitorEventLoopDelay } from "node:perf_hooks";
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { create } from "@bufbuild/protobuf";
import { encodeReport } from "../src/anomaly/report.ts";
import { configSchema } from "../src/config/schema.ts";
import { type Anomaly, AnomalySchema } from "../src/gen/driftlock/v1/anomaly_pb.js";
import { anomalySink, openStore } from "../src/store/index.ts";
import { createLogger } from "../src/telemetry/log.ts";

const rate = Number(process.argv[2] ?? 2_000);
const seconds = Number(process.argv[3] ?? 10);
const url = process.argv[4];

const excerpt = randomBytes(1_500);
const filler = "upstream request timed out after the third attempt ".repeat(6);

/** Builds an anomaly as the engine reports it: three of four are new and carry excerpts, the others grow. */
function anomaly(n: number): Anomaly {
  const grows = n % 4 === 3;
  const subject = grows ? n - 3 : n;
  const start = 1_770_000_000_000_000_000n + BigInt(subject) * 1_000_000n;
  return create(AnomalySchema, {
    id: subject.toString(16).padStart(32, "0"),
    tenant: `tenant-${subject % 3}`,
    signal: 0,
    stream: `logs service.name=service-${subject % 40}`,
    serviceName: `service-${subject % 40}`,
    channel: 1,
    severity: 1 + (n % 4),
    score: 30 + (n % 50),
    limit: 20,
    pValue: 0.0001,
    surpriseBits: 200,
    baselineBits: 12,
    occurrence: grows ? 2n : 1n,
    explanation:
      "12 bytes of this record are in no record of the baseline; they cost 96 bits; score 1.50 against a limit of 1.00",
    record: { text: `${n} ${filler}`, novel: [{ start: 0, end: 8 }], index: n % 500 },
    startTimeUnixNano: start,
    endTimeUnixNano: start,
    timeUnixNano: start,
    window: { records: 256, rawBytes: 60_000n, codec: "zstd", ncd: 0.8, permutations: 199 },
    ...(grows ? {} : { excerpts: { baseline: excerpt, window: excerpt } }),
  });
}

const folder = mkdtempSync(join(tmpdir(), "driftlock-bench-"));
const config = configSchema.parse({ data_dir: folder, store: url ? { url } : {} });
const log = createLogger({ ...config.telemetry, log_level: "warn" });
const store = await openStore(config, {
  log,
  versions: { version: "bench", node: process.versions.node, codecs: {} },
});
try {
  const sink = anomalySink(store);
  const delay = monitorEventLoopDelay({ resolution: 1 });
  const reports = Array.from({ length: rate * seconds }, (_, n) => encodeReport(anomaly(n)));
  await sleep(200);
  delay.enable();
  const cpu = process.threadCpuUsage();
  const all = process.cpuUsage();
  const start = performance.now();
  // Anomalies arrive as many at a time as one request has, every 10 ms.
  for (let given = 0; given < reports.length; ) {
    const due = Math.min(reports.length, Math.ceil(((performance.now() - start) / 1e3) * rate));
    for (; given < due; given++) sink(reports[given]!);
    await sleep(10);
  }
  await store.writer.flush();
  const elapsed = (performance.now() - start) / 1e3;
  delay.disable();
  const used = process.threadCpuUsage(cpu);
  const whole = process.cpuUsage(all);
  const { written, dropped, rejected } = store.writer.state();
  console.log(
    JSON.stringify({
      database: store.kind,
      offered_per_second: rate,
      written_per_second: Math.round(written / elapsed),
      dropped,
      rejected,
      event_loop_share: +((used.user + used.system) / 1e6 / elapsed).toFixed(3),
      event_loop_us_per_anomaly: +((used.user + used.system) / written).toFixed(1),
      process_us_per_anomaly: +((whole.user + whole.system) / written).toFixed(1),
      loop_delay_ms: {
        p50: delay.percentile(50) / 1e6,
        p99: delay.percentile(99) / 1e6,
        max: delay.max / 1e6,
      },
    }),
  );

  // A batch of 500 is written directly.
  const batch = Array.from({ length: 500 }, (_, n) => anomaly(10_000_000 + n));
  delay.reset();
  delay.enable();
  const before = performance.now();
  await store.anomalies.record(batch);
  const took = performance.now() - before;
  delay.disable();
  console.log(
    JSON.stringify({
      batch: 500,
      took_ms: +took.toFixed(1),
      longest_block_ms: +(delay.max / 1e6).toFixed(1),
    }),
  );
} finally {
  await store.close();
  rmSync(folder, { recursive: true, force: true });
}
