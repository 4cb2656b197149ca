/** Runs some roles of an installation of several processes. */
import { endsWithin } from "../../base/deadline.ts";
import type { Config } from "../../config/schema.ts";
import { type KafkaRole, kafkaRoles } from "../../kafka/index.ts";
import { lineMasking } from "../../privacy/lines.ts";
import { startRoles } from "../../sidecar/index.ts";
import { createLogger } from "../../telemetry/log.ts";
import { exit, type Io, UsageError } from "../shared/io.ts";
import { exitOnUncaught, stopSignal } from "./stop.ts";

function parseRoles(text: string): Set<KafkaRole> {
  const names = text.split(",").map((name) => name.trim());
  const unknown = names.find((name) => !kafkaRoles.some((role) => role === name));
  if (unknown !== undefined) {
    throw new UsageError(
      `--roles must name some of ${kafkaRoles.join(", ")}, has ${unknown || "an empty name"}`,
    );
  }
  return new Set(names as KafkaRole[]);
}

/** @param asked the names of the roles, separated by commas */
export async function runRoles(
  asked: string,
  { config, warnings }: { config: Config; warnings: readonly string[] },
  io: Io,
): Promise<number> {
  const roles = parseRoles(asked);
  if (config.kafka.brokers.length === 0) {
    throw new UsageError(
      "--roles needs brokers through which the processes work together; set kafka.brokers",
    );
  }
  const log = createLogger(config.telemetry, undefined, lineMasking(config.privacy));
  exitOnUncaught(log);
  const stopped = stopSignal(log, io.env);
  const running = await startRoles(config, roles, log);
  log.info({ roles: [...roles], addresses: running.addresses }, "working with other processes through Kafka");
  for (const warning of warnings) log.warn(warning);
  const failure = await Promise.race([
    stopped.then(() => undefined),
    running.failed.catch((error: Error) => error),
  ]);
  if (failure !== undefined)
    log.fatal({ reason: failure.message }, "stopping: an operator must decide how to go on");
  else log.info({ shutdown_timeout_ms: config.shutdown_timeout }, "stopping");
  if (!(await endsWithin(config.shutdown_timeout, running.close()))) {
    log.error("shutdown_timeout leaves too little time; other processes go on from the latest checkpoints");
  }
  return failure === undefined ? exit.ok : exit.failure;
}
