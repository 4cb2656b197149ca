/**
 * The sidecar, and in its process a store to which reports of anomalies go at a rate that the parent tells: as the engine
 * gives them, decoded where the sidecar decodes them. `node bench/storing-sidecar.ts DOWNSTREAM FOLDER`, by fork.
 */
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import process from "node:process";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { configSchema } from "../src/config/schema.ts";
import { Engine } from "../src/engine/index.ts";
import { decodeAnomaly } from "../src/engine/message.ts";
import { type Anomaly, AnomalySchema, State } from "../src/gen/driftlock/v1/anomaly_pb.js";
import { ExportLogsServiceRequestSchema } from "../src/gen/opentelemetry/proto/collector/logs/v1/logs_service_pb.js";
import { startSidecar } from "../src/sidecar.ts";
import { anomalySink, openStore } from "../src/store/index.ts";
import { createLogger } from "../src/telemetry/log.ts";

export interface StoreState {
  written: number;
  dropped: number;
  queued: number;
}

const stringValue = (value: string) => ({ value: { case: "stringValue" as const, value } });

function request(service: string, lines: string[], first: number): Buffer {
  const resource = { attributes: [{ key: "service.name", value: stringValue(service) }] };
  // So far apart that the anomaly before is over.
  const logRecords = lines.map((line, i) => ({
    timeUnixNano: 1_767_225_600_000_000_000n + BigInt(first + i) * 200_000_000_000n,
    body: stringValue(line),
  }));
  const message = create(ExportLogsServiceRequestSchema, {
    resourceLogs: [{ resource, scopeLogs: [{ logRecords }] }],
  });
  return Buffer.from(toBinary(ExportLogsServiceRequestSchema, message));
}

const normal = (n: number) =>
  [
    `GET /cart/${n} 200 in ${n % 90} ms`,
    `payment ${n * 7919} accepted for order ${n}`,
    `session ${n * 31} of user ${n % 500} renewed`,
  ][n % 3]!;
const strange = () => Array.from({ length: 12 }, () => randomBytes(6).toString("hex")).join(" ");

/** First reports of distinct anomalies, with their excerpts and window figures, as the engine makes them. */
async function reports(): Promise<Buffer[]> {
  const detect = { baseline: { records: 200 }, budget: { per_stream_per_day: 1_000 } };
  const engine = new Engine(configSchema.parse({ detect }).detect, { mode: "all" });
  const found: Anomaly[] = [];
  for (let service = 0; service < 10; service++) {
    const name = `service-${service}`;
    const learned = Array.from({ length: 500 }, (_, i) => normal(i));
    const judged = Array.from({ length: 100 }, (_, i) => (i % 2 ? normal(i) : strange()));
    await engine.process("logs", "default", request(name, learned, 0));
    found.push(...(await engine.process("logs", "default", request(name, judged, 500))).anomalies);
  }
  await engine.close();
  const firsts = found.filter(({ state, occurrence }) => state === State.OPEN && occurrence === 1n);
  return firsts.map((anomaly) => Buffer.from(toBinary(AnomalySchema, anomaly)));
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
const templates = await reports();
const sidecar = await startSidecar(config, { log });

/** What says that an anomaly is over, as the engine has it. */
function endOf({ id, tenant, stream, serviceName, signal, channel, startTimeUnixNano }: Anomaly): Anomaly {
  const endTimeUnixNano = startTimeUnixNano + 300_000_000_000n;
  const explanation = "over: nothing was flagged for 300 s";
  const named = { id, tenant, stream, serviceName, signal, channel, explanation, state: State.ENDED };
  return create(AnomalySchema, { ...named, occurrence: 1n, startTimeUnixNano, endTimeUnixNano });
}

/** Anomalies that are open, oldest first; so many are. */
const open: Anomaly[] = [];
const mostOpen = 5_000;

const idAt = templates.map((bytes) => Buffer.from(bytes).indexOf(fromBinary(AnomalySchema, bytes).id));

let given = 0;
let feeding: NodeJS.Timeout | undefined;
function feed(rate: number): void {
  clearInterval(feeding);
  if (rate === 0) return;
  const [start, before] = [performance.now(), given];
  feeding = setInterval(() => {
    const due = before + Math.ceil(((performance.now() - start) / 1e3) * rate);
    for (; given < due; given++) {
      // Another id in the bytes that the engine gave: all that follows costs what it costs in the sidecar.
      const bytes = Buffer.from(templates[given % templates.length]!);
      bytes.write(randomBytes(16).toString("hex"), idAt[given % templates.length]!, "latin1");
      const anomaly = decodeAnomaly(bytes);
      sink(anomaly);
      open.push(anomaly);
      if (open.length > mostOpen) sink(endOf(open.shift()!));
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
  bytes: templates.reduce((sum, b) => sum + b.length, 0) / templates.length,
});
