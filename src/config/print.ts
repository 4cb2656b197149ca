import { stringify } from "yaml";
import { type Key, keyAt, root, type Section } from "./keys.ts";
import type { Config } from "./schema.ts";
import { formatNumber } from "./text.ts";

const redacted = "[redacted]";
const indent = "  ";

/** Returns a value as it may be shown: numbers have units, and secrets are redacted. */
function shown(value: unknown, path: readonly string[]): unknown {
  const key = keyAt(path);
  if (key === undefined) {
    const entries = Object.entries(value as Record<string, unknown>);
    return Object.fromEntries(entries.map(([name, inner]) => [name, shown(inner, [...path, name])]));
  }
  if (key.secret) {
    if (typeof value !== "object") return value === undefined ? undefined : redacted;
    return Object.fromEntries(Object.keys(value as Record<string, unknown>).map((name) => [name, redacted]));
  }
  return typeof value === "number" ? formatNumber(key, value) : value;
}

/**
 * Every key of the configuration as YAML, which reads back as the same configuration but for secrets, which are redacted.
 * A value that is no default has its source beside it. Keys and sections that are not set are comments.
 */
export function printConfig(config: Config, sources: ReadonlyMap<string, string>): string {
  return `${sectionLines(root, shown(config, []) as Values, sources).join("\n")}\n`;
}

type Values = Readonly<Record<string, unknown>>;

function sectionLines(section: Section, values: Values, sources: ReadonlyMap<string, string>): string[] {
  return [...section.children].flatMap(([name, child]) => {
    const value = values[name];
    if (value === undefined) return unsetLines(name, child).map((line) => `# ${line}`);
    if (child.kind === "section")
      return [`${name}:`, ...nested(sectionLines(child, value as Values, sources))];
    const source = sources.get(child.name);
    return [`${name}: ${oneLine(value)}${source === undefined ? "" : ` # ${source}`}`];
  });
}

function unsetLines(name: string, entry: Key | Section): string[] {
  if (entry.kind === "key") return [`${name}: # ${entry.expected}`];
  return [`${name}:`, ...nested([...entry.children].flatMap(([child, inner]) => unsetLines(child, inner)))];
}

function nested(lines: readonly string[]): string[] {
  return lines.map((line) => indent + line);
}

function oneLine(value: unknown): string {
  const options = {
    collectionStyle: "flow",
    flowCollectionPadding: false,
    lineWidth: 0,
    blockQuote: false,
  } as const;
  return stringify(value, options).trimEnd();
}
