import { Document, isCollection, isNode } from "yaml";
import { keyAt, keys } from "./keys.ts";
import type { Config } from "./schema.ts";
import { formatNumber } from "./text.ts";

const redacted = "[redacted]";

/** A value as it may be shown: units for numbers, nothing of secrets. */
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

/** A copy without secrets and with units, for people and logs. */
export function redact(config: Config): unknown {
  return shown(config, []);
}

/** The whole configuration as YAML; what is no default has its source beside it. Values of headers are redacted. */
export function printConfig(config: Config, sources: ReadonlyMap<string, string>): string {
  const doc = new Document(redact(config));
  for (const { name, path } of keys) {
    const node = doc.getIn(path, true);
    const source = sources.get(name);
    if (isCollection(node)) node.flow = true;
    if (isNode(node) && source !== undefined) node.comment = ` ${source}`;
  }
  return doc.toString({ lineWidth: 0, flowCollectionPadding: false });
}
