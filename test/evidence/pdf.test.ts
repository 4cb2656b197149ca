/** Documents: what they say, that they are the same each time, and the standards that they keep. */
import { execFileSync } from "node:child_process";
import { globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { renderPdf, renderReportPdf, TooManyDocuments } from "../../src/evidence/pdf/index.ts";
import { fillTemplate, loadTemplates } from "../../src/evidence/reports/index.ts";
import { exampleBundle } from "./documents.ts";
import { facts } from "./reports.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "pdf-"));
afterAll(() => rmSync(folder, { recursive: true }));

const run = (command: string, ...args: string[]) =>
  execFileSync(command, args, { cwd: folder, encoding: "utf8", maxBuffer: 2 ** 24 });

let bundle: string;
let incident: Uint8Array;
const reports = ["dora-intermediate", "dora-final", "nis2-final", "gdpr-breach"];
beforeAll(async () => {
  bundle = await exampleBundle("incident");
  incident = await renderPdf(bundle);
  writeFileSync(join(folder, "incident.pdf"), incident);
  writeFileSync(join(folder, "anomaly.pdf"), await renderPdf(await exampleBundle("anomaly")));
  const templates = await loadTemplates();
  for (const name of reports) {
    const report = fillTemplate(templates.get(name)!, facts());
    const document = await renderReportPdf(report, "ann", "2026-01-31T12:00:00Z");
    writeFileSync(join(folder, `${name}.pdf`), document);
  }
}, 60_000);

it("is the same for the same bundle", async () => {
  expect(Buffer.compare(await renderPdf(bundle), incident)).toBe(0);
});

it("fails alone if it cannot be rendered, and refuses more than can wait", async () => {
  await expect(renderPdf("{}")).rejects.toThrow("the document cannot be rendered");
  const all = await Promise.allSettled(Array.from({ length: 22 }, () => renderPdf("{}")));
  const refused = all.filter((one) => one.status === "rejected" && one.reason instanceof TooManyDocuments);
  expect(refused).toHaveLength(2);
});

it("is rendered by libraries that nothing else loads", () => {
  const importing = (what: RegExp) =>
    globSync("src/**/*.ts", { cwd: root }).filter((file) =>
      what.test(readFileSync(join(root, file), "utf8")),
    );
  expect(importing(/"pdfkit"/)).toEqual(["src/evidence/pdf/paper.ts"]);
  expect(importing(/^import (?!type).*evidence\/pdf\/(?!index)/m)).toEqual([]);
  expect(importing(/^import (?!type).*"\.\/render\.ts"/m)).toContain("src/evidence/pdf/worker.ts");
  expect(importing(/^import (?!type).*"\.\/render\.ts"/m)).not.toContain("src/evidence/pdf/index.ts");
});

describe.skipIf(process.env.DRIFTLOCK_SKIP_PDF === "1")("with tools for PDF", () => {
  let libraries: string;
  beforeAll(() => {
    libraries = execFileSync(join(root, "scripts/verapdf.sh"), {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "inherit"],
    }).trim();
  }, 300_000);

  it("is PDF/A-3a and PDF/UA-1, whatever senders wrote", () => {
    const check = join(root, "tools/verapdf/Check.java");
    const files = ["incident", "anomaly", ...reports].map((name) => `${name}.pdf`);
    const output = run("java", "-XX:TieredStopAtLevel=1", "-cp", `${libraries}/*`, check, ...files);
    expect(output).toBe(files.map((file) => `${file} 3a true\n${file} ua1 true\n`).join(""));
  }, 120_000);

  it("embeds the bundle as it is, and all fonts", () => {
    run("pdfdetach", "-save", "1", "-o", "bundle.json", "incident.pdf");
    expect(readFileSync(join(folder, "bundle.json"), "utf8")).toBe(bundle);
    const rows = run("pdffonts", "incident.pdf").trim().split("\n").slice(2);
    expect(rows.length).toBeGreaterThan(0);
    for (const row of rows) expect(row).toMatch(/DejaVuSans.* yes yes yes /);
    expect(run("qpdf", "--check", "incident.pdf")).toContain("No syntax or stream encoding errors");
    expect(run("pdfinfo", "incident.pdf")).toMatch(/Tagged: +yes/);
  });

  it("says first what happened, when, how it was found, how sure it is and what the limits are", () => {
    const page = run("pdftotext", "-layout", "-l", "1", "incident.pdf", "-").replaceAll(/\s+/g, " ");
    for (const words of [
      "What happened Payment is slow: its own time is 41.2 s beyond what is usual",
      "First sign at 31 January 2026, 12:04:00 UTC",
      "How it was found",
      "about one of 1.6 million",
      "What the method cannot tell",
    ]) {
      expect(page).toContain(words);
    }
  });

  it("shows what the fonts lack as escapes, and no value that is none", () => {
    const text = ["incident", "anomaly", "dora-intermediate"]
      .map((name) => run("pdftotext", "-layout", `${name}.pdf`, "-"))
      .join("\n");
    expect(text).toContain("\\x00\\u{202e} \\u{1f4a5} \\u{652f}");
    expect(text).not.toMatch(/undefined|NaN|\[object|null\b/);
  });

  it("leaves blanks for what only people know, and marks drafts", () => {
    const text = run("pdftotext", "-layout", "dora-intermediate.pdf", "-").replaceAll(/\s+/g, " ");
    expect(text).toContain(
      "2.5 Criteria that make the incident major The classification criteria whose thresholds are reached. (to be filled in by a person) blank",
    );
    expect(text).toMatch(/2\.4 Description .* \(draft, to be confirmed by a person\) payment is slow/);
    expect(text).toContain("no legal advice");
  });
});
