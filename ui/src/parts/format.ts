/** Formats times and numbers for people. */
import { zone } from "../shell/preferences.ts";

const formats = new Map<string, Intl.DateTimeFormat>();

function dateFormat(timeZone: string | undefined, options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  const key = `${timeZone} ${JSON.stringify(options)}`;
  const known = formats.get(key);
  if (known !== undefined) return known;
  const made = new Intl.DateTimeFormat("en-GB", {
    ...options,
    hourCycle: "h23",
    ...(timeZone !== undefined && { timeZone }),
  });
  formats.set(key, made);
  return made;
}

/** The chosen zone, by its name for `Intl`; undefined is that of the browser. */
export const timeZone = (): string | undefined => (zone.value === "utc" ? "UTC" : undefined);

/** The short name of the chosen zone, such as "UTC" or "CET". */
export function zoneName(): string {
  const parts = dateFormat(timeZone(), { timeZoneName: "short" }).formatToParts(new Date());
  return parts.find(({ type }) => type === "timeZoneName")?.value ?? "UTC";
}

/** Formats a time as 12:04:05 if it is of today, and else with its day. */
export function shortTime(time: string | number): string {
  const date = new Date(time);
  const clock = dateFormat(timeZone(), { hour: "2-digit", minute: "2-digit", second: "2-digit" }).format(
    date,
  );
  const day = dateFormat(timeZone(), { dateStyle: "short" });
  if (day.format(date) === day.format(new Date())) return clock;
  const named = dateFormat(timeZone(), { day: "numeric", month: "short" }).format(date);
  const year = dateFormat(timeZone(), { year: "numeric" });
  const sameYear = year.format(date) === year.format(new Date());
  return sameYear ? `${named}, ${clock}` : `${named} ${year.format(date)}, ${clock}`;
}

/** Formats a time completely, such as "Sat, 31 Jan 2026, 12:00:00.123 UTC". */
export function longTime(time: string | number): string {
  return dateFormat(timeZone(), {
    weekday: "short",
    day: "numeric",
    month: "short",
    year: "numeric",
    hour: "2-digit",
    minute: "2-digit",
    second: "2-digit",
    fractionalSecondDigits: 3,
    timeZoneName: "short",
  }).format(new Date(time));
}

const units = [
  ["d", 86_400_000],
  ["h", 3_600_000],
  ["min", 60_000],
  ["s", 1_000],
  ["ms", 1],
] as const;

/** Formats a duration in its two largest units, such as "2 h 5 min". */
export function duration(ms: number): string {
  const whole = Math.max(0, Math.round(ms));
  const first = units.findIndex(([, size]) => whole >= size);
  if (first === -1) return "0 s";
  const [unit, size] = units[first]!;
  const count = Math.floor(whole / size);
  const next = units[first + 1];
  const rest = next === undefined ? 0 : Math.floor((whole - count * size) / next[1]);
  return rest > 0 && unit !== "s" ? `${count} ${unit} ${rest} ${next![0]}` : `${count} ${unit}`;
}

/** Formats how long ago a time was, or in how long it will be, such as "5 min ago". */
export function ago(time: string | number, now = Date.now()): string {
  const ms = now - new Date(time).getTime();
  if (Math.abs(ms) < 5_000) return "just now";
  const [value, unit] = duration(Math.abs(ms)).split(" ");
  return ms < 0 ? `in ${value} ${unit}` : `${value} ${unit} ago`;
}

const grouped = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const precise = new Map<number, Intl.NumberFormat>();
const brief = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });

/** Formats a count with separators of thousands. */
export const count = (value: number): string => grouped.format(value);

/** Formats a count in few characters, such as 12.3K. */
export const compact = (value: number): string =>
  value < 10_000 ? grouped.format(value) : brief.format(value);

/** Formats a number with significant digits; null, which stands for unknown or infinite, as an en dash. */
export function number(value: number | null | undefined, digits = 3): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-4 || size >= 1e12)) return value.toExponential(digits - 1);
  let format = precise.get(digits);
  if (format === undefined) {
    format = new Intl.NumberFormat("en", { maximumSignificantDigits: digits });
    precise.set(digits, format);
  }
  // Digits before the point are never replaced by zeros.
  return size >= 10 ** digits ? grouped.format(value) : format.format(value);
}

/** Formats a number of something in words, such as "1 record" or "2 records". */
export const plural = (value: number, one: string, many = `${one}s`): string =>
  `${count(value)} ${value === 1 ? one : many}`;

/** Formats bytes by powers of 1,000. */
export function bytes(value: number): string {
  const names = ["B", "kB", "MB", "GB", "TB"];
  const power = Math.min(names.length - 1, value < 1 ? 0 : Math.floor(Math.log10(value) / 3));
  return `${number(value / 1_000 ** power)} ${names[power]}`;
}

/** Returns the text with its first letter in upper case and a full stop at its end. */
export function sentence(text: string): string {
  if (text === "") return "";
  const whole = text[0]!.toUpperCase() + text.slice(1);
  return /[.!?…]$/.test(whole) ? whole : `${whole}.`;
}
