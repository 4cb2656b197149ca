/**
 * `make run`: the sidecar with its live view, under the load of `driftlock generate`. What it forwards goes to
 * OTEL_EXPORTER_OTLP_ENDPOINT where that is set, such as a real Collector; else to a sink in here that counts it.
 * Arguments are those of `driftlock run`; a Collector of yours may send to 127.0.0.1:4317 meanwhile.
 */
import { spawn } from "node:child_process";
import { join } from "node:path";
import process from "node:process";
import pino from "pino";

const dist = join(import.meta.dirname, "..", "dist");
const { configSchema } = await import(join(dist, "config/schema.js"));
const { startReceivers } = await import(join(dist, "receive/index.js"));
const { run } = await import(join(dist, "cli/run.js"));

const env: NodeJS.ProcessEnv = { ...process.env };
if (env.OTEL_EXPORTER_OTLP_ENDPOINT === undefined) {
  const { receive } = configSchema.parse({
    receive: { grpc: { endpoint: "127.0.0.1:0" }, http: { enabled: false } },
  });
  const hooks = { log: pino({ level: "silent" }), onRequest() {}, onConnectionRefused() {} };
  const sink = await startReceivers(receive, async () => undefined, hooks);
  env.OTEL_EXPORTER_OTLP_ENDPOINT = `http://${sink.addresses.grpc}`;
}
// A demo learns quickly: half a minute instead of minutes, with coarser limits.
env.DRIFTLOCK_DETECT_BASELINE_RECORDS ??= "300";

const load = spawn(
  process.execPath,
  [join(dist, "cli/main.js"), "generate", "--rate", "600", ...schedule()],
  { stdio: ["ignore", "ignore", "inherit"], env: process.env },
);
const stop = () => load.kill();
process.once("exit", stop);

const code = await run(["--view", ...process.argv.slice(2)], {
  env,
  out: (text: string) => process.stdout.write(text),
  err: (text: string) => process.stderr.write(text),
});
stop();
process.exit(code);

/** Something strange each quarter of a minute, once the streams have learned. */
function schedule(): string[] {
  const kinds = [
    "new-error",
    "latency",
    "secret-leak",
    "burst",
    "error-status",
    "metric-spike",
    "missing-span",
    "new-field",
    "level-shift",
    "silence",
  ];
  return kinds.flatMap((kind, i) => ["--anomaly", `${kind}@${30 + 15 * i}s+8s`]);
}
