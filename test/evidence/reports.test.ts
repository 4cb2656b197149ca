/** Report templates: their fields, what fills them, and the structure for authorities. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Ajv2020 } from "ajv/dist/2020.js";
import addFormats from "ajv-formats";
import { expect, onTestFinished, test } from "vitest";
import {
  fieldKinds,
  fillTemplate,
  loadTemplates,
  structureOf,
  type Template,
} from "../../src/evidence/reports/index.ts";
import { sourceNames } from "../../src/evidence/reports/sources.ts";
import { normalValue, valueFault } from "../../src/evidence/reports/values.ts";
import { doraStructure, placesOf } from "./dora-structure.ts";
import { bare, facts } from "./reports.ts";

const templates = await loadTemplates();
const one = (id: string): Template => templates.get(id)!;
const fieldsOf = (id: string) => one(id).sections.flatMap(({ fields }) => fields);

function folder(files: Record<string, string>): string {
  const path = mkdtempSync(join(tmpdir(), "templates-"));
  onTestFinished(() => rmSync(path, { recursive: true }));
  for (const [name, text] of Object.entries(files)) writeFileSync(join(path, name), text);
  return path;
}

test("there is a template for each duty and stage, with its source and the advice that it is none", () => {
  expect([...templates.keys()]).toEqual([
    "ai-act-records",
    "ai-act-serious-incident",
    "ai-act-serious-incident-death",
    "ai-act-serious-incident-widespread",
    "cra-early-warning",
    "cra-final-incident",
    "cra-final-vulnerability",
    "cra-notification",
    "dora-final",
    "dora-initial",
    "dora-intermediate",
    "gdpr-breach",
    "nis2-early-warning",
    "nis2-final",
    "nis2-notification",
  ]);
  for (const { source, disclaimer } of templates.values()) {
    expect(source.date).toMatch(/^20\d\d-/);
    expect(disclaimer).toContain("no legal advice");
  }
  expect(one("ai-act-serious-incident").applies.map(({ from }) => from)).toEqual([
    "2027-12-02",
    "2028-08-02",
  ]);
});

test("the 76 fields of DORA are sorted into what is known, configured, drafted and open", () => {
  expect(fieldsOf("dora-initial")).toHaveLength(25);
  expect(fieldsOf("dora-intermediate")).toHaveLength(60);
  expect(fieldsOf("dora-final")).toHaveLength(76);
  const kinds = Map.groupBy(fieldsOf("dora-final"), ({ kind }) => kind);
  const numbers = (kind: "automatic" | "configured" | "drafted") =>
    kinds.get(kind)!.map(({ number }) => number);
  expect(numbers("automatic")).toEqual([
    "1.1",
    "2.1",
    "2.2",
    "2.3",
    "2.7",
    "3.2",
    "3.15",
    "3.17",
    "4.8",
    "4.15",
    "4.16",
  ]);
  expect(numbers("configured")).toEqual([
    ...Array.from({ length: 14 }, (_, index) => `1.${index + 2}`),
    "3.22",
    "3.27",
  ]);
  expect(numbers("drafted")).toEqual(["2.4", "3.3", "3.16", "3.28", "3.29", "3.35", "4.6"]);
  expect(kinds.get("open")).toHaveLength(76 - 11 - 16 - 7);
});

test("fields are filled with what is known, and open ones stay blank", () => {
  const report = fillTemplate(one("dora-final"), facts());
  const filled = new Map(
    report.sections.flatMap(({ fields }) => fields).map((field) => [field.number, field]),
  );
  const value = (number: string) => filled.get(number)!.value;
  expect(
    Object.fromEntries(["1.1", "1.3", "2.2", "2.3", "2.7", "3.2"].map((one) => [one, value(one)])),
  ).toEqual({
    "1.1": "final_report",
    "1.3": "5493001KJTIIGC8Y1R12",
    "2.2": "2026-01-31T00:02:00Z",
    "2.3": "2026-01-31T01:00:00Z",
    "2.7": "monitoring_systems",
    "3.2": "2026-01-31T00:00:00Z",
  });
  expect(
    Object.fromEntries(["3.15", "3.22", "3.27", "3.28", "3.29", "4.8"].map((one) => [one, value(one)])),
  ).toEqual({
    "3.15": "0:01:35",
    "3.22": "payment",
    "3.27": "Payments (payment), Retail sales (checkout)",
    "3.28": "yes",
    "3.29": "postgres",
    "4.8": "2026-01-31T03:00:00Z",
  });
  expect(value("2.4")).toContain("payment is slow, and checkout waits for it. Monitoring saw");
  expect(value("4.6")).toEqual(["2026-01-31T03:00:00Z, ann: restarted the pool"]);
  for (const { kind, value, blank } of filled.values()) {
    if (kind === "open") expect([value, blank]).toEqual([null, "a person fills this in"]);
  }
});

test.each([...templates.keys()])("%s never says more than is known", (id) => {
  const text = JSON.stringify(fillTemplate(one(id), bare()).sections);
  expect(text).not.toMatch(/undefined|NaN|malicious":"yes|is major/);
  const fields = fillTemplate(one(id), bare()).sections.flatMap((section) => section.fields);
  for (const { kind, value, blank } of fields) {
    if (kind === "open" || kind === "configured") expect(value).toBeNull();
    expect(value === null).toBe(blank !== null && blank !== "");
  }
});

test("the structure for supervisors has a place for each field, and each field a place", () => {
  const places = fieldsOf("dora-final").map(({ json }) => json!);
  const constants = Object.keys(one("dora-final").structure);
  const structure = placesOf(doraStructure).filter((place) => !place.endsWith("entityType"));
  // An entity may have a code or a type that the template gives only where a field asks for it.
  const unasked = structure.filter((place) => !places.includes(place));
  expect(places.filter((place) => !structure.includes(place))).toEqual([]);
  expect(unasked).toEqual([
    "submittingEntity.affectedEntityType",
    "submittingEntity.LEI",
    "affectedEntity.0.code",
    "ultimateParentUndertaking.code",
    "ultimateParentUndertaking.affectedEntityType",
  ]);
  expect(constants.filter((place) => !placesOf(doraStructure).includes(place))).toEqual([]);
});

test("what people enter in the fields of DORA is valid in the structure, by the types of the fields", () => {
  const template = one("dora-final");
  const samples: Readonly<Record<string, string>> = {
    time: "2026-01-31T12:10:00Z",
    duration: "0:03:25",
    number: "-12000.50",
    percentage: "99.5",
    integer: "17",
    boolean: "no",
  };
  const open = template.sections.flatMap(({ fields }) => fields).filter(({ kind }) => kind === "open");
  const entries = open.map(({ number, type, choices, name }) => {
    const value = normalValue(type, choices?.[0] ?? samples[type] ?? name);
    expect(valueFault(type, choices, value)).toBeUndefined();
    return [number, { value: value as string, author: "ann", at: "2026-01-31T12:10:00Z" }];
  });
  const fields = { "dora-final": Object.fromEntries(entries) };
  const report = fillTemplate(template, facts({ entered: { ...facts().entered, fields } }));
  const ajv = new Ajv2020({ allErrors: true });
  addFormats.default(ajv);
  const validate = ajv.compile(doraStructure);
  validate(structureOf(template, report));
  expect(validate.errors).toBeNull();
});

test.each([
  ["time", "2026-02-30", "must be a time with its zone"],
  ["time", "2026-01-31T12:10:00", "must be a time with its zone"],
  ["percentage", "101", "must be a number from 0 to 100"],
  ["integer", "1.5", "must be a whole number"],
  ["number", "12,000", "must be a number"],
  ["duration", "25:70", "must be days, hours and minutes"],
  ["boolean", "true", "must be yes or no"],
  ["text", " ", "must have 1 to 8192 characters"],
  ["text", ["one", "two"], "must be one text"],
  ["list", [], "must be 1 to 50 texts"],
] as const)("a field of the type %s cannot hold %s", (type, value, fault) => {
  expect(valueFault(type, undefined, value)).toContain(fault);
});

test.each(["dora-initial", "dora-intermediate", "dora-final"])(
  "the structure of %s is valid but for what only people know",
  (id) => {
    const ajv = new Ajv2020({ allErrors: true });
    addFormats.default(ajv);
    const validate = ajv.compile(doraStructure);
    const structure = structureOf(one(id), fillTemplate(one(id), facts())) as {
      incident: Record<string, unknown>;
    };
    validate(structure);
    expect(validate.errors?.map(({ message }) => message)).toEqual([
      "must have required property 'classificationTypes'",
    ]);
    structure.incident.classificationTypes = [{ classificationCriterion: "critical_services_affected" }];
    expect(validate(structure)).toBe(true);
    expect(structure.incident.incidentDescription).toMatch(
      /^DRAFT, to be confirmed by a person: payment is slow/,
    );
    expect(structureOf(one("nis2-final"), fillTemplate(one("nis2-final"), facts()))).toBeUndefined();
  },
);

const mine = `
id: own
extends: dora-initial
version: 3
title: Our own report
due: [{after: PT1H, from: {moment: aware}}]
replace: {"1.1": ours}
sections:
  - title: More
    fields: [{number: "9", name: Room, asks: Where it happened., kind: open}]
`;

const guide = readFileSync(new URL("../../docs/guides/reporting.md", import.meta.url), "utf8");

test("the guide's template can be used, it names every source, and it counts right", async () => {
  const block = /^ {4}id: our-authority\n(?: {4}.*\n)+/m.exec(guide)![0].replaceAll(/^ {4}/gm, "");
  const added = await loadTemplates(folder({ "own.yaml": block }));
  const fields = added.get("our-authority")!.sections.at(-1)!.fields;
  expect(fields.map(({ kind }) => kind)).toEqual(["automatic", "open"]);
  for (const source of sourceNames) expect(guide).toContain(`\`${source}\``);
  for (const id of ["dora-initial", "dora-intermediate", "dora-final"]) {
    const kinds = Map.groupBy(fieldsOf(id), ({ kind }) => kind);
    const counts = fieldKinds.map((kind) => `${kinds.get(kind)!.length} ${kind}`).join(", ");
    expect(guide).toContain(`${fieldsOf(id).length}: ${counts} |`);
  }
});

test("users add templates, and replace built-in ones", async () => {
  const added = await loadTemplates(folder({ "own.yaml": mine, "ignored.txt": "x" }));
  expect(added.size).toBe(templates.size + 1);
  const report = fillTemplate(added.get("own")!, facts());
  expect(report.sections[0]!.fields[0]!.value).toBe("ours");
  expect(report.sections.at(-1)!.fields.map(({ name }) => name)).toEqual(["Room"]);
  expect(report.due.at).toBe("2026-01-31T01:05:00Z");
  const replaced = await loadTemplates(folder({ "a.json": JSON.stringify({ ...one0, id: "gdpr-breach" }) }));
  expect(replaced.size).toBe(templates.size);
  expect(replaced.get("gdpr-breach")!.title).toBe("Short");
});

const one0 = {
  id: "short",
  version: 1,
  duty: "None",
  title: "Short",
  source: { name: "Us", date: "2026-01-01" },
  disclaimer: "This is no legal advice.",
  applies: [],
  due: [],
  sections: [],
};

test.each([
  [{ ...one0, disclaimer: "Trust us" }, "disclaimer: must say that it is no legal advice"],
  [{ ...one0, source: undefined }, "source: is missing"],
  [{ ...one0, extends: "nothing" }, "short: extends nothing, which is not there"],
  [{ ...one0, extends: "short" }, "short: extends short, which extends it"],
  [
    { ...one0, due: [{ after: "72h", from: { moment: "aware" } }] },
    "due.0.after: must be an ISO 8601 duration",
  ],
  [
    { ...one0, due: [{ after: "PT1H", from: { submitted: "x" } }] },
    "short: counts from x, which is not there",
  ],
  [withField({ source: "guess" }), "sections.0.fields.0.source: Invalid option"],
  [withField({ source: "duration", kind: "open" }), "must have either `source` or `kind: open`"],
  [withField({ source: "duration", value: "long" }), "is only for sources that state a fact"],
  [
    { ...one0, extends: "dora-initial", replace: { "2.4": "x" } },
    "replace: field 2.4 has no word to replace",
  ],
  [withField({ kind: "open", json: "a" }, { kind: "open", number: "1" }), "short: field 1 is there twice"],
  [
    withField({ kind: "open", json: "a" }, { kind: "open", number: "2", json: "a.b" }),
    "short: two values are at a.b of the structure",
  ],
  [withField({ kind: "open", json: "a.constructor.b" }), "has a reserved name"],
])("a template with a fault is refused by name: %#", async (template, message) => {
  await expect(loadTemplates(folder({ "t.json": JSON.stringify(template) }))).rejects.toThrow(message);
});

test("JSON that has a name twice is refused", async () => {
  const text = JSON.stringify(one0).replace('"version":1', '"version":1,"version":2');
  await expect(loadTemplates(folder({ "t.json": text }))).rejects.toThrow(/t\.json: .*unique/);
});

function withField(...fields: Record<string, string>[]) {
  const whole = fields.map((more) => ({ number: "1", name: "Field", asks: "What.", ...more }));
  return { ...one0, sections: [{ title: "Section", fields: whole }] };
}
