import { missingFiles } from "../../config/check.ts";
import { type Loaded, loadConfig } from "../../config/load.ts";
import { ConfigError, type Problem } from "../../config/problem.ts";
import type { Config } from "../../config/schema.ts";
import { checkForward } from "../../forward/index.ts";
import { checkReceive } from "../../receive/index.ts";
import type { Options } from "./options.ts";

/** A room's own complaint, `key: what is wrong`, as a problem. */
function asProblem(line: string): Problem {
  const at = line.indexOf(": ");
  return { key: line.slice(0, at), message: line.slice(at + 2) };
}

/** What receivers and forwarder would refuse to start with. */
function startProblems({ receive, forward }: Config): Problem[] {
  return [...checkForward(forward), ...checkReceive(receive)].map(asProblem);
}

/**
 * The configuration, with the files that it names read and tried.
 * @throws {ConfigError} with every problem found.
 */
export async function loadWhole(
  { config: { file, flags } }: Pick<Options, "config">,
  env: NodeJS.ProcessEnv,
): Promise<Loaded> {
  const loaded = loadConfig({ file, env, flags });
  const missing = missingFiles(loaded.config);
  // A room stops at the first file it cannot read, of which all are named already.
  const named = (key: string) => missing.some((problem) => problem.key.startsWith(key));
  const others = startProblems(loaded.config).filter(({ key }) => !named(key.split(".tls", 1)[0]!));
  const problems = [...missing, ...others];
  if (problems.length === 0) return loaded;
  throw new ConfigError(problems.map((problem) => ({ ...problem, place: loaded.placeOf(problem.key) })));
}
