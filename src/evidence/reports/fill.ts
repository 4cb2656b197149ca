/** Fills a template with what is known about an incident. */
import { type Due, dueOf } from "./due.ts";
import type { Entered, Entry, Moment } from "./entered.ts";
import { type Facts, sources, statedMoment } from "./sources.ts";
import type { Field, FieldKind, Template } from "./template.ts";
import { type FieldType, structuredValue, type Value } from "./values.ts";

export interface FilledField {
  number: string;
  name: string;
  asks: string;
  kind: FieldKind;
  type: FieldType;
  choices?: readonly string[];
  /** The moment that it states, which people enter as such. */
  moment?: Moment;
  /** Null if it is blank. */
  value: Value | null;
  /** Why it is blank; null if it is not. */
  blank: string | null;
  /** Who entered the value, when, and what it takes the place of; null if no person did. */
  entered: { author: string; at: string; instead_of: Value | null } | null;
}

/** A report as a list shows it. */
export interface ReportHead {
  template: string;
  version: number;
  duty: string;
  title: string;
  source: Template["source"];
  disclaimer: string;
  applies: Template["applies"][number][];
  due: Due;
}

export interface Report extends ReportHead {
  incident: string;
  sections: { title: string; fields: FilledField[] }[];
}

const byPerson = "a person fills this in";

function read({ source, value }: Field, facts: Facts): Value | undefined {
  if (source === undefined) return undefined;
  // What a worded source states is always so; the template has the word for it.
  if (sources[source].worded && value !== undefined) return value;
  return sources[source].read(facts);
}

export function headOf(
  template: Template,
  { entered, reporting, now }: Pick<Facts, "entered" | "reporting" | "now">,
): ReportHead {
  const { id, version, duty, title, source, disclaimer, applies } = template;
  const due = dueOf(template, entered, reporting.time_zone, now);
  return { template: id, version, duty, title, source, disclaimer, applies: [...applies], due };
}

/** Whether a value is a draft that no person has confirmed. */
export const isDraft = ({ kind, value, entered }: Pick<FilledField, "kind" | "value" | "entered">) =>
  kind === "drafted" && value !== null && entered === null;

/** Says who entered a value, for people. Undefined if no person did. */
export function enteredText({ entered }: Pick<FilledField, "entered">): string | undefined {
  if (entered === null) return undefined;
  const { author, at, instead_of } = entered;
  const by = `entered by ${author} at ${at}`;
  if (instead_of === null) return by;
  return `${by}, instead of ${typeof instead_of === "string" ? instead_of : instead_of.join("; ")}`;
}

/** Returns what people entered for a template: for those that it extends, unless for itself. */
function entriesFor(template: Template, { fields }: Entered, all: ReadonlyMap<string, Template>) {
  const chain: Template[] = [];
  for (let each: Template | undefined = template; each !== undefined; each = all.get(each.extends ?? "")) {
    chain.unshift(each);
  }
  return new Map(chain.flatMap(({ id }): [string, Entry][] => Object.entries(fields[id] ?? {})));
}

/** @param all all templates by their ids, among them those that it extends */
export function fillTemplate(
  template: Template,
  facts: Facts,
  all: ReadonlyMap<string, Template> = new Map(),
): Report {
  const entries = entriesFor(template, facts.entered, all);
  return {
    ...headOf(template, facts),
    incident: facts.incident.id,
    sections: template.sections.map(({ title, fields }) => ({
      title,
      fields: fields.map((field) => {
        const { number, name, asks, kind, type, choices, source } = field;
        const found = read(field, facts) ?? null;
        const entry = entries.get(number);
        const moment = statedMoment(source);
        const value = entry?.value ?? found;
        const blank = source === undefined ? byPerson : sources[source].lacks;
        return {
          number,
          name,
          asks,
          kind,
          type,
          ...(choices !== undefined && { choices }),
          ...(moment !== undefined && { moment }),
          value,
          blank: value === null ? blank : null,
          entered: entry === undefined ? null : { author: entry.author, at: entry.at, instead_of: found },
        };
      }),
    })),
  };
}

/** Marks a draft where the structure has no place for the mark. */
const draftMark = "DRAFT, to be confirmed by a person: ";

type Leaf = ReturnType<typeof structuredValue>;
type Node = { [name: string]: Node | Leaf };

/** Puts a value at a path, whose numbers are places in lists. */
function place(root: Node, [name, ...rest]: readonly string[], value: Leaf): void {
  if (rest.length === 0) {
    root[name!] = value;
    return;
  }
  root[name!] ??= (/^\d+$/.test(rest[0]!) ? [] : {}) as Node;
  place(root[name!] as Node, rest, value);
}

const has = (root: Node | Leaf | undefined, [name, ...rest]: readonly string[]): boolean =>
  name === undefined ? root !== undefined : typeof root === "object" && has((root as Node)[name], rest);

/**
 * Returns the values of a report in the structure that authorities read, or undefined if the template has none. Blank fields are
 * absent. Texts that are drafts say so, and drafts of times, durations and words from lists are absent, because nothing marks them.
 */
export function structureOf(template: Template, report: Report): Record<string, unknown> | undefined {
  const fields = template.sections.flatMap((section) => section.fields);
  if (fields.every(({ json }) => json === undefined)) return undefined;
  const filled = new Map(
    report.sections.flatMap((section) => section.fields).map((one) => [one.number, one]),
  );
  const root: Node = {};
  for (const { number, type, json, source } of fields) {
    const one = filled.get(number);
    const value = one?.value ?? null;
    if (json === undefined || one === undefined || value === null) continue;
    if (!isDraft(one)) place(root, json.split("."), structuredValue(type, value));
    else if (source !== undefined && proseDrafts.has(source)) {
      place(root, json.split("."), `${draftMark}${typeof value === "string" ? value : value.join("; ")}`);
    }
  }
  for (const [path, value] of Object.entries(template.structure)) {
    const steps = path.split(".");
    if (has(root, steps.slice(0, -1))) place(root, steps, value);
  }
  return root;
}

const proseDrafts: ReadonlySet<string> = new Set([
  "description",
  "timeline",
  "infrastructure_components",
  "indicators",
  "resolution",
] satisfies (keyof typeof sources)[]);
