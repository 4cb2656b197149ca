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
  /** Of `otlp`. */
  signal: Signal | undefined;
  /** Records, or sessions, of the baseline. */
  train: number | undefined;
  progress: boolean;
  /** "-" for standard input. */
  file: string;
  config: ConfigOptions;
}

/** @throws {UsageError} */
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
    throw new UsageError(`--signal is for --format otlp; ${format} says itself what it is`);
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
 * The configuration, with a baseline of so many records.
 * @param what to blame where there are too few or too many, such as "--train".
 * @throws {ConfigError}
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

/** The service that a file's records are said to come from: the file's name without its ending, packed or not. */
export function serviceOf(file: string): string {
  if (file === "-") return "stdin";
  const name = basename(file, ".gz");
  return basename(name, extname(name));
}
