import { printConfig } from "../../config/print.ts";
import type { Config } from "../../config/schema.ts";
import { Reporting } from "../../evidence/reports/index.ts";
import { checkTopics } from "../../kafka/index.ts";
import { helpText } from "../shared/help.ts";
import { exit, type Io, UsageError } from "../shared/io.ts";
import { loadWhole } from "../shared/load-whole.ts";
import { readOptions } from "../shared/options.ts";

export const help = helpText({
  usage: ["validate [OPTION]..."],
  about: `
Checks the configuration that \`driftlock run\` would use, made of the file, the environment and the options, and reads
the files that it names. Prints OK, or every problem with its place and remedy.`,
  options: [
    ["--topics", "also check the topics on kafka.brokers"],
    ["--print", "print the effective configuration, with the source of each value that is no default"],
  ],
  exit: ["The configuration is valid.", "The configuration is not valid."],
});

/** @throws {Error} with what is wrong with the topics. */
async function checkedTopics(config: Config): Promise<void> {
  if (config.kafka.brokers.length === 0) throw new UsageError("--topics needs kafka.brokers");
  const faults = await checkTopics(config);
  if (faults.length > 0) throw new Error(faults.join("\n"));
}

export async function run(args: string[], io: Io): Promise<number> {
  const options = readOptions(args, { switches: ["print", "topics"] });
  const { config, sources, warnings } = await loadWhole(options, io.env);
  await Reporting.load(config);
  if (options.switches.has("topics")) await checkedTopics(config);
  for (const warning of warnings) io.err(`warning: ${warning}\n`);
  io.out(options.switches.has("print") ? printConfig(config, sources) : "OK\n");
  return exit.ok;
}
