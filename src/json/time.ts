/** Times as the API formats them: RFC 3339 in UTC with nanoseconds. */

/** The largest time of 64 bits, as databases store it. */
export const maxNanos = 2n ** 63n - 1n;
const perMs = 1_000_000n;

/** @param nanos nanoseconds since 1970, not negative */
export function formatNanos(nanos: bigint): string {
  const seconds = new Date(Number(nanos / perMs)).toISOString().slice(0, 19);
  return `${seconds}.${String(nanos % 1_000_000_000n).padStart(9, "0")}Z`;
}

/** @param ms milliseconds since 1970 */
export function formatMs(ms: number): string {
  return new Date(ms).toISOString();
}

/**
 * Returns nanoseconds since 1970, limited to 64 bits.
 * @param text a valid time of RFC 3339
 */
export function parseNanos(text: string): bigint {
  const [, whole, fraction = "", zone] = /^([^.]*?)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)$/i.exec(text)!;
  const ms = BigInt(Date.parse(whole! + zone!.toUpperCase()));
  const nanos = ms * perMs + BigInt(fraction.slice(0, 9).padEnd(9, "0"));
  if (nanos > maxNanos) return maxNanos;
  return nanos < -maxNanos ? -maxNanos : nanos;
}
