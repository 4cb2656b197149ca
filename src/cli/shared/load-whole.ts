import { missingFiles } from "../../config/check.ts";
import { type Loaded, loadConfig } from "../../config/load.ts";
import { ConfigError, type Problem } from "../../config/problem.ts";
import type { Config } from "../../config/schema.ts";
import { checkForward } from "../../forward/index.ts";
import { checkNotify } from "../../notify/index.ts";
import { checkReceive } from "../../receive/index.ts";
import type { Options } from "./parse-options.ts";

/** Parses the message of another module, `key: what is wrong`. */
function asProblem(line: string): Problem {
  const at = line.indexOf(": ");
  return { key: line.slice(0, at), message: line.slice(at + 2) };
}

/** Returns the problems that would keep the receivers, the forwarder or notifications from starting. */
function startProblems({ receive, forward, notify }: Config): Problem[] {
  return [...checkForward(forward), ...checkReceive(receive), ...checkNotify(notify)].map(asProblem);
}

/**
 * Loads the configuration, and reads and checks the files that it names.
 * @throws {ConfigError} with every problem that was found.
 */
export async function loadWhole(
  { config: { file, flags } }: Pick<Options, "config">,
  env: NodeJS.ProcessEnv,
): Promise<Loaded> {
  const loaded = loadConfig({ file, env, flags });
  const missing = missingFiles(loaded.config);
  // A module stops at the first file that it cannot read; all of those are reported already.
  const named = (key: string) => missing.some((problem) => problem.key.startsWith(key));
  const others = startProblems(loaded.config).filter(({ key }) => !named(key.split(".tls", 1)[0]!));
  const problems = [...missing, ...others];
  if (problems.length === 0) return loaded;
  throw new ConfigError(problems.map((problem) => ({ ...problem, place: loaded.placeOf(problem.key) })));
}
