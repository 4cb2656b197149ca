/** What people enter about the reports of an incident. */
import { z } from "zod";
import { maxItems, maxText } from "./values.ts";

/** The moments that a person enters, because no monitoring knows them. */
export const moments = ["aware", "classified", "fix_available"] as const;
export type Moment = (typeof moments)[number];

const time = z.iso.datetime({ offset: true });
const template = z.string().max(64);
const number = z.string().max(16);
const value = z.union([z.string().max(maxText), z.array(z.string().max(maxText)).max(maxItems)]);

/** At most this many submissions of a report are kept, since updates of it may be submitted. */
const maxSubmissions = 50;

/** The times that due times count from. */
export const timesSchema = z.strictObject({
  moments: z.partialRecord(z.enum(moments), time).default({}),
  submissions: z.record(template, z.array(time).min(1).max(maxSubmissions)).default({}),
});

const entrySchema = z.object({
  value,
  author: z.string().describe("Who entered it"),
  at: z.string().describe("When, as RFC 3339 in UTC"),
});
export type Entry = z.output<typeof entrySchema>;

export const enteredSchema = timesSchema.extend({
  fields: z
    .record(template, z.record(number, entrySchema))
    .default({})
    .describe("Fields of reports that people have filled in, by template and number"),
});
export type Entered = z.output<typeof enteredSchema>;

export const nothingEntered: Entered = { moments: {}, submissions: {}, fields: {} };

/** What a person enters in addition, or removes. */
export const patchSchema = z.strictObject({
  moments: z.partialRecord(z.enum(moments), time.nullable()).default({}).describe("Null removes a moment"),
  submissions: z
    .record(template, z.array(time).max(maxSubmissions))
    .default({})
    .describe("All submissions of a report; an empty list removes them"),
  fields: z
    .record(template, z.record(number, value.nullable()))
    .default({})
    .describe("Values of fields, by template and number; null removes what was entered"),
  replace: z
    .boolean()
    .default(false)
    .describe("Whether values that are filled in automatically or by the configuration may be replaced"),
});
export type EnteredPatch = z.output<typeof patchSchema>;

/** Applies a change to a record of what was entered: what is undefined in `next` is removed. */
function merged<T>(before: Readonly<Record<string, T>>, next: Readonly<Record<string, T | undefined>>) {
  const all = Object.entries({ ...before, ...next });
  return Object.fromEntries(all.filter((pair): pair is [string, T] => pair[1] !== undefined));
}

/** @param at when, as RFC 3339 */
export function applyPatch(before: Entered, patch: EnteredPatch, author: string, at: string): Entered {
  const map = <A, B>(record: Readonly<Record<string, A>>, of: (each: A, name: string) => B) =>
    Object.fromEntries(Object.entries(record).map(([name, each]) => [name, of(each, name)]));
  const fields = map(patch.fields, (values, id) => {
    const entries = map(values, (each) => (each === null ? undefined : { value: each, author, at }));
    const all = merged<Entry>(before.fields[id] ?? {}, entries);
    return Object.keys(all).length === 0 ? undefined : all;
  });
  return {
    moments: merged(
      before.moments,
      map(patch.moments, (each) => each ?? undefined),
    ),
    submissions: merged(
      before.submissions,
      map(patch.submissions, (each) => (each.length === 0 ? undefined : each)),
    ),
    fields: merged(before.fields, fields),
  };
}
