import { basename, extname } from "node:path";
import { loadConfig } from "../../config/load.ts";
import { ConfigError } from "../../config/problem.ts";
import type { Config } from "../../config/schema.ts";
import { type Signal, signals } from "../../otlp/protocol.ts";
import { UsageError } from "../shared/io.ts";
import { type ConfigOptions, readOptions } from "../shared/options.ts";
import { choice, wholeNumber } from "../shared/values.ts";

export const formats = ["otlp", "lines", "sequences", "csv"] as const;
export type Format = (typeof formats)[number];

export interface ReplayOptions {
  format: Format;
  /** Set for the format `otlp` only. */
  signal: Signal | undefined;
  /** Number of records, or sessions, of the baseline. */
  train: number | undefined;
  progress: boolean;
  /** The path; "-" is standard input. */
  file: string;
  config: ConfigOptions;
}

/** Reads the options of the command. @throws {UsageError} if they are wrong or contradict one another. */
export function parseReplayArgs(args: string[]): ReplayOptions {
  const { values, switches, positionals, config } = readOptions(args, {
    values: ["format", "train", "signal"],
    switches: ["progress"],
    positionals: ["FILE"],
    config: true,
  });
  const format = choice("--format", values.get("format"), formats);
  const signal = values.get("signal");
  if (signal !== undefined && format !== "otlp") {
    throw new UsageError(`--signal is for --format otlp only; the format ${format} has one signal`);
  }
  const train = values.get("train");
  if (train !== undefined && "detect.baseline.records" in config.flags) {
    throw new UsageError("--train and --detect.baseline.records set the same value: leave one out");
  }
  return {
    format,
    signal: format === "otlp" ? choice("--signal", signal, signals) : undefined,
    train: train === undefined ? undefined : wholeNumber("--train", train, 1, 999_999_999),
    progress: switches.has("progress"),
    file: positionals[0]!,
    config,
  };
}

/**
 * Loads the configuration, with a baseline of `records` records.
 * @param what what to name in the error if there are too few or too many, such as "--train"
 * @throws {ConfigError} if the configuration is invalid.
 */
export function configFor(
  { file, flags }: ConfigOptions,
  env: NodeJS.ProcessEnv,
  records?: number,
  what = "--train",
): Config {
  const key = "detect.baseline.records";
  const all = records === undefined ? flags : { ...flags, [key]: String(records) };
  try {
    return loadConfig({ file, env, flags: all }).config;
  } catch (error) {
    if (!(error instanceof ConfigError) || records === undefined) throw error;
    throw new ConfigError(
      error.problems.map((problem) => (problem.key === key ? { ...problem, place: what } : problem)),
    );
  }
}

/** Returns the service.name of a file's records: the name of the file without its extensions. */
export function serviceOf(file: string): string {
  if (file === "-") return "stdin";
  const name = basename(file, ".gz");
  return basename(name, extname(name));
}
