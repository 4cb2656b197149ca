/** Converts text from an environment variable, a flag or a substitution to the type of its key, and back. */
import { parseDocument } from "yaml";
import type { Key } from "./keys.ts";

const decimal = /^[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?$/;

/**
 * Parses YAML.
 * @param schema by default, every scalar is text, so that a header's value of 0123 is preserved.
 */
function flow(text: string, schema: "failsafe" | "core" = "failsafe"): unknown {
  const doc = parseDocument(text, { schema, prettyErrors: false });
  return doc.errors.length > 0 ? text : doc.toJS({ maxAliasCount: 0 });
}

function pieces(text: string): string[] {
  return text
    .split(",")
    .map((piece) => piece.trim())
    .filter((piece) => piece !== "");
}

/** Parses `a=1, b=2` as a map. Returns the text itself if it is not such a list. */
export function parsePairs(text: string): Record<string, string> | string {
  const map: Record<string, string> = Object.create(null);
  for (const piece of pieces(text)) {
    const at = piece.indexOf("=");
    if (at < 0) return text;
    map[piece.slice(0, at).trim()] = piece.slice(at + 1).trim();
  }
  return map;
}

/**
 * Parses `text` as the type of its key. Lists are written `a, b` or `[a, b]`, and maps `a=1, b=2` or `{a: 1, b: 2}`.
 * Text that does not fit the type is returned unchanged, for the schema to reject.
 */
export function parseText(key: Key, text: string): unknown {
  const bare = text.trim();
  switch (key.type) {
    case "text":
      return text;
    case "boolean":
      return bare === "true" ? true : bare === "false" ? false : text;
    case "number":
      return decimal.test(bare) ? Number(bare) : bare;
    case "list":
      return bare.startsWith("[") ? flow(bare) : pieces(bare);
    case "objects":
      return flow(bare, "core");
    case "map":
      return bare.startsWith("{") ? flow(bare) : parsePairs(bare);
  }
}

const units = {
  bytes: [
    ["GiB", 2 ** 30],
    ["MiB", 2 ** 20],
    ["KiB", 2 ** 10],
  ],
  ms: [
    ["d", 864e5],
    ["h", 36e5],
    ["m", 6e4],
    ["s", 1e3],
  ],
} as const;

/** Formats a number with the largest unit that divides it. */
export function formatNumber(key: Key, value: number): string | number {
  if (key.unit === undefined || value === 0) return value;
  const unit = units[key.unit].find(([, size]) => value % size === 0);
  if (unit !== undefined) return `${value / unit[1]}${unit[0]}`;
  return key.unit === "ms" ? `${value}ms` : `${value}B`;
}
