import { hash } from "node:crypto";

export type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json };

/**
 * Returns the canonical JSON of a value (RFC 8785), in which names are ordered by their UTF-16 code units and there is
 * no white space.
 * @throws {TypeError} for a value that JSON cannot represent: a number that is not finite, undefined or a bigint.
 */
export function canonicalJson(value: Json): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(",")}]`;
  if (typeof value === "object" && value !== null) {
    const members = Object.entries(value as { [name: string]: Json }).sort(([a], [b]) => (a < b ? -1 : 1));
    return `{${members.map(([name, inner]) => `${JSON.stringify(name)}:${canonicalJson(inner)}`).join(",")}}`;
  }
  const lost = typeof value === "number" && !Number.isFinite(value);
  const text = lost ? undefined : JSON.stringify(value);
  if (text === undefined) throw new TypeError(`${String(value)} cannot be represented in JSON`);
  return text;
}

/** Returns the SHA-256 of the data, in hex. */
export function sha256(data: string | Uint8Array): string {
  return hash("sha256", data, "hex");
}
