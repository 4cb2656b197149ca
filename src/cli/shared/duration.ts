const units: Readonly<Record<string, number>> = { ms: 1, s: 1e3, m: 6e4, h: 36e5, d: 864e5 };

/** A hundred years: nobody means more, and dates of JavaScript come to an end. */
const maxMs = 36_500 * 864e5;

/** Milliseconds of a text such as 90d; undefined where it is none, or longer than 36500d. */
export function durationMs(text: string): number | undefined {
  const [, number, unit] = /^(\d{1,9}(?:\.\d+)?)(ms|s|m|h|d)$/.exec(text) ?? [];
  const ms = Math.round(Number(number) * units[unit!]!);
  return ms <= maxMs ? ms : undefined;
}
