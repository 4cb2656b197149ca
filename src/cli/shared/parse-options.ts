/**
 * Reads the options of every command, so that all commands report the same error in the same words. Commands without a
 * configuration start without loading its schema.
 */
import { parseArgs } from "node:util";
import { nearest } from "../../base/nearest.ts";
import { UsageError } from "./io.ts";

/** The options and arguments that a command accepts. */
export interface Accepted {
  /** Names of the options that take a value and may be given once. */
  values?: readonly string[];
  /** Names of the options that take a value and may be given several times. */
  lists?: readonly string[];
  /** Names of the options that take no value. */
  switches?: readonly string[];
  /** The positional arguments, by the names that the help gives them. All of them are required. */
  positionals?: readonly string[];
  /** The name of the arguments behind those, of which there may be any number from one on. */
  rest?: string;
}

/** The keys of the configuration, for a command that accepts them as options. */
export interface ConfigKeys {
  names: Iterable<string>;
  /** Suggests the key that an unknown option was probably meant to be. */
  didYouMean(option: string): string | undefined;
}

/** The configuration that the command line names. */
export interface ConfigOptions {
  /** The path of the configuration file. */
  file: string | undefined;
  /** The texts of configuration keys, by their dotted names. */
  flags: Readonly<Record<string, string>>;
}

/** The options and arguments that were given on the command line. */
export interface Options {
  values: ReadonlyMap<string, string>;
  lists: ReadonlyMap<string, readonly string[]>;
  switches: ReadonlySet<string>;
  /** One argument for each that the command declares, then the rest. */
  positionals: readonly string[];
  config: ConfigOptions;
}

/**
 * Reads `--name value`, `--name=value` and positional arguments, in any order. Everything behind `--` is positional, and
 * so is a single dash. With `config`, `--config` and the keys are options as well.
 * @throws {UsageError} if an option is unknown, is given twice, lacks its value or takes none, or if a positional
 * argument is missing or unexpected.
 */
export function parseOptions(args: readonly string[], accepted: Accepted, config?: ConfigKeys): Options {
  const { values: once = [], lists = [], switches = [], positionals: named = [], rest } = accepted;
  const expected = rest === undefined ? named : [...named, rest];
  const valued = new Set([...once, ...lists, ...(config ? ["config", ...config.names] : [])]);
  const { tokens } = parseArgs({
    args: [...args],
    options: {
      ...Object.fromEntries([...valued].map((name) => [name, { type: "string" as const }])),
      ...Object.fromEntries(switches.map((name) => [name, { type: "boolean" as const }])),
    },
    strict: false,
    allowPositionals: true,
    tokens: true,
  });

  const values = new Map<string, string>();
  const repeated = new Map<string, string[]>();
  const given = new Set<string>();
  const positionals: string[] = [];
  const configOptions = { file: undefined as string | undefined, flags: {} as Record<string, string> };
  const seen = new Set<string>();
  for (const token of tokens) {
    if (token.kind === "option-terminator") continue;
    if (token.kind === "positional") {
      if (rest === undefined && positionals.length === expected.length) {
        throw new UsageError(`unexpected argument ${JSON.stringify(token.value)}`);
      }
      positionals.push(token.value);
      continue;
    }
    const { name, rawName, value, inlineValue } = token;
    const isLong = rawName.startsWith("--");
    if (isLong && switches.includes(name)) {
      if (inlineValue) throw new UsageError(`${rawName} takes no value`);
      given.add(name);
      continue;
    }
    if (!isLong || !valued.has(name)) {
      const names = [...once, ...lists, ...switches, ...(config ? ["config"] : [])];
      throw new UsageError(unknownOption(args[token.index]!, names, config));
    }
    // A single dash may begin a value, such as -2; two dashes begin the next option.
    if (value === undefined || (!inlineValue && value.startsWith("--"))) {
      throw new UsageError(`${rawName} needs a value`);
    }
    if (lists.includes(name)) {
      repeated.set(name, [...(repeated.get(name) ?? []), value]);
      continue;
    }
    if (seen.has(name)) throw new UsageError(`${rawName} is given more than once`);
    seen.add(name);
    if (once.includes(name)) values.set(name, value);
    else if (name === "config") configOptions.file = value;
    else configOptions.flags[name] = value;
  }
  if (positionals.length < expected.length) {
    throw new UsageError(`${expected[positionals.length]} is missing`);
  }
  return { values, lists: repeated, switches: given, positionals, config: configOptions };
}

/** Suggests an option of the command, or else a key of the configuration if the command takes those. */
function unknownOption(arg: string, names: readonly string[], config: ConfigKeys | undefined): string {
  const [shown = ""] = arg.split("=", 1);
  const name = shown.replace(/^-+/, "");
  const own = nearest(name, names);
  const guess = own ? `did you mean --${own}?` : config?.didYouMean(`--${name}`);
  return `unknown option ${shown}${guess ? `; ${guess}` : ""}`;
}
