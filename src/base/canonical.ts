export type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json };

function quote(text: string): string {
  if (!text.isWellFormed())
    throw new TypeError("half a surrogate pair cannot be represented in canonical JSON");
  return JSON.stringify(text);
}

/**
 * Returns the canonical JSON of a value (RFC 8785), in which names are ordered by their UTF-16 code units and there is
 * no white space.
 * @throws {TypeError} for a value that it cannot represent: a number that is not finite, undefined, a bigint, or text
 *   with half a surrogate pair.
 */
export function canonicalJson(value: Json): string {
  if (typeof value === "string") return quote(value);
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(",")}]`;
  if (typeof value === "object" && value !== null) {
    const members = Object.entries(value as { [name: string]: Json }).sort(([a], [b]) => (a < b ? -1 : 1));
    return `{${members.map(([name, inner]) => `${quote(name)}:${canonicalJson(inner)}`).join(",")}}`;
  }
  const lost = typeof value === "number" && !Number.isFinite(value);
  const text = lost ? undefined : JSON.stringify(value);
  if (text === undefined) throw new TypeError(`${String(value)} cannot be represented in JSON`);
  return text;
}
