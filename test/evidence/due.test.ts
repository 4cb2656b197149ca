/** Due times: from what people enter, by the calendar and across changes of the clocks. */
import fc from "fast-check";
import { Temporal } from "temporal-polyfill";
import { expect, test } from "vitest";
import { addDuration } from "../../src/evidence/reports/due.ts";
import { dueOf, type Entered, loadTemplates, nothingEntered } from "../../src/evidence/reports/index.ts";

const templates = await loadTemplates();
const due = (id: string, entered: Partial<Entered>, zone = "UTC", now = "2026-01-01T00:00:00Z") =>
  dueOf(templates.get(id)!, { ...nothingEntered, ...entered }, zone, now);
const aware = "2026-03-01T10:00:00Z";

test.each([
  ["nis2-early-warning", "2026-03-02T10:00:00Z"],
  ["nis2-notification", "2026-03-04T10:00:00Z"],
  ["cra-early-warning", "2026-03-02T10:00:00Z"],
  ["cra-notification", "2026-03-04T10:00:00Z"],
  ["gdpr-breach", "2026-03-04T10:00:00Z"],
  ["ai-act-serious-incident", "2026-03-16T10:00:00Z"],
  ["ai-act-serious-incident-death", "2026-03-11T10:00:00Z"],
  ["ai-act-serious-incident-widespread", "2026-03-03T10:00:00Z"],
  ["dora-initial", "2026-03-02T10:00:00Z"],
])("%s counts from awareness", (id, at) => {
  expect(due(id, { moments: { aware } })).toMatchObject({ state: "due", at });
  expect(due(id, { moments: { aware } }, "UTC", "2026-04-01T00:00:00Z").state).toBe("overdue");
  expect(due(id, {})).toMatchObject({ state: "waiting" });
  expect(due(id, {}).missing).toContain("aware");
});

test.each([
  ["dora-intermediate", "dora-initial", "2026-01-31T09:00:00Z", "2026-02-03T09:00:00Z"],
  ["dora-final", "dora-intermediate", "2026-01-31T09:00:00Z", "2026-02-28T09:00:00Z"],
  ["nis2-final", "nis2-notification", "2026-03-31T09:00:00Z", "2026-04-30T09:00:00Z"],
  ["cra-final-incident", "cra-notification", "2028-01-31T09:00:00Z", "2028-02-29T09:00:00Z"],
])("%s counts from the submission of %s", (id, other, submitted, at) => {
  expect(due(id, { moments: { aware } })).toMatchObject({ state: "waiting", missing: [other] });
  const submissions = { [other]: [submitted] };
  expect(due(id, { submissions })).toMatchObject({ state: "due", at });
  expect(due(id, { submissions: { ...submissions, [id]: [at] } }).state).toBe("submitted");
});

test("a fix starts the clock of a vulnerability's final report", () => {
  const moments = { fix_available: "2026-03-01T10:00:00+02:00" } as const;
  expect(due("cra-final-vulnerability", { moments }).at).toBe("2026-03-15T08:00:00Z");
});

test("the initial notification of DORA is due 4 hours after classification, 24 after awareness, whatever is first", () => {
  const at = (classified: string) => due("dora-initial", { moments: { aware, classified } }).at;
  expect(at("2026-03-01T12:00:00Z")).toBe("2026-03-01T16:00:00Z");
  expect(at("2026-03-02T09:00:00Z")).toBe("2026-03-02T10:00:00Z");
  // It was classified when the 24 hours had passed.
  expect(at("2026-03-03T09:00:00Z")).toBe("2026-03-03T13:00:00Z");
});

test("the latest update of the intermediate report counts, and the first notification", () => {
  const two = ["2026-03-05T00:00:00Z", "2026-03-01T00:00:00Z"];
  expect(due("dora-final", { submissions: { "dora-intermediate": two } }).at).toBe("2026-04-05T00:00:00Z");
  expect(due("dora-intermediate", { submissions: { "dora-initial": two } }).at).toBe("2026-03-04T00:00:00Z");
});

test("records have no due time", () => {
  expect(due("ai-act-records", {})).toEqual({ state: "none", reasons: [], missing: [] });
});

test("hours are exact and days keep the time of the day when the clocks change", () => {
  // In Paris the clocks go forward in the night to 29 March 2026, and back in the night to 25 October.
  expect(addDuration("2026-03-28T12:00:00+01:00", "PT24H", "Europe/Paris")).toBe("2026-03-29T11:00:00Z");
  expect(addDuration("2026-03-28T12:00:00+01:00", "P14D", "Europe/Paris")).toBe("2026-04-11T10:00:00Z");
  expect(addDuration("2026-09-30T12:00:00+02:00", "P1M", "Europe/Paris")).toBe("2026-10-30T11:00:00Z");
  // 02:30 does not exist on 29 March; the same time of the day is then an hour later.
  expect(addDuration("2026-02-28T02:30:00+01:00", "P29D", "Europe/Paris")).toBe("2026-03-29T01:30:00Z");
});

const zones = [
  "UTC",
  "Europe/Paris",
  "America/New_York",
  "Australia/Lord_Howe",
  "Asia/Kolkata",
  "Pacific/Apia",
];
const moment = fc
  .integer({ min: Date.UTC(2025, 0, 1), max: Date.UTC(2035, 0, 1) })
  .map((ms) => new Date(Math.floor(ms / 1_000) * 1_000).toISOString());
const zone = fc.constantFrom(...zones);

test("hours do not depend on the time zone", () => {
  fc.assert(
    fc.property(moment, zone, fc.integer({ min: 1, max: 100 }), (at, where, hours) => {
      const end = Date.parse(addDuration(at, `PT${hours}H`, where));
      expect(end - Date.parse(at)).toBe(hours * 3_600_000);
    }),
  );
});

test("a month later is the same day of the next month, or its last day", () => {
  fc.assert(
    fc.property(moment, zone, (at, where) => {
      const local = (text: string) => Temporal.Instant.from(text).toZonedDateTimeISO(where);
      const [start, end] = [local(at), local(addDuration(at, "P1M", where))];
      expect(end.year * 12 + end.month).toBe(start.year * 12 + start.month + 1);
      expect(end.day).toBe(Math.min(start.day, end.daysInMonth));
    }),
  );
});

test("what is entered later is not due earlier", () => {
  fc.assert(
    fc.property(moment, moment, zone, fc.constantFrom("PT72H", "P14D", "P1M"), (a, b, where, wait) => {
      const [first, second] = Date.parse(a) < Date.parse(b) ? [a, b] : [b, a];
      const ends = [first, second].map((at) => Date.parse(addDuration(at!, wait, where)));
      // An hour that the clocks repeat or leave out may turn two times of the day around by that hour.
      expect(ends[1]! - ends[0]!).toBeGreaterThanOrEqual(-3_600_000);
    }),
  );
});
