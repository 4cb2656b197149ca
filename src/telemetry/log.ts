import pino, { type DestinationStream, type Logger } from "pino";
import { printableJson } from "../base/printable.ts";
import type { Config } from "../config/schema.ts";

export type { Logger } from "pino";

/** One JSON object a line, on standard output unless told otherwise. */
export function createLogger(config: Config["telemetry"], destination?: DestinationStream): Logger {
  const options: pino.LoggerOptions = {
    level: config.log_level,
    base: { service: config.service_name, environment: config.environment },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
    // What senders write may be in any of its texts.
    hooks: { streamWrite: printableJson },
  };
  return destination === undefined ? pino(options) : pino(options, destination);
}
