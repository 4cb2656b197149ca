/** Times as the API shows them: RFC 3339 in UTC with nanoseconds. */

/** Of 64 bits, as databases have them. */
export const maxNanos = 2n ** 63n - 1n;
const perMs = 1_000_000n;

/** @param nanos since 1970, not negative. */
export function formatNanos(nanos: bigint): string {
  const seconds = new Date(Number(nanos / perMs)).toISOString().slice(0, 19);
  return `${seconds}.${String(nanos % 1_000_000_000n).padStart(9, "0")}Z`;
}

/** @param ms since 1970 */
export function formatMs(ms: number): string {
  return new Date(ms).toISOString();
}

/**
 * Nanoseconds since 1970, as far as 64 bits reach.
 * @param text RFC 3339, already known to be so
 */
export function parseNanos(text: string): bigint {
  const [, whole, fraction = "", zone] = /^([^.]*?)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)$/i.exec(text)!;
  const ms = BigInt(Date.parse(whole! + zone!.toUpperCase()));
  const nanos = ms * perMs + BigInt(fraction.slice(0, 9).padEnd(9, "0"));
  if (nanos > maxNanos) return maxNanos;
  return nanos < -maxNanos ? -maxNanos : nanos;
}
