import { nearest } from "../../base/nearest.ts";
import { keyByName } from "../../config/keys.ts";
import { UsageError } from "./io.ts";

export interface OwnOptions {
  /** By name; of an option that is given twice, the last. */
  values: Map<string, string>;
  switches: Set<string>;
  positionals: string[];
  /** What is left: `--config` and flags of configuration keys. */
  rest: string[];
}

/**
 * Takes a command's own options and its positional arguments out of `args`, which may hold flags of the configuration
 * as well: those take a value, as all of them do.
 * @throws {UsageError} on an option that is neither.
 */
export function takeOwnOptions(
  args: readonly string[],
  valued: readonly string[],
  switches: readonly string[],
): OwnOptions {
  const own: OwnOptions = { values: new Map(), switches: new Set(), positionals: [], rest: [] };
  const known = ["config", ...keyByName.keys()];
  for (let i = 0; i < args.length; i++) {
    const arg = args[i]!;
    if (arg === "--") {
      own.positionals.push(...args.slice(i + 1));
      break;
    }
    // A lone dash is standard input.
    if (!arg.startsWith("-") || arg === "-") {
      own.positionals.push(arg);
      continue;
    }
    const [, name = "", inline] = /^--([^=]+)(?:=(.*))?$/s.exec(arg) ?? [];
    const next = args[i + 1];
    const value = inline ?? (next?.startsWith("--") ? undefined : next);
    if (switches.includes(name)) {
      if (inline !== undefined) throw new UsageError(`--${name} takes no value`);
      own.switches.add(name);
      continue;
    }
    if (!valued.includes(name) && !known.includes(name)) {
      const guess = nearest(name, [...valued, ...switches, ...known]);
      throw new UsageError(`unknown option ${arg}${guess ? `; did you mean --${guess}?` : ""}`);
    }
    if (value === undefined) throw new UsageError(`--${name} needs a value`);
    if (inline === undefined) i++;
    if (valued.includes(name)) own.values.set(name, value);
    else own.rest.push(`--${name}=${value}`);
  }
  return own;
}

/** Of a command that takes options alone. @throws {UsageError} */
export function refusePositionals([unexpected]: readonly string[]): void {
  if (unexpected !== undefined) throw new UsageError(`unexpected argument ${JSON.stringify(unexpected)}`);
}
