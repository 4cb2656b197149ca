/** Renders documents. It runs in a thread of its own: see index.ts. */

import { type Bundle, bundleSchema, type Duty } from "../bundle.ts";
import type { Report } from "../reports/fill.ts";
import { anomalyFacts, drawAnomaly } from "./anomaly.ts";
import { drawForm } from "./form.ts";
import { drawIncident, incidentFacts } from "./incident.ts";
import { colors, Paper as NewPaper, type Paper } from "./paper.ts";
import { drawRows } from "./rows.ts";
import { clockTime, figure, longTime, span } from "./words.ts";

export type RenderJob = { bundle: string } | { report: Report; author: string; createdAt: string };

/** The anomalies of an incident that are shown one by one. */
const mostAnomalies = 20;

export function render(job: RenderJob): Promise<Buffer> {
  return "bundle" in job ? renderBundle(job.bundle) : renderReport(job.report, job.author, job.createdAt);
}

async function renderReport(report: Report, author: string, createdAt: string): Promise<Buffer> {
  const paper = new NewPaper({
    title: `${report.title} (incident ${report.incident})`,
    subject: "A report to an authority, as far as monitoring can fill it in",
    author,
    createdAt: new Date(createdAt),
    footer: `${report.template} · incident ${report.incident} · ${clockTime(createdAt)} UTC`,
  });
  drawForm(paper, report);
  return paper.finish();
}

async function renderBundle(text: string): Promise<Buffer> {
  const { content, envelope }: Bundle = bundleSchema.parse(JSON.parse(text));
  const [incident] = content.incidents;
  const [anomaly] = content.anomalies;
  const what = incident === undefined ? "an anomaly" : "an incident";
  const paper = new NewPaper({
    title: `Evidence of ${what}: ${(incident ?? anomaly)?.id ?? content.id}`,
    subject: "What happened, when, how it was found and how sure it is, with the signed bundle embedded",
    author: content.author,
    createdAt: new Date(content.created_at),
    footer: `Evidence bundle ${content.id} · ${clockTime(content.created_at)} UTC`,
    attachment: {
      name: `evidence-${content.id}.json`,
      type: "application/json",
      description: "The signed evidence bundle from which this document was made",
      bytes: Buffer.from(text),
    },
  });
  drawFirstPage(paper, content, what);
  for (const one of content.incidents) drawIncident(paper, one);
  drawAnomalies(paper, content);
  drawBundle(paper, content, envelope);
  drawDuties(paper, content.duties);
  return paper.finish();
}

type Content = Bundle["content"];

function drawFirstPage(paper: Paper, content: Content, what: string): void {
  const [incident] = content.incidents;
  const [anomaly] = content.anomalies;
  paper.heading("H1", `Evidence of ${what}`);
  paper.paragraph(
    `Made at ${longTime(content.created_at)} by ${content.author}, for ${content.tenant}. This document is for reading; what counts is the signed bundle, a file that is embedded in it.`,
    { color: colors.muted, gap: 10 },
  );
  if (incident !== undefined) paper.facts(incidentFacts(incident));
  else if (anomaly !== undefined) paper.facts(anomalyFacts(anomaly));
  paper.heading("H2", "What the method cannot tell");
  paper.list(content.limits);
}

function drawAnomalies(paper: Paper, { incidents, anomalies, left_out }: Content): void {
  const alone = incidents.length === 0 && anomalies.length === 1;
  if (!alone && anomalies.length > 0) paper.newPage();
  for (const anomaly of anomalies.slice(0, mostAnomalies)) drawAnomaly(paper, anomaly, !alone);
  const rest = anomalies.slice(mostAnomalies);
  if (rest.length > 0) {
    paper.heading("H2", "Further anomalies");
    drawRows(
      paper,
      [
        { title: "Id", width: 2.6, mono: true },
        { title: "Stream", width: 3 },
        { title: "First (UTC)", width: 1.5 },
        { title: "Severity", width: 0.8 },
      ],
      rest,
      ({ id, stream, start_time, severity }) => [id, stream, clockTime(start_time), severity],
    );
  }
  if (left_out.length === 0) return;
  paper.heading("H2", "What the bundle does not contain");
  drawRows(
    paper,
    [
      { title: "Anomaly", width: 1.2, mono: true },
      { title: "Why", width: 2 },
    ],
    left_out,
    ({ anomaly, reason }) => [anomaly, reason],
  );
}

