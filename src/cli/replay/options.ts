import { loadConfig } from "../../config/load.ts";
import { ConfigError } from "../../config/problem.ts";
import type { Config } from "../../config/schema.ts";
import { type Format, formatOf } from "../recording/format.ts";
import { UsageError } from "../shared/io.ts";
import { readOptions } from "../shared/options.ts";
import type { ConfigOptions } from "../shared/parse-options.ts";
import { number, wholeNumber } from "../shared/values.ts";

export interface ReplayOptions {
  format: Format;
  /** Number of records, or sessions, of the baseline. */
  train: number | undefined;
  /** Number of records per second of a stream whose records carry no times. */
  rate: number | undefined;
  /** The file with what streams have learned before; undefined if they begin without. */
  load: string | undefined;
  /** The file that receives what streams have learned at the end. */
  save: string | undefined;
  /** Whether to print incidents instead of records. */
  incidents: boolean;
  progress: boolean;
  /** The path; "-" is standard input. */
  file: string;
  config: ConfigOptions;
}

/** Reads the options of the command. @throws {UsageError} if they are wrong or contradict one another. */
export function parseReplayArgs(args: string[]): ReplayOptions {
  const { values, switches, positionals, config } = readOptions(args, {
    values: ["format", "train", "signal", "rate", "load", "save"],
    switches: ["incidents", "progress"],
    positionals: ["FILE"],
  });
  const format = formatOf(values, positionals[0]);
  const train = values.get("train");
  const rate = values.get("rate");
  if (train !== undefined && "detect.baseline.records" in config.flags) {
    throw new UsageError("--train and --detect.baseline.records set the same value: leave one out");
  }
  return {
    format,
    train: train === undefined ? undefined : wholeNumber("--train", train, 1, 999_999_999),
    rate: rate === undefined ? undefined : number("--rate", rate, 1e-5, 1e6),
    load: values.get("load"),
    save: values.get("save"),
    incidents: switches.has("incidents"),
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
