import { join } from "node:path";
import process from "node:process";
import pino from "pino";
import type { AnomalySink } from "../../anomaly/report.ts";
import type { Config } from "../../config/schema.ts";
import { makeDataDir } from "../../data-dir/make.ts";
import { lineMasking } from "../../privacy/lines.ts";
import { type IncidentSink, type Sidecar, startSidecar } from "../../sidecar/index.ts";
import { anomalyLog } from "../../telemetry/anomaly-log.ts";
import { incidentLog } from "../../telemetry/incident-log.ts";
import { createLogger, type Logger } from "../../telemetry/log.ts";
import { helpText } from "../shared/help.ts";
import { exit, type Io } from "../shared/io.ts";
import { loadWhole } from "../shared/load-whole.ts";
import { readOptions } from "../shared/options.ts";
import { createView } from "../terminal/view.ts";
import { openDashboard } from "./open-dashboard.ts";
import { runRoles } from "./roles.ts";
import { exitOnUncaught, stopSignal } from "./stop.ts";

export const help = helpText({
  usage: ["run [OPTION]..."],
  about: `
Receives OTLP data, judges it and forwards it until SIGTERM or SIGINT arrives. Then it accepts no more requests and
delivers what it has accepted, for up to shutdown_timeout; a second signal ends the process at once. Logs are JSON lines
on standard output.

Every key of the configuration is an option, such as --receive.grpc.endpoint 127.0.0.1:4317, and an environment variable,
such as DRIFTLOCK_RECEIVE_GRPC_ENDPOINT. Options override variables, which override the file.
OTEL_EXPORTER_OTLP_ENDPOINT, _PROTOCOL, _HEADERS and related variables describe the downstream; OTEL_SERVICE_NAME,
OTEL_ENV and PORT are read as well. \`driftlock validate --print\` prints all keys with their values.`,
  options: [
    ["--view", "show in the terminal what is flagged and why; logs go to driftlock.log in data_dir"],
    [
      "--roles ROLES",
      "what this process does of an installation of several, separated by commas: router, worker, forward, sink, api; needs kafka.brokers",
    ],
    ["--open", "open the dashboard in the browser"],
  ],
  exit: ["It was stopped, and everything was delivered or is on disk.", "Anything else ended it."],
});

function announce(log: Logger, config: Config, { addresses }: Sidecar): void {
  const { forward, detect } = config;
  const listening = Object.entries(addresses)
    .filter(([, address]) => address !== undefined)
    .map(([name, address]) => `${name} ${address}`);
  log.info(
    {
      addresses,
      downstream: { endpoint: forward.endpoint, protocol: forward.protocol, mode: forward.mode },
      detect: detect.enabled,
    },
    `listening on ${listening.join(", ")}; forwarding ${forward.mode} by ${forward.protocol} to ${forward.endpoint}`,
  );
}

/** Shows incidents, anomalies and a status line that is updated every second. Logs go to a file instead. */
function watch(config: Config): {
  log: Logger;
  onAnomaly: AnomalySink;
  onIncident: IncidentSink;
  start(sidecar: Sidecar): () => void;
} {
  makeDataDir(config.data_dir);
  const log = createLogger(
    config.telemetry,
    pino.destination(join(config.data_dir, "driftlock.log")),
    lineMasking(config.privacy),
  );
  const view = createView(process.stdout);
  const start = (sidecar: Sidecar) => {
    let before = { records: 0, at: performance.now() };
    const timer = setInterval(() => {
      const { records, ...stats } = sidecar.stats();
      const now = { records, at: performance.now() };
      const recordsPerSecond = ((now.records - before.records) / (now.at - before.at)) * 1_000;
      view.tick({ ...stats, recordsPerSecond });
      before = now;
    }, 1_000);
    return () => {
      clearInterval(timer);
      view.close();
    };
  };
  return { log, onAnomaly: ({ message }) => view.anomaly(message), onIncident: view.incident, start };
}

export async function run(args: string[], io: Io): Promise<number> {
  const options = readOptions(args, { switches: ["view", "open"], values: ["roles"] });
  const { config, warnings } = await loadWhole(options, io.env);
  const roles = options.values.get("roles");
  if (roles !== undefined) return runRoles(roles, { config, warnings }, io);
  const watched = options.switches.has("view") ? watch(config) : undefined;
  const log = watched?.log ?? createLogger(config.telemetry, undefined, lineMasking(config.privacy));
  exitOnUncaught(log);
  const stopped = stopSignal(log, io.env);
  const onAnomaly = [anomalyLog(log), ...(watched ? [watched.onAnomaly] : [])];
  const onIncident = [incidentLog(log), ...(watched ? [watched.onIncident] : [])];
  const sidecar = await startSidecar(config, { log, onAnomaly, onIncident });
  const unwatch = watched?.start(sidecar);
  announce(log, config, sidecar);
  io.onListening?.(sidecar.addresses, config);
  if (options.switches.has("open")) openDashboard(sidecar.addresses.api, log);
  for (const warning of warnings) log.warn(warning);
  if (config.receive.kafka.topics.length > 0)
    log.warn("receive.kafka.topics: one process alone does not read topics; start it with --roles");
  if (!config.detect.enabled)
    log.warn("detect.enabled is false: requests are forwarded without being judged");

  const signal = await stopped;
  unwatch?.();
  log.info(
    { signal, shutdown_timeout_ms: config.shutdown_timeout },
    "stopping: delivering the accepted requests",
  );
  const { storedBytes, displacedBytes, ...undelivered } = await sidecar.close();
  if (undelivered.requests > 0) {
    log.error({ undelivered }, "stopped with undelivered requests; their senders have received errors");
    return exit.failure;
  }
  if (displacedBytes > 0) {
    log.error(
      { bytes: displacedBytes },
      "stopped; undelivered requests are lost unless data_dir, which was removed or replaced, is restored",
    );
    return exit.failure;
  }
  if (storedBytes > 0)
    log.info(
      { bytes: storedBytes },
      "stopped; undelivered requests are on disk and will be delivered after the next start",
    );
  else log.info("stopped; all accepted requests were delivered");
  return exit.ok;
}
