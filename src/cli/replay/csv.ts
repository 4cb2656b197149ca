import type { Source } from "./input.ts";
import { textLines } from "./text-lines.ts";

export interface CsvPoint {
  unixNano: bigint;
  /** Undefined where the field is empty: no value was recorded. */
  value: number | undefined;
  /** Of the file. */
  line: number;
}

const number = /^[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?$/;
/** `2014-04-01 00:00:00`, with or without T, seconds, fraction and zone; UTC where it names none. */
const iso = /^(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?)\s*(Z|[+-]\d{2}:?\d{2})?)?$/;

/** Whole numbers of this size and above are the next smaller unit: 10^11 s is the year 5138, 10^11 ms 1973. */
const units: readonly [below: number, nanos: number][] = [
  [1e11, 1e9],
  [1e14, 1e6],
  [1e17, 1e3],
  [Number.POSITIVE_INFINITY, 1],
];

/**
 * ISO 8601, or seconds, milliseconds, microseconds or nanoseconds since 1970 by their size; up to the year 2554, where the
 * 64-bit nanoseconds of OTLP end.
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
 * Rows of `timestamp,value`; a first line whose timestamp is none is a header. Empty lines are passed over, and so are those longer than 64 KiB.
 * @throws Error that names line and column of what cannot be read.
 */
export async function* csvPoints(
  input: AsyncIterable<Buffer>,
  { name, onLongLine }: Pick<Source, "name" | "onLongLine">,
): AsyncGenerator<CsvPoint, void> {
  for await (const { text: row, number: line, cut } of textLines(input)) {
    if (cut) onLongLine(line);
    if (cut || row.trim() === "") continue;
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
