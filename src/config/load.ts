import { readFileSync, statSync } from "node:fs";
import { fileFault } from "../base/file-fault.ts";
import { contradictions, warnings } from "./check.ts";
import { readEnv } from "./env.ts";
import { type FileContent, readYaml } from "./file.ts";
import { explain, narrowest } from "./issues.ts";
import { keyAt, keyByName, keys } from "./keys.ts";
import { dropUnusedTls } from "./otel.ts";
import { type Assignment, ConfigError, type Problem } from "./problem.ts";
import { type Config, configSchema } from "./schema.ts";
import { parseText } from "./text.ts";
import { flagSpelling, unknownName } from "./unknown.ts";

export interface LoadOptions {
  /** The path of a YAML file. */
  file?: string | undefined;
  env: NodeJS.ProcessEnv;
  /** Texts by the dotted names of their keys. */
  flags?: Readonly<Record<string, string>>;
}

export interface Loaded {
  config: Config;
  /** The place of each value that is not a default, by its dotted name. */
  sources: ReadonlyMap<string, string>;
  /** Warnings about settings that are unsafe or have no effect. */
  warnings: string[];
  /** The place that determines a key or section, by its dotted name; undefined if it consists of defaults. */
  placeOf(name: string): string | undefined;
}

/** Maximum size of a configuration file, in bytes. */
const maxFileSize = 2 ** 20;

function readFile(file: string): string {
  try {
    if (statSync(file).size > maxFileSize) {
      throw new ConfigError([{ key: "", message: `${file}: larger than ${maxFileSize} bytes` }]);
    }
    return new TextDecoder("utf-8", { fatal: true }).decode(readFileSync(file));
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    const { code } = error as NodeJS.ErrnoException;
    const fault = fileFault(error as NodeJS.ErrnoException);
    const why =
      code === "ENOENT"
        ? `${fault}; name the configuration with --config`
        : code === "ERR_ENCODING_INVALID_ENCODED_DATA"
          ? "not UTF-8 text"
          : fault;
    throw new ConfigError([{ key: "", message: `${file}: ${why}` }]);
  }
}

function readFlags(flags: Readonly<Record<string, string>>): {
  values: Map<string, Assignment>;
  problems: Problem[];
} {
  const values = new Map<string, Assignment>();
  const problems: Problem[] = [];
  for (const [name, text] of Object.entries(flags)) {
    const key = keyByName.get(name);
    const flag = flagSpelling.of(name);
    const place = `flag ${flag}`;
    if (key !== undefined) values.set(name, { value: parseText(key, text), place });
    else problems.push({ key: "", message: unknownName("flag", flag, flagSpelling), place });
  }
  return { values, problems };
}

/** The endpoints that data would be forwarded to, as far as this is known before the values are checked. */
function endpointsOf(values: ReadonlyMap<string, Assignment>): string[] {
  const { endpoint, failover_endpoints } = configSchema.shape.forward.parse(undefined);
  const first = values.get("forward.endpoint")?.value ?? endpoint;
  const others = values.get("forward.failover_endpoints")?.value ?? failover_endpoints;
  return [first, ...(Array.isArray(others) ? others : [])].map(String);
}

/** The input of the schema, which holds only what was set. */
function tree(values: ReadonlyMap<string, Assignment>, sections: Iterable<string>): Record<string, unknown> {
  const top: Record<string, unknown> = {};
  const open = (path: readonly string[]) => {
    let node = top;
    for (const part of path) {
      node[part] ??= {};
      node = node[part] as Record<string, unknown>;
    }
    return node;
  };
  // An empty section of the file counts: `tls: {}` enables TLS.
  for (const name of sections) if (name) open(name.split("."));
  for (const [name, { value }] of values) {
    const { path } = keyByName.get(name)!;
    open(path.slice(0, -1))[path.at(-1)!] = value;
  }
  return top;
}

/** Parses `input`. The configuration is undefined if the schema rejects it. */
function check(input: unknown): { config: Config | undefined; problems: Problem[] } {
  const parsed = configSchema.safeParse(input);
  if (parsed.success) return { config: parsed.data, problems: contradictions(parsed.data) };
  return {
    config: undefined,
    problems: narrowest(parsed.error.issues).flatMap((issue) => explain(issue, input)),
  };
}

/**
 * Checks an object and fills in defaults. The keys are those of the configuration file: `{ detect: { baseline: { records: 300 } } }`.
 * @throws {ConfigError} with the code ERR_DRIFTLOCK_CONFIG and every problem found.
 */
export function parseConfig(values: unknown): Config {
  const { config, problems } = check(values);
  if (config === undefined || problems.length > 0) throw new ConfigError(problems);
  return config;
}

/**
 * Loads the configuration. Flags override environment variables, which override the file, which overrides the defaults,
 * key by key; a list or map is one value.
 * @throws {ConfigError} with every problem found, each with its place.
 */
export function loadConfig({ file, env, flags = {} }: LoadOptions): Loaded {
  const nothing: FileContent = { values: new Map(), sections: new Map(), problems: [] };
  const fromFile = file === undefined ? nothing : readYaml(readFile(file), file, env);
  const api = fromFile.values.get("api.endpoint")?.value ?? configSchema.shape.api.parse(undefined).endpoint;
  const fromEnv = readEnv(env, String(api));
  const fromFlags = readFlags(flags);
  const problems = [...fromFile.problems, ...fromEnv.problems, ...fromFlags.problems];

  const values = new Map([...fromFile.values, ...fromEnv.values, ...fromFlags.values]);
  const unused = dropUnusedTls(values, endpointsOf(values));
  const placeOf = (path: readonly PropertyKey[]): string | undefined => {
    const name = path.join(".");
    const own = values.get(keyAt(path)?.name ?? name);
    if (own !== undefined) return own.parts?.get(name) ?? own.place;
    if (fromFile.sections.has(name)) return fromFile.sections.get(name);
    if (path.length === 0) return undefined;
    const beside = keys.find((key) => key.name.startsWith(`${name}.`) && values.has(key.name));
    return beside ? values.get(beside.name)!.place : placeOf(path.slice(0, -1));
  };

  const { config, problems: found } = check(tree(values, fromFile.sections.keys()));
  problems.push(...found.map((each) => ({ ...each, place: placeOf(each.key.split(".")) })));
  if (problems.length > 0 || config === undefined) throw new ConfigError(problems);
  const sources = new Map([...values].map(([name, { place }]) => [name, place]));
  return {
    config,
    sources,
    warnings: [...fromEnv.warnings, ...unused, ...warnings(config)],
    placeOf: (name) => placeOf(name.split(".")),
  };
}
