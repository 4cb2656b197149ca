/** Report templates: data that say what a duty asks for, by when, and what can be filled in. */
import { z } from "zod";
import { moments } from "./entered.ts";
import { type SourceName, sourceNames, sources } from "./sources.ts";
import { type FieldType, fieldTypes } from "./values.ts";

/**
 * Who fills in a field: the program from what it has observed, the configuration, the program with a draft that a person
 * must confirm, or a person alone.
 */
export const fieldKinds = ["automatic", "configured", "drafted", "open"] as const;
export type FieldKind = (typeof fieldKinds)[number];

const templateId = z
  .string()
  .max(64)
  .regex(/^[a-z0-9]+(-[a-z0-9]+)*$/, "must be lower-case words with hyphens, such as dora-initial");
const text = z.string().trim().min(1).max(1_024);
const date = z.iso.date();
const number = z
  .string()
  .regex(/^[0-9A-Za-z]+(\.[0-9A-Za-z]+)*$/)
  .max(16);
const jsonPath = z
  .string()
  .max(256)
  .regex(/^[A-Za-z]\w*(\.([A-Za-z]\w*|\d))*$/, "must be names and small numbers with dots between them")
  .refine((path) => !/(^|\.)(constructor|prototype)(\.|$)/.test(path), "has a reserved name");

const field = z
  .strictObject({
    number,
    name: text,
    asks: text.describe("What is asked, in the template's own words"),
    kind: z.literal("open").optional(),
    source: z.enum(sourceNames).optional(),
    value: text.optional().describe("The word for what the source finds, where the form prescribes one"),
    type: z.enum(fieldTypes).optional().describe("What a person may enter; text if it is missing"),
    choices: z
      .array(text)
      .min(1)
      .max(100)
      .optional()
      .describe("The words among which the form lets people choose, for the types text and list"),
    json: jsonPath.optional().describe("The place of the value in the structure that authorities read"),
  })
  .refine(({ kind, source }) => (kind === undefined) !== (source === undefined), {
    message: "must have either `source` or `kind: open`",
    path: ["source"],
  })
  .refine(({ type = "text", choices }) => choices === undefined || type === "text" || type === "list", {
    message: "are only for the types text and list",
    path: ["choices"],
  })
  .refine(({ source, value }) => value === undefined || (source !== undefined && sources[source].worded), {
    message: "is only for sources that state a fact which forms word differently",
    path: ["value"],
  });

const dueRule = z.strictObject({
  after: z
    .string()
    .regex(
      /^P(?=.)(\d{1,3}M)?(\d{1,3}D)?(T\d{1,4}H)?$/,
      "must be an ISO 8601 duration such as PT72H, P14D or P1M",
    ),
  from: z.union([
    z.strictObject({ moment: z.enum(moments) }),
    z.strictObject({ submitted: templateId, take: z.enum(["first", "latest"]).default("first") }),
  ]),
  superseded_by: z.enum(moments).optional().describe("The rule is void if this moment comes after its time"),
});
export type DueRule = z.output<typeof dueRule>;

const section = z.strictObject({ title: text, fields: z.array(field).max(200) });

/** A template as its file has it. */
export const templateFile = z
  .strictObject({
    id: templateId,
    extends: templateId
      .optional()
      .describe("The template whose sections come first, and whose other members count"),
    version: z.int().positive(),
    duty: text.optional(),
    title: text,
    source: z.strictObject({ name: text, url: z.url().optional(), date }).optional(),
    disclaimer: text
      .refine((value) => /\bno legal advice\b/.test(value), "must say that it is no legal advice")
      .optional(),
    applies: z
      .array(z.strictObject({ from: date, to: text }))
      .max(10)
      .optional(),
    due: z.array(dueRule).max(4),
    due_note: text.optional(),
    structure: z.record(jsonPath, text).optional().describe("Constants of the structure, by their places"),
    replace: z.record(number, text).optional().describe("Other words for fields of the extended template"),
    sections: z.array(section).max(20),
  })
  .superRefine((template, context) => {
    if (template.extends !== undefined) return;
    for (const key of ["duty", "source", "disclaimer", "applies"] as const) {
      if (template[key] === undefined) {
        context.addIssue({ code: "custom", path: [key], message: "is missing", input: undefined });
      }
    }
  });
export type TemplateFile = z.output<typeof templateFile>;

