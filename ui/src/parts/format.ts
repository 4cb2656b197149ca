/** Formats times and numbers for people. */
import { zone } from "../shell/preferences.ts";

/** What is shown of a time. */
const shapes = {
  zone: { timeZoneName: "short" },
  clock: { hour: "2-digit", minute: "2-digit", second: "2-digit" },
  date: { dateStyle: "short" },
  day: { day: "numeric", month: "short" },
  year: { year: "numeric" },
  whole: {
    weekday: "short",
    day: "numeric",
    month: "short",
    year: "numeric",
    hour: "2-digit",
    minute: "2-digit",
    second: "2-digit",
    fractionalSecondDigits: 3,
    timeZoneName: "short",
  },
} as const satisfies Record<string, Intl.DateTimeFormatOptions>;

const formats = new Map<string, Intl.DateTimeFormat>();

/** Returns the format for the chosen zone. Making one takes far longer than using it, and lists use several for each row. */
function dateFormat(shape: keyof typeof shapes): Intl.DateTimeFormat {
  const zone = timeZone();
  const key = `${shape} ${zone}`;
  let format = formats.get(key);
  if (format === undefined) {
    format = new Intl.DateTimeFormat("en-GB", {
      ...shapes[shape],
      hourCycle: "h23",
      ...(zone !== undefined && { timeZone: zone }),
    });
    formats.set(key, format);
  }
  return format;
}

/** The chosen zone, by its name for `Intl`; undefined is that of the browser. */
export const timeZone = (): string | undefined => (zone.value === "utc" ? "UTC" : undefined);

/** The short name of the chosen zone, such as "UTC" or "CET". */
export function zoneName(): string {
  const parts = dateFormat("zone").formatToParts(new Date());
  return parts.find(({ type }) => type === "timeZoneName")?.value ?? "UTC";
}

/** Formats a time as 12:04:05 if it is of today, and else with its day. */
export function shortTime(time: string | number): string {
  const date = new Date(time);
  const today = new Date();
  const clock = dateFormat("clock").format(date);
  const alike = (shape: "date" | "year") =>
    dateFormat(shape).format(date) === dateFormat(shape).format(today);
  if (alike("date")) return clock;
  const day = dateFormat("day").format(date);
  return alike("year") ? `${day}, ${clock}` : `${day} ${dateFormat("year").format(date)}, ${clock}`;
}

/** Formats a time completely, such as "Sat, 31 Jan 2026, 12:00:00.123 UTC". */
export const longTime = (time: string | number): string => dateFormat("whole").format(new Date(time));

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

/** Makes a format when it is first used: the browser takes some 25 ms for the first one, for which no page has to wait. */
function numberFormat(options: Intl.NumberFormatOptions): (value: number) => string {
  let format: Intl.NumberFormat | undefined;
  return (value) => {
    format ??= new Intl.NumberFormat("en", options);
    return format.format(value);
  };
}

const brief = numberFormat({ notation: "compact", maximumFractionDigits: 1 });
const precise = new Map<number, (value: number) => string>();

/** Formats a count with separators of thousands. */
export const count = numberFormat({ maximumFractionDigits: 0 });

/** Formats a count in few characters, such as 12.3K. */
export const compact = (value: number): string => (value < 10_000 ? count(value) : brief(value));

/** Formats a number with significant digits; null, which stands for unknown or infinite, as an en dash. */
export function number(value: number | null | undefined, digits = 3): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-4 || size >= 1e12)) return value.toExponential(digits - 1);
  let format = precise.get(digits);
  if (format === undefined) {
    format = numberFormat({ maximumSignificantDigits: digits });
    precise.set(digits, format);
  }
  // Digits before the point are never replaced by zeros.
  return size >= 10 ** digits ? count(value) : format(value);
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
