/** A command's own options beside a flag for every configuration key. */
import { parseArgs } from "node:util";
import { nearest } from "../../base/nearest.ts";
import { keyByName } from "../../config/keys.ts";
import { UsageError } from "./io.ts";

export interface Options {
  /** Path of the configuration file. */
  config: string | undefined;
  /** Texts of configuration keys by their dotted names. */
  flags: Record<string, string>;
  /** The command's own switches that were given. */
  switches: Set<string>;
}

/**
 * Reads `--config FILE`, the command's `switches` (which take no value) and `--key value` or `--key=value` for any key
 * of the configuration. A flag that is given twice counts as given last.
 * @throws {UsageError} on anything else.
 */
export function parseConfigArgs(args: string[], switches: readonly string[] = []): Options {
  const valued = ["config", ...keyByName.keys()];
  const { tokens } = parseArgs({
    args,
    options: {
      ...Object.fromEntries(valued.map((name) => [name, { type: "string" as const }])),
      ...Object.fromEntries(switches.map((name) => [name, { type: "boolean" as const }])),
    },
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  const options: Options = { config: undefined, flags: {}, switches: new Set() };
  for (const token of tokens) {
    if (token.kind === "option-terminator") continue;
    if (token.kind === "positional")
      throw new UsageError(`unexpected argument ${JSON.stringify(token.value)}`);
    const { name, rawName, value, inlineValue } = token;
    if (switches.includes(name)) {
      if (inlineValue) throw new UsageError(`${rawName} takes no value`);
      options.switches.add(name);
    } else if (!valued.includes(name)) {
      const guess = nearest(name, [...valued, ...switches]);
      throw new UsageError(`unknown option ${rawName}${guess ? `; did you mean --${guess}?` : ""}`);
    } else if (value === undefined || (!inlineValue && value.startsWith("--"))) {
      throw new UsageError(`${rawName} needs a value`);
    } else if (name === "config") {
      options.config = value;
    } else {
      options.flags[name] = value;
    }
  }
  return options;
}