function timeStamp({ timestamping }: Content): string {
  if (!timestamping) return "There is none; the time is that of the machine that made it.";
  const { authority, missing } = timestamping;
  return missing === null
    ? `The authority ${authority} (RFC 3161) has signed when it was made.`
    : `There is none: the authority ${authority} ${missing}. The time is that of the machine that made it.`;
}

function drawBundle(paper: Paper, content: Content, envelope: Bundle["envelope"]): void {
  const { versions, audit, retention, privacy } = content;
  paper.newPage();
  paper.heading("H2", "The bundle, and how to verify it");
  paper.paragraph(
    "Save the embedded file and run “driftlock verify FILE”. It checks the signature, the audit log's proofs and the time stamp, and computes every figure and the verdict again. It needs no network and no running Driftlock.",
  );
  paper.facts([
    ["Bundle", content.id],
    ["Format", content.format],
    ["Signed with", `${content.signing.algorithm}, key ${content.signing.key_id}`],
    ["Signature", envelope.signatures[0]!.sig],
    ["Time stamp", timeStamp(content)],
    [
      "Versions",
      `Driftlock ${versions.driftlock}, Node.js ${versions.node}, ${Object.entries(versions.codecs)
        .map(([name, version]) => `${name} ${version}`)
        .join(", ")}`,
    ],
    ["Settings", content.settings.map(({ hash }) => hash).join("\n")],
    ["Seeds", content.seeds.join(", ")],
  ]);
  paper.heading("H3", "What is kept, and since when");
  paper.facts([
    [
      "Anomalies",
      `For ${span(retention.max_age_ms)} after they were last reported or decided about, up to ${figure(retention.max_bytes / 2 ** 20)} MiB.`,
    ],
    [
      "Recordings",
      `For ${span(retention.recordings.max_age_ms)}, up to ${figure(retention.recordings.max_bytes / 2 ** 20)} MiB.`,
    ],
    ["Oldest anomaly", retention.oldest_anomaly === null ? "none" : longTime(retention.oldest_anomaly)],
    [
      "Audit log",
      `${retention.audit_entries} entries${retention.audit_since === null ? "" : ` since ${longTime(retention.audit_since)}`}; nothing of it is ever deleted.`,
    ],
  ]);
  paper.heading("H3", "Personal data");
  if (privacy === null) paper.paragraph("There is no policy that masks personal data.");
  else {
    paper.paragraph(`The policy ${privacy.hash} was applied before the bundle was signed.`);
    if (privacy.counts.length > 0) {
      drawRows(
        paper,
        [
          { title: "Kind", width: 1 },
          { title: "Place", width: 1 },
          { title: "Found", width: 1 },
        ],
        privacy.counts,
        ({ kind, place, count }) => [kind, place, String(count)],
      );
    }
  }
  if (audit.entries.length === 0) return;
  paper.heading("H3", "Entries of the audit log about it");
  drawRows(
    paper,
    [
      { title: "No.", width: 0.5 },
      { title: "Time (UTC)", width: 1.8 },
      { title: "Who", width: 1.2 },
      { title: "What", width: 2 },
      { title: "Hash", width: 3, mono: true },
    ],
    audit.entries,
    ({ entry, hash }) => [String(entry.seq), clockTime(entry.time), entry.actor, entry.action, hash],
  );
}

function drawDuties(paper: Paper, duties: readonly Duty[]): void {
  if (duties.length === 0) return;
  paper.heading("H2", "Reports to authorities");
  paper.paragraph(
    "Whether one of them must be made is decided by people; nothing here is legal advice. The embedded bundle has every field as far as it could be filled in, and Driftlock writes each report as a document to complete by hand.",
  );
  const filled = (fields: Duty["fields"]) => fields.filter(({ value }) => value !== null);
  drawRows(
    paper,
    [
      { title: "Report", width: 3 },
      { title: "Follows", width: 3 },
      { title: "Due (UTC)", width: 1.5 },
      { title: "Filled in", width: 0.9 },
      { title: "Drafts among them", width: 0.9 },
      { title: "Blank", width: 0.7 },
    ],
    duties,
    ({ title, source, due, fields }) => [
      title,
      source,
      due === null ? "not known" : clockTime(due),
      String(filled(fields).length),
      String(filled(fields).filter(({ kind }) => kind === "drafted").length),
      String(fields.length - filled(fields).length),
    ],
  );
}
