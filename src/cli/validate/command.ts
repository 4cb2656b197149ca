import { printConfig } from "../../config/print.ts";
import { parseConfigArgs } from "../shared/args.ts";
import { exit, type Io } from "../shared/io.ts";
import { loadWhole } from "../shared/load-whole.ts";

export const help = `Usage: driftlock validate [--config FILE] [--print] [--KEY VALUE]...

Checks the configuration as \`driftlock run\` would read it: file, environment and flags together, with the files that
it names. Prints OK, or every problem with its place and remedy.

  --config FILE  the configuration in YAML
  --print        print the effective configuration, with the source of each value that is no default
`;

export async function run(args: string[], io: Io): Promise<number> {
  const options = parseConfigArgs(args, ["print"]);
  const { config, sources, warnings } = await loadWhole(options, io.env);
  for (const warning of warnings) io.err(`warning: ${warning}\n`);
  io.out(options.switches.has("print") ? printConfig(config, sources) : "OK\n");
  return exit.ok;
}
