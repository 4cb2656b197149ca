/** Times as they are written in addresses: RFC 3339 in UTC, or relative to now, such as "now-1h". */

const units: Readonly<Record<string, number>> = { m: 60_000, h: 3_600_000, d: 86_400_000 };

/** For how long something is to hold, by hours. */
export const lengths: Readonly<Record<string, string>> = {
  "1": "1 hour",
  "4": "4 hours",
  "24": "1 day",
  "168": "7 days",
  "720": "30 days",
};

/** The ranges that people choose from. */
export const ranges: Readonly<Record<string, string>> = {
  "now-15m": "Last 15 minutes",
  "now-1h": "Last hour",
  "now-6h": "Last 6 hours",
  "now-24h": "Last 24 hours",
  "now-7d": "Last 7 days",
  "now-30d": "Last 30 days",
};

/** Returns the time in milliseconds since 1970; undefined if the text is none. */
export function timeOf(text: string, now = Date.now()): number | undefined {
  const relative = /^now(?:-(\d{1,6})([mhd]))?$/.exec(text);
  if (relative !== null) {
    const [, amount = "0", unit = "m"] = relative;
    return now - Number(amount) * units[unit]!;
  }
  const time = Date.parse(text);
  return Number.isNaN(time) ? undefined : time;
}

/** Returns the time as the API takes it. */
export function apiTime(text: string | undefined): string | undefined {
  const time = text === undefined ? undefined : timeOf(text);
  return time === undefined ? undefined : new Date(time).toISOString();
}
