/** All reports of an incident. */

import { inBundles } from "../../config/schema/reporting.ts";
import type { Config } from "../../config/schema.ts";
import type { Entered, EnteredPatch } from "./entered.ts";
import { type FilledField, fillTemplate, headOf, type Report, type ReportHead, structureOf } from "./fill.ts";
import { loadTemplates } from "./load.ts";
import { type DetectorCount, type ReportedIncident, statedMoment } from "./sources.ts";
import { type Field, type Template, TemplateError } from "./template.ts";
import { normalValue, type Value, valueFault } from "./values.ts";

/** What is known about an incident and its reports. */
export interface ReportInput {
  incident: ReportedIncident;
  entered: Entered;
  personalData?: readonly DetectorCount[];
  /** RFC 3339. */
  now: string;
}

/** What is wrong with something that a person enters. */
export interface EntryFault {
  /** A JSON pointer. */
  place: string;
  detail: string;
}

const mutable = (value: Value): string | string[] => (typeof value === "string" ? value : [...value]);

function entryFault(
  field: Field | undefined,
  filled: FilledField | undefined,
  value: Value | null,
  replace: boolean,
): string | undefined {
  if (field === undefined || filled === undefined) return "there is no such field";
  const moment = statedMoment(field.source);
  if (moment !== undefined) return `follows from the moment ${moment}: enter that instead`;
  if (value === null) return undefined;
  const found = filled.entered === null ? filled.value : filled.entered.instead_of;
  const given = field.kind === "automatic" ? "automatically" : "by the configuration";
  if (!replace && found !== null && (field.kind === "automatic" || field.kind === "configured")) {
    const shown = typeof found === "string" ? found : found.join("; ");
    return `is filled in ${given} with "${shown}"; to replace that, say so (\`replace\`)`;
  }
  return valueFault(field.type, field.choices, value);
}

export class Reporting {
  readonly #config: Pick<Config, "evidence" | "store">;
  readonly #templates: ReadonlyMap<string, Template>;

  private constructor(config: Pick<Config, "evidence" | "store">, templates: ReadonlyMap<string, Template>) {
    this.#config = config;
    this.#templates = templates;
  }

  /** @throws {TemplateError} that names the file and the remedy. */
  static async load(config: Pick<Config, "evidence" | "store">): Promise<Reporting> {
    const templates = await loadTemplates(config.evidence.templates);
    const unknown = config.evidence.reporting.in_bundles.find((id) => !templates.has(id));
    if (unknown !== undefined) {
      const ids = [...templates.keys()].join(", ");
      throw new TemplateError(
        `evidence.reporting.in_bundles: there is no template ${unknown}; there are ${ids}`,
      );
    }
    return new Reporting(config, templates);
  }

  /**
   * Returns what loads the templates when they are first needed. What the configuration says of them is checked at once.
   * @throws {TemplateError} that names the file and the remedy.
   */
  static async whenNeeded(config: Pick<Config, "evidence" | "store">): Promise<() => Promise<Reporting>> {
    let loaded: Promise<Reporting> | undefined;
    const load = () => (loaded ??= Reporting.load(config));
    const { templates, reporting } = config.evidence;
    if (templates !== undefined || reporting.in_bundles.some((id) => !inBundles.includes(id))) await load();
    return load;
  }

  /** The ids of the templates that bundles of incidents contain. */
  get inBundles(): readonly string[] {
    return this.#config.evidence.reporting.in_bundles;
  }

  has(template: string): boolean {
    return this.#templates.has(template);
  }

  /** Lists all reports with their due times. */
  list({ entered, now }: Pick<ReportInput, "entered" | "now">): ReportHead[] {
    const { reporting } = this.#config.evidence;
    return [...this.#templates.values()].map((template) => headOf(template, { entered, reporting, now }));
  }

  /** Fills a template; undefined if there is none with this id. */
  fill(id: string, input: ReportInput): Report | undefined {
    const template = this.#templates.get(id);
    if (template === undefined) return undefined;
    const { evidence, store } = this.#config;
    const facts = { ...input, reporting: evidence.reporting, retention: store.retention };
    return fillTemplate(template, facts, this.#templates);
  }

  /**
   * Brings what a person enters into the form in which it is kept.
   * @returns what is wrong with it, by its place, if anything is
   */
  check(patch: EnteredPatch, input: ReportInput): { patch: EnteredPatch } | { faults: EntryFault[] } {
    const faults: EntryFault[] = [];
    const fields: EnteredPatch["fields"] = {};
    const unknown = (place: string) => faults.push({ place, detail: "there is no such template" });
    for (const id of Object.keys(patch.submissions)) if (!this.has(id)) unknown(`/submissions/${id}`);
    for (const [id, values] of Object.entries(patch.fields)) {
      const template = this.#templates.get(id);
      if (template === undefined) {
        unknown(`/fields/${id}`);
        continue;
      }
      const known = new Map(
        template.sections.flatMap((section) => section.fields).map((one) => [one.number, one]),
      );
      const report = this.fill(id, input)!;
      const filled = new Map(
        report.sections.flatMap((section) => section.fields).map((one) => [one.number, one]),
      );
      const checked: [string, string | string[] | null][] = [];
      for (const [number, value] of Object.entries(values)) {
        const field = known.get(number);
        const detail = entryFault(field, filled.get(number), value, patch.replace);
        if (detail !== undefined) faults.push({ place: `/fields/${id}/${number}`, detail });
        else checked.push([number, value === null ? null : mutable(normalValue(field!.type, value))]);
      }
      fields[id] = Object.fromEntries(checked);
    }
    return faults.length > 0 ? { faults } : { patch: { ...patch, fields } };
  }

  /** Returns a report in the structure that authorities read; undefined if its template has none. */
  structure(report: Report): Record<string, unknown> | undefined {
    return structureOf(this.#templates.get(report.template)!, report);
  }
}
