import pino, { type DestinationStream, type Logger } from "pino";
import { printableJson } from "../base/printable.ts";
import type { Config } from "../config/schema.ts";

export type { Logger } from "pino";

/**
 * Creates a logger that writes one JSON object per line, to standard output by default.
 * @param mask replaces personal and secret values in a line
 */
export function createLogger(
  config: Config["telemetry"],
  destination?: DestinationStream,
  mask: (line: string) => string = (line) => line,
): Logger {
  const options: pino.LoggerOptions = {
    level: config.log_level,
    base: { service: config.service_name, environment: config.environment },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
    // Any text of a log line may contain what senders wrote.
    hooks: { streamWrite: (line) => printableJson(mask(line)) },
  };
  return destination === undefined ? pino(options) : pino(options, destination);
}
