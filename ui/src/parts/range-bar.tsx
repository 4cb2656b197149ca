/** A value beside the range that is usual for it. */
import type { ValueInRange } from "../anomalies/value.ts";
import { number } from "./format.ts";

const width = 400;

/** Positions on a linear axis, or on a logarithmic one if the value is far from the range. */
function axisOf(values: readonly number[]): (value: number) => number {
  const low = Math.min(...values);
  const high = Math.max(...values);
  const logarithmic = low > 0 && high / low > 20;
  const scale = (value: number) => (logarithmic ? Math.log(value) : value);
  const span = scale(high) - scale(low) || 1;
  const margin = 0.06 * width;
  return (value) => margin + ((scale(value) - scale(low)) / span) * (width - 2 * margin);
}

export function RangeBar({ value, low, high, unit }: ValueInRange) {
  const space = unit === "" ? "" : ` ${unit}`;
  const known = [value, low, high].filter((each) => each !== undefined);
  const at = axisOf(known.length > 1 ? known : [...known, 0]);
  const usual =
    low === undefined
      ? `at most ${number(high)}${space}`
      : high === undefined
        ? `at least ${number(low)}${space}`
        : `${number(low)}–${number(high)}${space}`;
  const from = low === undefined ? 0 : at(low);
  const to = high === undefined ? width : at(high);
  return (
    <div class="range">
      <p>
        {value !== undefined && (
          <strong>
            {number(value, 4)}
            {space}
          </strong>
        )}{" "}
        <span class="muted">usually {usual}</span>
      </p>
      <svg
        viewBox={`0 0 ${width} 28`}
        role="img"
        aria-label={`${value === undefined ? "The usual range is" : `The value is ${number(value)}${space}; usually`} ${usual}`}
      >
        <line class="axis" x1="0" x2={width} y1="14" y2="14" />
        <rect class="usual" x={from} y="7" width={Math.max(2, to - from)} height="14" rx="3" />
        {value !== undefined && <circle class="value" cx={at(value)} cy="14" r="7" />}
      </svg>
    </div>
  );
}
