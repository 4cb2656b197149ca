/** The filters of the list, which the address holds. */
import type { Anomaly } from "../api/types.ts";
import { shortTime } from "../parts/format.ts";
import { channels, severities, signals, states } from "../parts/names.ts";
import { apiTime, ranges, timeOf } from "../parts/time-range.ts";

/** Filters that may have several values, with the names of the values. */
export const choices: Readonly<Record<string, { label: string; values: Readonly<Record<string, string>> }>> =
  {
    severity: { label: "Severity", values: severities },
    state: { label: "State", values: states },
    signal: { label: "Signal", values: signals },
    channel: {
      label: "Channel",
      values: Object.fromEntries(Object.keys(channels).map((name) => [name, name])),
    },
  };

/** Filters that have one value. */
export const texts: Readonly<Record<string, string>> = {
  service: "Service",
  stream: "Stream",
  text: "Text",
  from: "From",
  until: "Until",
};

export const names = [...Object.keys(choices), ...Object.keys(texts)];

export type Filters = Readonly<Record<string, readonly string[]>>;

export function filtersOf(query: URLSearchParams): Filters {
  return Object.fromEntries(
    names.flatMap((name) => {
      const values = query.getAll(name).filter((value) => value !== "");
      return values.length > 0 ? [[name, values]] : [];
    }),
  );
}

/** Returns the parameters of a request to the API. */
export function toQuery(filters: Filters): URLSearchParams {
  const query = new URLSearchParams();
  for (const [name, values] of Object.entries(filters)) {
    for (const value of values) {
      const sent = name === "from" || name === "until" ? apiTime(value) : value;
      if (sent !== undefined) query.append(name, sent);
    }
  }
  return query;
}

/** Formats a filter for people. */
export function describe(name: string, value: string): string {
  const isTime = name === "from" || name === "until";
  if (isTime && ranges[value] !== undefined) return ranges[value];
  const at = isTime ? timeOf(value) : undefined;
  const shown = at === undefined ? (choices[name]?.values[value] ?? value) : shortTime(at);
  return `${choices[name]?.label ?? texts[name] ?? name}: ${shown}`;
}

/** Whether a live anomaly is one that the list would have. */
export function matches(filters: Filters, anomaly: Anomaly): boolean {
  const { report } = anomaly;
  const among = (name: string, ...values: string[]) =>
    filters[name] === undefined || values.some((value) => filters[name]!.includes(value));
  const start = Date.parse(anomaly.start_time);
  const [from] = filters.from ?? [];
  const [until] = filters.until ?? [];
  const [text] = filters.text ?? [];
  return (
    among("severity", anomaly.severity) &&
    among("state", anomaly.state) &&
    among("signal", anomaly.signal) &&
    among("channel", ...anomaly.channels) &&
    among("service", anomaly.service) &&
    among("stream", anomaly.stream) &&
    (from === undefined || start >= (timeOf(from) ?? 0)) &&
    (until === undefined || start < (timeOf(until) ?? Number.POSITIVE_INFINITY)) &&
    (text === undefined ||
      `${report?.explanation}\n${report?.record?.text}`.toLowerCase().includes(text.toLowerCase()))
  );
}
