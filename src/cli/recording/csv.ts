import type { Source } from "./input.ts";
import { textLines } from "./text-lines.ts";

export interface CsvPoint {
  unixNano: bigint;
  /** Undefined if the field is empty: no value was recorded. */
  value: number | undefined;
  /** The line of the file. */
  line: number;
}

const number = /^[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?$/;
/** Matches `2014-04-01 00:00:00`, with or without T, seconds, fraction and zone. The default zone is UTC. */
const iso = /^(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?)\s*(Z|[+-]\d{2}:?\d{2})?)?$/;

/** Limits from which whole numbers are in the next smaller unit: 10^11 s is the year 5138, 10^11 ms is 1973. */
const units: readonly [below: number, nanos: number][] = [
  [1e11, 1e9],
  [1e14, 1e6],
  [1e17, 1e3],
  [Number.POSITIVE_INFINITY, 1],
];

/**
 * Parses ISO 8601, or seconds, milliseconds, microseconds or nanoseconds since 1970, which are told apart by their size.
 * Times end in the year 2554, with the 64-bit nanoseconds of OTLP.
 */
export function parseTime(text: string): bigint | undefined {
  const nanos = nanosOf(text);
  return nanos !== undefined && nanos < 2n ** 64n ? nanos : undefined;
}

function nanosOf(text: string): bigint | undefined {
  if (/^\d{1,19}$/.test(text)) {
    const nanos = units.find(([below]) => Number(text) < below)![1];
    return BigInt(text) * BigInt(nanos);
  }
  if (number.test(text)) {
    const seconds = Number(text);
    return seconds >= 0 && seconds < 1e10 ? BigInt(Math.round(seconds * 1e6)) * 1_000n : undefined;
  }
  const match = iso.exec(text);
  if (!match) return undefined;
  const [, day, time = "00:00", zone = "Z"] = match;
  const ms = Date.parse(`${day}T${time}${zone}`);
  return ms >= 0 ? BigInt(ms) * 1_000_000n : undefined;
}

function unquote(field: string): string {
  const bare = field.trim();
  return /^".*"$/s.test(bare) ? bare.slice(1, -1).replaceAll('""', '"').trim() : bare;
}

/**
 * Reads rows of `timestamp,value`. If the timestamp of the first line cannot be parsed, the line is a header. Empty lines and
 * lines longer than 64 KiB are skipped.
 * @throws {Error} that names the line and the column that cannot be read.
 */
export async function* csvPoints(
  input: AsyncIterable<Buffer>,
  { name, onLongLine }: Pick<Source, "name" | "onLongLine">,
): AsyncGenerator<CsvPoint, void> {
  for await (const { text: row, number: line, truncated } of textLines(input)) {
    if (truncated) onLongLine(line);
    if (truncated || row.trim() === "") continue;
    const fields = row.split(",").map(unquote);
    const fail = (column: number, what: string): Error => {
      const shown = JSON.stringify(fields[column - 1]?.slice(0, 80) ?? "");
      return new Error(`${name}: line ${line}, column ${column}: ${what}, is ${shown}`);
    };
    if (fields.length !== 2) {
      throw new Error(
        `${name}: line ${line}: must have two columns, timestamp and value, has ${fields.length}`,
      );
    }
    const [time = "", value = ""] = fields;
    const unixNano = parseTime(time);
    if (unixNano === undefined) {
      if (line === 1 && !number.test(value)) continue;
      throw fail(1, "timestamp must be ISO 8601 or a time since 1970, up to the year 2554");
    }
    if (value !== "" && !number.test(value)) throw fail(2, "value must be a number, or empty");
    yield { unixNano, value: value === "" ? undefined : Number(value), line };
  }
}
