/** The input of a field of a report, by its type. */
import type { IncidentReport } from "../api/types.ts";
import { fromInput, toInput } from "./time-input.ts";

type Field = IncidentReport["sections"][number]["fields"][number];
type Value = string | string[];

interface Props {
  id: string;
  field: Field;
  value: Value | null;
  /** Undefined leaves the field as it was. */
  onInput(value: Value | null | undefined): void;
}

const hints: Readonly<Partial<Record<Field["type"], string>>> = {
  duration: "days:hours:minutes, such as 0:03:25",
  number: "such as 12000.50",
  percentage: "0 to 100",
  integer: "a whole number",
  list: "one per line",
};

export function FieldInput({ id, field, value, onInput }: Props) {
  const { type, choices } = field;
  const text = value === null ? "" : typeof value === "string" ? value : value.join("\n");
  const describedBy = `${id}-asks`;
  /** An empty input of a blank field is no change; one of an entered value removes it. */
  const take = (next: Value | "") => {
    if (next.length > 0) onInput(next);
    else onInput(field.entered === null ? undefined : null);
  };
  if (type === "list" && choices !== undefined) {
    const chosen = new Set(typeof value === "string" ? [value] : (value ?? []));
    return (
      <fieldset id={id} aria-describedby={describedBy}>
        <legend class="hidden">{field.name}</legend>
        <div class="checks">
          {choices.map((choice) => (
            <label key={choice} class="check">
              <input
                type="checkbox"
                checked={chosen.has(choice)}
                onChange={({ currentTarget }) =>
                  take(choices.filter((each) => (each === choice ? currentTarget.checked : chosen.has(each))))
                }
              />
              {choice.replaceAll("_", " ")}
            </label>
          ))}
        </div>
      </fieldset>
    );
  }
  const words = type === "boolean" ? ["yes", "no"] : choices;
  if (words !== undefined) {
    return (
      <select
        id={id}
        aria-describedby={describedBy}
        value={text}
        onChange={({ currentTarget }) => take(currentTarget.value)}
      >
        <option value="">Nothing entered</option>
        {words.map((word) => (
          <option key={word} value={word}>
            {word.replaceAll("_", " ")}
          </option>
        ))}
      </select>
    );
  }
  if (type === "text" || type === "list") {
    return (
      <textarea
        id={id}
        aria-describedby={describedBy}
        rows={type === "list" ? 3 : 2}
        maxLength={8_192}
        placeholder={hints[type] ?? ""}
        value={text}
        onInput={({ currentTarget }) => {
          if (type === "text") take(currentTarget.value);
          else take(currentTarget.value === "" ? "" : currentTarget.value.split("\n"));
        }}
        onBlur={({ currentTarget }) => {
          if (type !== "list") return;
          const lines = currentTarget.value
            .split("\n")
            .map((line) => line.trim())
            .filter(Boolean);
          if (lines.join("\n") !== text) take(lines);
        }}
      />
    );
  }
  if (type === "time") {
    return (
      <input
        id={id}
        aria-describedby={describedBy}
        type="datetime-local"
        step={1}
        value={toInput(text)}
        onChange={({ currentTarget }) => take(fromInput(currentTarget.value) ?? "")}
      />
    );
  }
  return (
    <input
      id={id}
      aria-describedby={describedBy}
      type="text"
      inputMode={type === "duration" ? "text" : "decimal"}
      placeholder={hints[type] ?? ""}
      value={text}
      onInput={({ currentTarget }) => take(currentTarget.value.trim())}
    />
  );
}
