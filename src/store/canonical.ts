import { hash } from "node:crypto";

export type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json };

/**
 * One text for each value: names in the order of their UTF-16 code units, no space (RFC 8785).
 * @throws {TypeError} for what JSON cannot hold: a number that is not finite, undefined, a bigint.
 */
export function canonicalJson(value: Json): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(",")}]`;
  if (typeof value === "object" && value !== null) {
    const members = Object.entries(value as { [name: string]: Json }).sort(([a], [b]) => (a < b ? -1 : 1));
    return `{${members.map(([name, inner]) => `${JSON.stringify(name)}:${canonicalJson(inner)}`).join(",")}}`;
  }
  const lost = typeof value === "number" && !Number.isFinite(value);
  const text = lost ? undefined : JSON.stringify(value);
  if (text === undefined) throw new TypeError(`${String(value)} has no place in JSON`);
  return text;
}

/** SHA-256, hex. */
export function sha256(data: string | Uint8Array): string {
  return hash("sha256", data, "hex");
}
