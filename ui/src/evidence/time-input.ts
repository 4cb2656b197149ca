/** Times as fields for date and time take them: in the zone in which all times are shown. */
import { zoneName } from "../parts/format.ts";
import { zone } from "../shell/preferences.ts";

/** Returns the text of such a field; empty if there is no time. */
export function toInput(time: string | undefined): string {
  const at = time === undefined ? Number.NaN : Date.parse(time);
  if (Number.isNaN(at)) return "";
  const shift = zone.value === "utc" ? 0 : new Date(at).getTimezoneOffset() * 60_000;
  return new Date(at - shift).toISOString().slice(0, 19);
}

/** Returns RFC 3339 in UTC; null if the field is empty. */
export function fromInput(text: string): string | null {
  if (text === "") return null;
  const date = new Date(zone.value === "utc" ? `${text}Z` : text);
  return Number.isNaN(date.getTime()) ? text : date.toISOString().replace(/\.\d+Z$/, "Z");
}

export const zoneNote = (): string => `Times are in ${zoneName()}.`;
