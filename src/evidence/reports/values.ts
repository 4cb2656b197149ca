/** What a field of a report can hold, and how people write it. */

export const fieldTypes = [
  "text",
  "list",
  "time",
  "duration",
  "number",
  "percentage",
  "integer",
  "boolean",
] as const;
export type FieldType = (typeof fieldTypes)[number];

/** A value as people read and write it, whatever its type. */
export type Value = string | readonly string[];

/** Bounds of what a person enters in one field. */
export const maxText = 8_192;
export const maxItems = 50;

const forms = {
  time: /^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d(:\d\d(\.\d+)?)?([Zz]|[+-]\d\d:\d\d)$/,
  duration: /^\d{1,3}:([01]\d|2[0-3]):[0-5]\d$/,
  number: /^-?\d{1,15}(\.\d{1,6})?$/,
  percentage: /^(100(\.0+)?|\d{1,2}(\.\d{1,6})?)$/,
  integer: /^\d{1,15}$/,
  boolean: /^(yes|no)$/,
} as const;

const shapes: Readonly<Record<keyof typeof forms, string>> = {
  time: "must be a time with its zone, such as 2026-01-31T12:10:00Z",
  duration: "must be days, hours and minutes, such as 0:03:25",
  number: "must be a number, such as 12000.50",
  percentage: "must be a number from 0 to 100",
  integer: "must be a whole number",
  boolean: "must be yes or no",
};

/** Returns why a field cannot hold the value; undefined if it can. */
export function valueFault(type: FieldType, choices: readonly string[] | undefined, value: Value) {
  const items = typeof value === "string" ? [value] : value;
  if (typeof value !== "string" && type !== "list") return "must be one text";
  if (items.length === 0 || items.length > maxItems) return `must be 1 to ${maxItems} texts`;
  if (items.some((item) => item.trim() === "" || item.length > maxText)) {
    return `must have 1 to ${maxText} characters`;
  }
  if (choices !== undefined && !items.every((item) => choices.includes(item))) {
    return `must be ${type === "list" ? "among" : "one of"} ${choices.join(", ")}`;
  }
  if (type === "text" || type === "list") return undefined;
  const [text] = items;
  const fits = forms[type].test(text!) && (type !== "time" || !Number.isNaN(Date.parse(text!)));
  return fits ? undefined : shapes[type];
}

/** Returns the value as it is kept: forms have times in UTC, whatever zone a person entered, and lists always as lists. */
export function normalValue(type: FieldType, value: Value): Value {
  if (type === "list") return typeof value === "string" ? [value] : value;
  return type === "time" ? new Date(String(value)).toISOString().replace(/\.\d+Z$/, "Z") : value;
}

/** Returns the value as the structure that authorities read has it. */
export function structuredValue(type: FieldType, value: Value): Value | number | boolean {
  if (typeof value !== "string") return value;
  if (type === "list") return [value];
  if (type === "boolean") return value === "yes";
  return type === "number" || type === "percentage" || type === "integer" ? Number(value) : value;
}
