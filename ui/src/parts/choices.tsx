/** Filters of a list that the address holds: menus with one choice each, and fields. */

import { here, setQuery } from "../shell/router.ts";
import { lengths, ranges } from "./time-range.ts";

export function Menu({
  name,
  label,
  any,
  values,
}: {
  name: string;
  label: string;
  any: string;
  values: Readonly<Record<string, string>>;
}) {
  return (
    <select
      aria-label={label}
      value={here.value.query.get(name) ?? ""}
      onChange={({ currentTarget }) =>
        setQuery({ [name]: currentTarget.value || undefined }, { replace: false })
      }
    >
      <option value="">{any}</option>
      {Object.entries(values).map(([value, shown]) => (
        <option key={value} value={value}>
          {shown}
        </option>
      ))}
    </select>
  );
}

/** For how long something is to hold: options whose values are hours. */
export function LengthOptions() {
  return (
    <>
      {Object.entries(lengths).map(([hours, name]) => (
        <option key={hours} value={hours}>
          {name}
        </option>
      ))}
    </>
  );
}

export function Field({ name, label }: { name: string; label: string }) {
  return (
    <input
      type="search"
      class="search"
      placeholder={label}
      aria-label={label}
      value={here.value.query.get(name) ?? ""}
      spellcheck={false}
      onChange={({ currentTarget }) =>
        setQuery({ [name]: currentTarget.value.trim() || undefined }, { replace: false })
      }
    />
  );
}

/** The parameters of the address that a list filters by. */
export function chosen(...names: string[]): URLSearchParams {
  const query = new URLSearchParams();
  for (const name of names) {
    for (const value of here.value.query.getAll(name)) if (value !== "") query.append(name, value);
  }
  return query;
}

/** Chooses the start of the time range. @param chosen the name of a value that is none of the usual ranges */
export function RangeMenu({ value, chosen }: { value: string; chosen: string }) {
  return (
    <select
      aria-label="Time range"
      value={value}
      onChange={({ currentTarget }) =>
        setQuery({ from: currentTarget.value || undefined, until: undefined }, { replace: false })
      }
    >
      <option value="">Any time</option>
      {Object.entries(ranges).map(([range, name]) => (
        <option key={range} value={range}>
          {name}
        </option>
      ))}
      {value !== "" && ranges[value] === undefined && <option value={value}>{chosen}</option>}
    </select>
  );
}
