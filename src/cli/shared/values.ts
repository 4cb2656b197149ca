/** Checks the values of options. Errors are UsageErrors that name the option and what it takes. */
import { nearest } from "../../base/nearest.ts";
import { UsageError } from "./io.ts";

const units = { ms: 1, s: 1e3, m: 6e4, h: 36e5, d: 864e5 } as const;

/** A hundred years. Nobody means more, and the dates of JavaScript are limited. */
const maxMs = 36_500 * 864e5;

/** Returns the milliseconds of a text such as 90d; undefined if it is no duration, or longer than 36500d. */
export function durationMs(text: string): number | undefined {
  const [, number, unit] = /^(\d{1,9}(?:\.\d+)?)(ms|s|m|h|d)$/.exec(text) ?? [];
  const ms = Math.round(Number(number) * units[unit as keyof typeof units]);
  return ms <= maxMs ? ms : undefined;
}

/** Returns `text` if it is one of the choices. @param option the name for the error, such as "--format" */
export function choice<T extends string>(option: string, text: string | undefined, choices: readonly T[]): T {
  const found = choices.find((each) => each === text);
  if (found !== undefined) return found;
  const guess = text === undefined ? undefined : nearest(text, choices);
  throw new UsageError(
    `${option} must be one of ${choices.join(", ")}${text === undefined ? "" : `, is ${JSON.stringify(text)}`}${guess ? `; did you mean ${guess}?` : ""}`,
  );
}

export function number(option: string, text: string, least: number, most: number): number {
  const value = Number(text);
  if (text.trim() !== "" && value >= least && value <= most) return value;
  throw new UsageError(`${option} must be a number from ${least} to ${most}, is ${JSON.stringify(text)}`);
}

export function wholeNumber(option: string, text: string, least: number, most: number): number {
  if (/^\d{1,15}$/.test(text) && Number(text) >= least && Number(text) <= most) return Number(text);
  throw new UsageError(
    `${option} must be a whole number from ${least} to ${most}, is ${JSON.stringify(text)}`,
  );
}
