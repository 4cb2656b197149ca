import { expect, it } from "vitest";
import { configSchema } from "../../src/config/schema.ts";
import { checkNotify, createWindows } from "../../src/notify/index.ts";

const parse = (window: object) =>
  configSchema.parse({ notify: { windows: [{ name: "w", ...window }] } }).notify;
const windowOf = (window: object) => createWindows(parse(window))[0]!;
const closes = (window: object, at: string) => {
  const until = windowOf(window).openUntil(Date.parse(at));
  return until === undefined ? undefined : new Date(until).toISOString().slice(0, 16);
};

const night = {
  start: "2026-01-01T22:00",
  end: "2026-01-02T06:00",
  time_zone: "Europe/Berlin",
  rrule: "FREQ=DAILY",
};

it.each([
  // Winter, the night in which clocks go forward, summer, and the night in which they go back.
  ["2026-01-10T20:59:00Z", undefined],
  ["2026-01-10T21:00:00Z", "2026-01-11T05:00"],
  ["2026-01-11T05:00:00Z", undefined],
  ["2026-03-28T23:00:00Z", "2026-03-29T04:00"],
  ["2026-03-29T04:00:00Z", undefined],
  ["2026-07-10T19:59:00Z", undefined],
  ["2026-07-10T20:00:00Z", "2026-07-11T04:00"],
  ["2026-10-24T23:00:00Z", "2026-10-25T05:00"],
  ["2026-10-25T04:59:00Z", "2026-10-25T05:00"],
  ["2025-12-31T23:00:00Z", undefined],
  ["2046-01-10T21:30:00Z", "2046-01-11T05:00"],
])("a window from ten to six in Berlin at %s", (at, until) => {
  expect(closes(night, at)).toBe(until);
});

it("repeats by the rule, in the zone's days", () => {
  const weekend = {
    ...night,
    start: "2026-01-03T00:00",
    end: "2026-01-04T00:00",
    rrule: "FREQ=WEEKLY;BYDAY=SA,SU",
  };
  expect(closes(weekend, "2026-01-09T23:30:00Z")).toBe("2026-01-10T23:00");
  expect(closes(weekend, "2026-01-11T12:00:00Z")).toBe("2026-01-11T23:00");
  expect(closes(weekend, "2026-01-12T12:00:00Z")).toBe(undefined);
  const twice = { ...night, rrule: "FREQ=DAILY;COUNT=2" };
  expect(closes(twice, "2026-01-02T22:00:00Z")).toBe("2026-01-03T05:00");
  expect(closes(twice, "2026-01-03T22:00:00Z")).toBe(undefined);
});

it("without a rule is open once, in UTC by default", () => {
  const once = { start: "2026-01-01T22:00", end: "2026-01-02T06:00" };
  expect(closes(once, "2026-01-01T21:59:59Z")).toBe(undefined);
  expect(closes(once, "2026-01-01T22:00:00Z")).toBe("2026-01-02T06:00");
  expect(closes(once, "2026-01-02T06:00:00Z")).toBe(undefined);
});

it("stays right when it is asked again and again, and when the clock is set back", () => {
  const window = windowOf(night);
  for (let hour = 0; hour < 24 * 200; hour++) {
    const at = Date.parse("2026-01-02T00:30:00Z") + hour * 3_600_000;
    expect(window.openUntil(at)).toBe(windowOf(night).openUntil(at));
  }
  expect(window.openUntil(Date.parse("2026-01-10T21:00:00Z"))).toBe(Date.parse("2026-01-11T05:00:00Z"));
}, 60_000);

it.each([
  [{ ...night, end: "2026-01-01T22:00" }, "notify.windows.0.end: must be after start"],
  [{ ...night, end: "2026-03-01T22:00" }, "notify.windows.0.end: must be at most 31 days after start"],
  [{ ...night, start: "2026-02-30T22:00" }, "notify.windows.0.start: 2026-02-30T22:00 is no date"],
  [{ ...night, time_zone: "Europe/Berlinn" }, "notify.windows.0.time_zone: Europe/Berlinn is not known"],
  [{ ...night, rrule: "FREQ=NEVER" }, "notify.windows.0.rrule: Invalid FREQ value: NEVER; see RFC 5545"],
  [{ ...night, rrule: "FREQ=MINUTELY" }, "notify.windows.0.rrule: must repeat at most once an hour"],
])("%j is refused with the key and the remedy", (window, problem) => {
  expect(checkNotify(parse(window))).toEqual([expect.stringContaining(problem)]);
});
