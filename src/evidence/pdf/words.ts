/** Numbers and times as people read them. */

const months = "January February March April May June July August September October November December".split(
  " ",
);

const two = (value: number) => String(value).padStart(2, "0");

const asMs = (time: number | string) => (typeof time === "number" ? time : Date.parse(time));

/** Such as 31 January 2026, 12:04:00 UTC. */
export function longTime(time: number | string): string {
  const date = new Date(asMs(time));
  return `${date.getUTCDate()} ${months[date.getUTCMonth()]} ${date.getUTCFullYear()}, ${clock(date)} UTC`;
}

/** Such as 2026-01-31 12:04:00. */
export function clockTime(time: number | string): string {
  const date = new Date(asMs(time));
  return `${date.toISOString().slice(0, 10)} ${clock(date)}`;
}

/** The ends of a range of time, with milliseconds if they differ by little. */
export function rangeTimes(first: number, last: number): [string, string] {
  if (last - first >= 10_000) return [clockTime(first), clockTime(last)];
  const exact = (time: number) => new Date(time).toISOString().slice(0, 23).replace("T", " ");
  return [exact(first), exact(last)];
}

function clock(date: Date): string {
  return `${two(date.getUTCHours())}:${two(date.getUTCMinutes())}:${two(date.getUTCSeconds())}`;
}

/** A number with four significant digits and no exponent unless it is tiny or huge. */
export function figure(value: number): string {
  const size = Math.abs(value);
  if (value === 0) return "0";
  if (size < 1e-4 || size >= 1e7) return value.toExponential(2).replace("e+", "e");
  if (size >= 1_000) return String(Math.round(value)).replace(/\B(?=(\d{3})+$)/g, ",");
  return String(Number(value.toPrecision(4)));
}

/** How often something comes by chance. */
export function chance(pValue: number): string {
  if (pValue >= 1) return "It is as usual.";
  return `By chance, as much would be seen in ${fraction(1 / pValue)} (p = ${figure(pValue)}).`;
}

function fraction(count: number): string {
  const rounded = Number(count.toPrecision(2));
  if (rounded < 1e6) return `about one of ${figure(rounded)}`;
  return rounded < 1e9 ? `about one of ${figure(rounded / 1e6)} million` : "fewer than one of a billion";
}

/** What numbers of a unit are multiplied with, so that people can read them, and the unit's name then. */
export function readableUnit(unit: string, most: number): { factor: number; name: string } {
  if (unit !== "ns") return { factor: 1, name: unit === "1" ? "" : unit.replaceAll(/[{}]/g, "") };
  if (most >= 1e9) return { factor: 1e-9, name: "s" };
  return most >= 1e6 ? { factor: 1e-6, name: "ms" } : { factor: 1e-3, name: "µs" };
}

/** Such as 1 h 35 min. */
export function span(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1_000));
  if (seconds < 60) return `${seconds} s`;
  const [days, hours, minutes] = [
    Math.floor(seconds / 86_400),
    Math.floor(seconds / 3_600) % 24,
    Math.floor(seconds / 60) % 60,
  ];
  const parts = [
    [days, "d"],
    [hours, "h"],
    [minutes, "min"],
    [days === 0 && hours === 0 ? seconds % 60 : 0, "s"],
  ] as const;
  return parts
    .filter(([count]) => count > 0)
    .map(([count, unit]) => `${count} ${unit}`)
    .join(" ");
}