export interface Field {
  number: string;
  name: string;
  asks: string;
  kind: FieldKind;
  type: FieldType;
  choices?: readonly string[];
  source?: SourceName;
  value?: string;
  json?: string;
}

/** A whole template, with what it extends. */
export interface Template {
  id: string;
  /** The template that it extends. What people enter for that one holds for this one as well. */
  extends?: string;
  version: number;
  duty: string;
  title: string;
  source: { name: string; url?: string; date: string };
  disclaimer: string;
  applies: readonly { from: string; to: string }[];
  due: readonly DueRule[];
  dueNote?: string;
  structure: Readonly<Record<string, string>>;
  sections: readonly { title: string; fields: readonly Field[] }[];
}

const toField = (
  { kind, type = "text", choices, source, value, ...rest }: z.output<typeof field>,
  other: string | undefined,
): Field => ({
  ...rest,
  kind: source === undefined ? kind! : sources[source].kind,
  type,
  ...(choices !== undefined && { choices }),
  ...(source !== undefined && { source }),
  ...((other ?? value) !== undefined && { value: (other ?? value)! }),
});

/** @param base the template that the file extends, if it extends one */
function complete(file: TemplateFile, base: Template | undefined): Template {
  const { replace = {} } = file;
  const own = file.sections.map(({ title, fields }) => ({
    title,
    fields: fields.map((one) => toField(one, undefined)),
  }));
  const inherited = (base?.sections ?? []).map(({ title, fields }) => ({
    title,
    fields: fields.map((one) => (replace[one.number] ? { ...one, value: replace[one.number]! } : one)),
  }));
  return {
    id: file.id,
    ...(file.extends !== undefined && { extends: file.extends }),
    version: file.version,
    duty: (file.duty ?? base?.duty)!,
    title: file.title,
    source: (file.source ?? base?.source)!,
    disclaimer: (file.disclaimer ?? base?.disclaimer)!,
    applies: (file.applies ?? base?.applies)!,
    due: file.due,
    ...(file.due_note !== undefined && { dueNote: file.due_note }),
    structure: { ...base?.structure, ...file.structure },
    sections: [...inherited, ...own],
  };
}

/** A template that cannot be used. The message names the file, and what to change. */
export class TemplateError extends Error {}

function check({ id, sections, structure }: Template, replaced: readonly string[]): void {
  const fields = sections.flatMap((section) => section.fields);
  const twice = (items: readonly string[]) => items.find((item, index) => items.indexOf(item) < index);
  const number = twice(fields.map((one) => one.number));
  if (number !== undefined) throw new TemplateError(`${id}: field ${number} is there twice`);
  const other = replaced.find((one) => {
    const source = fields.find((field) => field.number === one)?.source;
    return source === undefined || !sources[source].worded;
  });
  if (other !== undefined) throw new TemplateError(`${id}: replace: field ${other} has no word to replace`);
  const places = [...fields.flatMap(({ json }) => json ?? []), ...Object.keys(structure)];
  const inside = places.find((place) => places.some((one) => place.startsWith(`${one}.`)));
  const clash = twice(places) ?? inside;
  if (clash !== undefined) throw new TemplateError(`${id}: two values are at ${clash} of the structure`);
}

/**
 * Resolves what files extend and refer to.
 * @throws {TemplateError} if one extends a template that is missing or extends itself, or counts from one that is missing.
 */
export function resolveTemplates(files: readonly TemplateFile[]): ReadonlyMap<string, Template> {
  const byId = new Map(files.map((file) => [file.id, file]));
  const done = new Map<string, Template>();
  const resolve = (id: string, below: readonly string[]): Template => {
    const known = done.get(id);
    if (known !== undefined) return known;
    const file = byId.get(id);
    const from = below.at(-1);
    if (file === undefined) throw new TemplateError(`${from}: extends ${id}, which is not there`);
    if (below.includes(id)) throw new TemplateError(`${from}: extends ${id}, which extends it`);
    const base = file.extends === undefined ? undefined : resolve(file.extends, [...below, id]);
    const template = complete(file, base);
    check(template, Object.keys(file.replace ?? {}));
    done.set(id, template);
    return template;
  };
  for (const { id, due } of files) {
    resolve(id, []);
    for (const { from } of due) {
      if ("submitted" in from && !byId.has(from.submitted)) {
        throw new TemplateError(`${id}: counts from ${from.submitted}, which is not there`);
      }
    }
  }
  return new Map([...done].sort(([a], [b]) => (a < b ? -1 : 1)));
}
