/**
 * Whether making evidence slows down ingest: `node bench/evidence.ts [BUNDLES] [ROUNDS] [SECONDS]`. Requests are sent at a fixed
 * rate, without and with bundles being made, in an order that changes from round to round. All bundles of a round are asked for at once. They are about incidents of
 * four real anomalies, with their recordings. The floor is a tenth at p50 and p95.
 */
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { Agent, request } from "node:http";
import { availableParallelism, loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { buffer } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import { create } from "@bufbuild/protobuf";
import { configSchema } from "../src/config/schema.ts";
import { type Incident, IncidentSchema } from "../src/gen/driftlock/v1/incidents_pb.js";
import { openStore } from "../src/store/index.ts";
import { createLogger } from "../src/telemetry/log.ts";
import { verifyBundle } from "../src/verify/index.ts";
import { startDriftlock } from "../test/e2e/driftlock.ts";
import { buildTools, sendLoad, startSink } from "../test/e2e/tools.ts";
import { firstReportsOfShop } from "../test/engine/first-reports.ts";
import { loopSeconds, median } from "./measure.ts";
import { round, table } from "./table.ts";

const [bundles = 1_000, rounds = 5, seconds = 20] = process.argv.slice(2).map(Number);
const floor = 1.1;
/** As in the bench of latency: a tenth of what one core handles. */
const load = ["-rate=10000", "-records=100", "-conns=2", "-inflight=8", `-seconds=${seconds}`];
const perIncident = 4;

/** Stores real anomalies with their recordings, and incidents of them. Resolves to the IDs of the incidents. */
async function fill(data_dir: string): Promise<string[]> {
  const config = configSchema.parse({ data_dir });
  const versions = { version: "bench", node: process.versions.node, codecs: {} };
  const log = createLogger({ ...config.telemetry, log_level: "warn" });
  const store = await openStore(config, { log, versions });
  const reports = await firstReportsOfShop();
  for (const report of reports) store.writer.offer(report);
  await store.writer.flush();
  const incidents: Incident[] = [];
  for (let at = 0; at + perIncident <= reports.length; at += perIncident) {
    const members = reports.slice(at, at + perIncident).map(({ message }) => message);
    const [{ startTimeUnixNano: start }] = members as [(typeof members)[number]];
    incidents.push(
      create(IncidentSchema, {
        id: at.toString(16).padStart(32, "0"),
        tenant: "default",
        revision: 1,
        severity: 3,
        startTimeUnixNano: start,
        endTimeUnixNano: start,
        reportedTimeUnixNano: start,
        score: 6,
        pValue: 1e-6,
        sentence: "payment is slow, and checkout waits for it",
        services: members.map(({ serviceName }) => serviceName),
        members: members.map(({ id, signal, stream, serviceName, channel }) => ({
          signal,
          stream,
          serviceName,
          channel,
          startTimeUnixNano: start,
          endTimeUnixNano: start,
          flagged: 3n,
          anomalyIds: [id],
        })),
        fingerprint: "7c1f0a5be2d94a66",
      }),
    );
  }
  await store.incidents.record({ incidents, changes: [] });
  await store.close();
  return incidents.map(({ id }) => id);
}

const folder = mkdtempSync(join(tmpdir(), "driftlock-bench-"));
try {
  await buildTools();
  const incidents = await fill(folder);
  const sink = await startSink(["-seconds=3600"]);
  const { program, grpc, api } = await startDriftlock({
    data_dir: folder,
    detect: { budget: { per_stream_per_day: 0.01 } },
    forward: { endpoint: `http://${sink.address}`, compression: "none" },
  });
  const agent = new Agent({ maxSockets: 1_000 });
  const ask = async (method: string, path: string, body?: object): Promise<Buffer> => {
    const headers = body === undefined ? {} : { "content-type": "application/json" };
    const asked = request(`http://${api}${path}`, { method, headers, agent });
    asked.end(body && JSON.stringify(body));
    const [answer] = await once(asked, "response");
    const bytes = await buffer(answer);
    if (answer.statusCode >= 300) throw new Error(`${method} ${path}: ${answer.statusCode} ${bytes}`);
    return bytes;
  };
  const measure = async () => {
    const before = await loopSeconds(program.pid);
    const { latency_ms, errors } = await sendLoad(grpc, load);
    if (Object.keys(errors).length > 0) throw new Error(`requests failed: ${JSON.stringify(errors)}`);
    return { ...latency_ms!, loop: ((await loopSeconds(program.pid)) - before) / seconds };
  };
  type Measured = Awaited<ReturnType<typeof measure>>;
  const quiet: Measured[] = [];
  const busy: Measured[] = [];
  let last = "";
  let made = 0;
  await measure();
  const withBundles = async (): Promise<number> => {
    const asked = Array.from({ length: Math.round(bundles / rounds) }, async (_, i) => {
      const answer = await ask("POST", "/v1/evidence", { incident: incidents[i % incidents.length] });
      made += 1;
      last = JSON.parse(answer.toString()).id;
    });
    busy.push(await measure());
    const during = made;
    await Promise.all(asked);
    await sleep(1_000);
    return during;
  };
  const without = async () => quiet.push(await measure());
  for (let n = 0; n < rounds; n++) {
    // What the machine does besides changes slowly: it is as often in the first half of a round as in the second.
    if (n % 2 === 0) await without();
    const during = await withBundles();
    if (n % 2 === 1) await without();
    const load = `load ${loadavg()[0]!.toFixed(1)} on ${availableParallelism()} processors`;
    console.log(`round ${n + 1}: ${during} bundles were made by its end, ${made} in all; ${load}`);
  }
  const file = (await ask("GET", `/v1/evidence/${last}`)).toString();
  const { ok } = await verifyBundle(file);
  const row = (name: string, runs: Measured[]) => ({
    "": name,
    "p50, ms": round(median(runs.map(({ p50 }) => p50))),
    "p95, ms": round(median(runs.map(({ p95 }) => p95))),
    "p99, ms": round(median(runs.map(({ p99 }) => p99))),
    "event loop": round(median(runs.map(({ loop }) => loop))),
  });
  console.log(table([row("without bundles", quiet), row("with bundles", busy)]));
  const ratio = (of: (each: Measured) => number) => median(busy.map((each, i) => of(each) / of(quiet[i]!)));
  const [p50, p95] = [ratio((each) => each.p50), ratio((each) => each.p95)];
  if (loadavg()[2]! > availableParallelism()) {
    console.log("The machine has more to do than it can: its latencies are those of waiting for it.");
  }
  console.log(
    `${made} bundles of ${Math.round(file.length / 1024)} KiB, of which the last one ${ok ? "verifies" : "does NOT verify"}; p50 ${round(p50)}, p95 ${round(p95)} times as long, round by round (floor ${floor})`,
  );
  await program.stop();
  await sink.program.stop();
  if (!ok || p50 > floor || p95 > floor) process.exitCode = 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}
process.exit();
