/** A report to an authority as a form: what is filled in, what is a draft, and what a person fills in. */
import { plural } from "../../base/plural.ts";
import { enteredText, type FilledField, isDraft, type Report } from "../reports/fill.ts";
import type { FieldKind } from "../reports/template.ts";
import { colors, type Paper } from "./paper.ts";
import { longTime } from "./words.ts";

const kindLabels: Readonly<Record<FieldKind, string>> = {
  automatic: "observed",
  configured: "configured",
  drafted: "draft, to be confirmed by a person",
  open: "to be filled in by a person",
};

function drawField(paper: Paper, field: FilledField): void {
  const { number, name, asks, kind, value, blank } = field;
  const { doc } = paper;
  paper.room(52);
  paper.paragraph(`${number}  ${name}`, { face: "bold", size: 9, gap: 0 });
  paper.paragraph(`${asks} (${enteredText(field) ?? kindLabels[kind]})`, {
    size: 7.5,
    color: kind === "drafted" && field.entered === null ? colors.draft : colors.muted,
    gap: 2,
  });
  if (value === null) {
    const top = doc.y;
    paper.artifact(() =>
      doc
        .roundedRect(paper.left, top, paper.width, 20, 2)
        .lineWidth(0.6)
        .dash(2, { space: 2 })
        .strokeColor(colors.muted)
        .stroke()
        .undash(),
    );
    doc.y = top + 6;
    paper.paragraph(`   ${kind === "open" ? "blank" : `blank: ${blank}`}`, {
      size: 7,
      color: colors.muted,
      gap: 0,
    });
    doc.y = top + 28;
    return;
  }
  if (typeof value === "string") paper.paragraph(value, { gap: 8 });
  else paper.list(value);
}

function dueText({ due }: Report): string {
  if (due.state === "submitted") return "It was submitted.";
  if (due.state === "none") return "The duty names no time.";
  return due.at === undefined ? "Not known yet." : longTime(due.at);
}

export function drawForm(paper: Paper, report: Report): void {
  const { source, sections } = report;
  paper.heading("H1", report.title);
  const fields = sections.flatMap((section) => section.fields);
  const blank = fields.filter(({ value }) => value === null).length;
  const drafts = fields.filter(isDraft).length;
  paper.facts([
    ["Incident", report.incident],
    [
      "Follows",
      `${source.name}, published on ${source.date}. Template ${report.template}, version ${report.version}.`,
    ],
    ["Due", dueText(report)],
    [
      "State",
      `${fields.length - blank} of ${plural(fields.length, "field")} filled in, ${plural(drafts, "draft")} among them; ${blank} blank.`,
    ],
  ]);
  paper.list([
    report.disclaimer,
    ...report.applies.map(({ from, to }) => `${to}: it applies from ${from}.`),
    ...report.due.reasons,
  ]);
  for (const section of sections) {
    paper.heading("H2", section.title);
    for (const field of section.fields) drawField(paper, field);
  }
}
