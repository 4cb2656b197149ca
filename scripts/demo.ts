/**
 * Runs the sidecar with its live view under the load of `driftlock generate`, for `make run`. The load is sent to the addresses
 * at which the sidecar listens, wherever its configuration moves them. The sidecar forwards to the downstream of its
 * configuration, such as a real Collector, or else to a sink in this process. The arguments are those of `driftlock run`.
 */
import { spawn } from "node:child_process";
import { join } from "node:path";
import process from "node:process";
import pino from "pino";
import { alarmsPerGroup, plan, rate } from "./demo-plan.ts";

const dist = join(import.meta.dirname, "..", "dist");
const { readOptions } = await import(join(dist, "cli/shared/options.js"));
const { dispatch } = await import(join(dist, "cli/commands.js"));
const { urlOf, parseListen, isWildcard } = await import(join(dist, "base/address.js"));
const { loadConfig } = await import(join(dist, "config/load.js"));
const { configSchema } = await import(join(dist, "config/schema.js"));
const { startReceivers } = await import(join(dist, "receive/index.js"));

type Config = import("../src/config/schema.ts").Config;
type Loaded = import("../src/config/load.ts").Loaded;
type Io = import("../src/cli/shared/io.ts").Io;

const args = process.argv.slice(2);
const env: NodeJS.ProcessEnv = { ...process.env };
const loaded = load();
if (!loaded?.sources.has("forward.endpoint")) {
  env.DRIFTLOCK_FORWARD_ENDPOINT = await startSink(loaded?.config.forward.protocol);
}
if (!loaded?.sources.has("detect.budget.per_group_per_day")) {
  env.DRIFTLOCK_DETECT_BUDGET_PER_GROUP_PER_DAY = String(alarmsPerGroup);
}

let stop = () => {};
process.once("exit", () => stop());
const code = await dispatch(["run", "--view", ...args], {
  env,
  out: (text: string) => process.stdout.write(text),
  err: (text: string) => process.stderr.write(text),
  onListening: startLoad,
} satisfies Io);
stop();
process.exit(code);

/** Loads the configuration. Returns undefined if it is invalid, which `run` reports. */
function load(): Loaded | undefined {
  try {
    const { file, flags } = readOptions(args, { switches: ["view", "open"], config: true }).config;
    return loadConfig({ file, env, flags });
  } catch {
    return undefined;
  }
}

/** Starts a receiver that accepts everything. @returns its URL */
async function startSink(protocol: Config["forward"]["protocol"] = "grpc"): Promise<string> {
  const { receive } = configSchema.parse({
    receive: { grpc: { endpoint: "127.0.0.1:0" }, http: { endpoint: "127.0.0.1:0" } },
  });
  const hooks = { log: pino({ level: "silent" }), onRequest() {}, onConnectionRefused() {} };
  const { addresses } = await startReceivers(receive, async () => undefined, hooks);
  return `http://${addresses[protocol]}`;
}

/** Starts the load, over gRPC if that receiver is enabled. */
function startLoad(
  { grpc, http, api }: Partial<Record<"grpc" | "http" | "api", string | undefined>>,
  config: Config,
): void {
  if (api !== undefined) say(`The dashboard is at ${urlOf(api)}/`);
  const bound = grpc ?? http;
  const { tls } = grpc === undefined ? config.receive.http : config.receive.grpc;
  const reason =
    bound === undefined
      ? "no receiver is enabled"
      : config.auth.enabled
        ? "auth.enabled is true, and it has no key"
        : tls?.client_ca_file
          ? "client_ca_file is set, and it has no certificate"
          : undefined;
  if (bound === undefined || reason !== undefined) {
    process.stderr.write(`The demo sends nothing: ${reason}. Send telemetry of your own.\n`);
    return;
  }
  const { host, port } = parseListen(bound);
  // Certificates rarely contain addresses.
  const name = tls ? "localhost" : isWildcard(host) ? "127.0.0.1" : host.includes(":") ? `[${host}]` : host;
  const load = spawn(
    process.execPath,
    [
      join(dist, "cli/main.js"),
      "generate",
      "--endpoint",
      `${tls ? "https" : "http"}://${name}:${port}`,
      "--protocol",
      grpc === undefined ? "http" : "grpc",
      // The address belongs to this machine, whichever it is.
      "--allow-remote",
      "--rate",
      String(rate),
      ...plan.flatMap(({ name, start, seconds }) => ["--anomaly", `${name}@${start}s+${seconds}s`]),
    ],
    {
      stdio: ["ignore", "ignore", "inherit"],
      env: { ...process.env, ...(tls && { NODE_EXTRA_CA_CERTS: tls.cert_file }) },
    },
  );
  const notes = announce();
  stop = () => {
    for (const note of notes) clearTimeout(note);
    load.kill();
  };
}

/** Prints a line. The status line is written again by itself. */
function say(text: string): void {
  process.stdout.write(`${process.stdout.isTTY ? "\r\x1b[2K" : ""}${text}\n`);
}

/** Says what is sent, so that people can compare it with what is found. */
function announce(): NodeJS.Timeout[] {
  const first = Math.min(...plan.map(({ start }) => start));
  say(`The demo sends ${rate} records per second of a shop and learns what is normal for ${first} s.`);
  say(`Then ${plan.length} faults follow, one after another. Ctrl-C ends it.\n`);
  return plan.map(({ name, start, seconds }) =>
    setTimeout(() => say(`--- the demo injects ${name} for ${seconds} s`), start * 1_000),
  );
}
