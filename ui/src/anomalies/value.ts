/** The number of a report beside its usual range, in a unit that people read. */
import type { Report } from "../api/types.ts";

export interface ValueInRange {
  value: number | undefined;
  low: number | undefined;
  high: number | undefined;
  unit: string;
}

/** Units by how many of the first one they are, ascending. */
const seconds = [
  ["ns", 1],
  ["µs", 1e3],
  ["ms", 1e6],
  ["s", 1e9],
  ["min", 60e9],
  ["h", 3_600e9],
] as const;
const bytes = [
  ["B", 1],
  ["kB", 1e3],
  ["MB", 1e6],
  ["GB", 1e9],
  ["TB", 1e12],
] as const;

/** Units by UCUM that are shown in the one of a family that suits the number, with their size. */
const families: Readonly<Record<string, readonly [readonly (readonly [string, number])[], number]>> = {
  ns: [seconds, 1],
  us: [seconds, 1e3],
  ms: [seconds, 1e6],
  s: [seconds, 1e9],
  min: [seconds, 60e9],
  h: [seconds, 3_600e9],
  By: [bytes, 1],
  kBy: [bytes, 1e3],
  MBy: [bytes, 1e6],
  GBy: [bytes, 1e9],
};

/** Returns the name of the unit for numbers as large as `size`, and what they are multiplied by. */
function display(unit: string, size: number): { unit: string; factor: number } {
  const family = families[unit];
  if (family !== undefined) {
    const [names, scale] = family;
    const [name, each] = names.findLast(([, least]) => size * scale >= least) ?? names[0]!;
    return { unit: name, factor: scale / each };
  }
  if (unit === "1") return size <= 1 ? { unit: "%", factor: 100 } : { unit: "", factor: 1 };
  // Braces hold what is counted, as in {record} and {record}/s.
  return { unit: unit.replace(/\{(.+?)\}/g, "$1s"), factor: 1 };
}

/** Returns undefined if the report is not about a number. */
export function rangeOf({ value, unit, expected }: Report): ValueInRange | undefined {
  const low = expected?.low ?? undefined;
  const high = expected?.high ?? undefined;
  const known = [value ?? undefined, low, high].filter((each) => each !== undefined);
  if (low === undefined && high === undefined) return undefined;
  const shown = display(unit, Math.max(...known.map(Math.abs)));
  const scaled = (each: number | undefined) => (each === undefined ? undefined : each * shown.factor);
  return { value: scaled(value ?? undefined), low: scaled(low), high: scaled(high), unit: shown.unit };
}
