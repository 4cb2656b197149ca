/** Bundles of incidents contain reports to authorities, and real bundles become documents. */
import { expect, it } from "vitest";
import { configSchema } from "../../src/config/schema.ts";
import { type Bundle, bundleSchema } from "../../src/evidence/bundle.ts";
import { renderPdf } from "../../src/evidence/pdf/index.ts";
import { dutiesBy, Reporting, TemplateError } from "../../src/evidence/reports/index.ts";
import { id } from "../store/fixtures.ts";
import { fill, making } from "./made.ts";

it("fills in the configured templates, with what people entered", async () => {
  const reporting = await Reporting.whenNeeded(configSchema.parse({}));
  const made = await making(
    {},
    {
      duties: (content) => dutiesBy(reporting, made.store.incidentReports)(content),
      privacy: () => ({
        hash: "0".repeat(64),
        policy: { stored: "mask", forwarded: "flag" },
        counts: [
          { kind: "email", place: "stored", count: 3 },
          { kind: "card", place: "forwarded", count: 1 },
        ],
      }),
    },
  );
  await fill(made);
  const entered = { moments: { aware: "2026-01-31T00:10:00Z" }, submissions: {} };
  await made.store.incidentReports.change("acme", id(1), "ann", () => ({ entered, detail: {} }));
  const file = await made.make({ incident: id(1) });
  const { content }: Bundle = bundleSchema.parse(JSON.parse(file));
  const templates = content.duties.map(({ template, due }) => [template, due]);
  expect(templates).toEqual([
    ["dora-final", null],
    ["nis2-final", null],
    ["cra-final-incident", null],
    ["ai-act-records", null],
    ["gdpr-breach", "2026-02-03T00:10:00Z"],
  ]);
  const [dora] = content.duties;
  expect(dora!.fields).toHaveLength(76);
  expect(dora!.notes.join(" ")).toContain("no legal advice");
  expect(content.duties[4]!.fields.find(({ id }) => id === "6")!.value).toEqual([
    "email in what is stored: 3 matches, masked unless a rule says otherwise",
    "card in what is forwarded: 1 match, not masked unless a rule says otherwise",
  ]);
  expect(
    Buffer.from(await renderPdf(file))
      .subarray(0, 8)
      .toString(),
  ).toBe("%PDF-1.7");
  expect((JSON.parse(await made.make({ anomaly: id(1) })) as Bundle).content.duties).toEqual([]);
});

it("names a template that is not there", async () => {
  const config = configSchema.parse({ evidence: { reporting: { in_bundles: ["dora"] } } });
  await expect(Reporting.whenNeeded(config)).rejects.toThrow(TemplateError);
  await expect(Reporting.load(config)).rejects.toThrow(
    "evidence.reporting.in_bundles: there is no template dora",
  );
});
