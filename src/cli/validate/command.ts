import { printConfig } from "../../config/print.ts";
import { helpText } from "../shared/help.ts";
import { exit, type Io } from "../shared/io.ts";
import { loadWhole } from "../shared/load-whole.ts";
import { readOptions } from "../shared/options.ts";

export const help = helpText({
  usage: ["validate [OPTION]..."],
  about: `
Checks the configuration that \`driftlock run\` would use, made of the file, the environment and the options, and reads
the files that it names. Prints OK, or every problem with its place and remedy.`,
  options: [
    ["--print", "print the effective configuration, with the source of each value that is no default"],
  ],
  exit: ["The configuration is valid.", "The configuration is not valid."],
});

export async function run(args: string[], io: Io): Promise<number> {
  const options = readOptions(args, { switches: ["print"], config: true });
  const { config, sources, warnings } = await loadWhole(options, io.env);
  for (const warning of warnings) io.err(`warning: ${warning}\n`);
  io.out(options.switches.has("print") ? printConfig(config, sources) : "OK\n");
  return exit.ok;
}
