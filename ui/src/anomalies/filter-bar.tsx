/** The filters as chips that can be removed, and a panel to add some. */
import { useRef } from "preact/hooks";
import { RangeMenu } from "../parts/choices.tsx";
import { useCommands } from "../shell/keys.ts";
import { here, setQuery } from "../shell/router.ts";
import { choices, describe, type Filters, names, texts } from "./filters.ts";

/** Adds or removes a value of a filter. */
export function toggle(name: string, value: string): void {
  const values = here.value.query.getAll(name);
  const next = values.includes(value) ? values.filter((each) => each !== value) : [...values, value];
  setQuery({ [name]: next }, { replace: false });
}

export function clearFilters(): void {
  setQuery(Object.fromEntries(names.map((name) => [name, undefined])), { replace: false });
}

function Choice({ name, filters }: { name: string; filters: Filters }) {
  const { label, values } = choices[name]!;
  return (
    <fieldset>
      <legend>{label}</legend>
      {Object.entries(values).map(([value, shown]) => (
        <label key={value} class="check">
          <input
            type="checkbox"
            checked={filters[name]?.includes(value) ?? false}
            onChange={() => toggle(name, value)}
          />
          {shown}
        </label>
      ))}
    </fieldset>
  );
}

function Field({ name, filters }: { name: string; filters: Filters }) {
  return (
    <label>
      {texts[name]}
      <input
        type="text"
        value={filters[name]?.[0] ?? ""}
        spellcheck={false}
        onChange={({ currentTarget }) =>
          setQuery({ [name]: currentTarget.value.trim() || undefined }, { replace: false })
        }
      />
    </label>
  );
}

export function FilterBar({ filters }: { filters: Filters }) {
  const search = useRef<HTMLInputElement>(null);
  const panel = useRef<HTMLDivElement>(null);
  useCommands([
    { keys: "/", label: "Search", run: () => search.current?.focus() },
    { keys: "f", label: "Filter", run: () => panel.current?.togglePopover() },
  ]);
  const from = filters.from?.[0] ?? "";
  return (
    <div class="filters" role="search">
      <input
        ref={search}
        type="search"
        class="search"
        placeholder="Search explanations and records"
        aria-label="Search explanations and records"
        value={filters.text?.[0] ?? ""}
        onChange={({ currentTarget }) =>
          setQuery({ text: currentTarget.value.trim() || undefined }, { replace: false })
        }
      />
      <RangeMenu value={from} chosen={describe("from", from)} />
      <button type="button" popovertarget="filter-panel">
        Filter
      </button>
      <div ref={panel} id="filter-panel" popover="auto" class="panel">
        {Object.keys(choices).map((name) => (
          <Choice key={name} name={name} filters={filters} />
        ))}
        <fieldset>
          <legend>Where</legend>
          <Field name="service" filters={filters} />
          <Field name="stream" filters={filters} />
        </fieldset>
      </div>
      <ul class="chips" aria-label="Filters">
        {Object.entries(filters).flatMap(([name, values]) =>
          values.map((value) => (
            <li key={`${name}=${value}`}>
              <button
                type="button"
                class="chip"
                onClick={() => toggle(name, value)}
                aria-label={`Remove the filter ${describe(name, value)}`}
              >
                {describe(name, value)} <span aria-hidden="true">×</span>
              </button>
            </li>
          )),
        )}
        {Object.keys(filters).length > 1 && (
          <li>
            <button type="button" class="link" onClick={clearFilters}>
              Remove all
            </button>
          </li>
        )}
      </ul>
    </div>
  );
}
