/** Checks the reports of a bundle and the settings that they were computed with. */
import { decodeReport, type Report } from "../anomaly/report.ts";
import { canonicalJson, type Json } from "../base/canonical.ts";
import { plural } from "../base/plural.ts";
import type { BundleContent } from "../evidence/bundle.ts";
import { reportJson } from "../json/report.ts";
import { type Check, checkOf } from "./checks.ts";
import { compare } from "./compare.ts";
import { fromBase64, hexDigest } from "./crypto.ts";

export async function checkSettings({ settings, anomalies, privacy }: BundleContent): Promise<Check> {
  const faults: string[] = [];
  for (const { hash, body } of settings) {
    if ((await hexDigest(canonicalJson(body as Json))) !== hash)
      faults.push(`The settings ${hash} do not fit their hash.`);
  }
  if (privacy !== null && (await hexDigest(canonicalJson(privacy.policy as Json))) !== privacy.hash) {
    faults.push("The privacy policy does not fit its hash.");
  }
  const known = new Set(settings.map(({ hash }) => hash));
  for (const { id, reports } of anomalies) {
    if (reports.some((report) => !known.has(report.settings))) {
      faults.push(`The settings of anomaly ${id} are missing.`);
    }
  }
  return checkOf(
    "settings",
    faults,
    `${plural(settings.length, "version of the settings fits its hash", "versions of the settings fit their hashes")}.`,
  );
}

export async function checkReports({ anomalies }: BundleContent): Promise<Check> {
  const faults: string[] = [];
  let count = 0;
  for (const { id, reports } of anomalies) {
    for (const [i, { message, sha256, report }] of reports.entries()) {
      count += 1;
      const name = `Report ${i + 1} of anomaly ${id}`;
      const bytes = fromBase64(message);
      if ((await hexDigest(bytes)) !== sha256) faults.push(`${name} does not fit its digest.`);
      const own = readReport(bytes);
      if (own === undefined) faults.push(`${name} cannot be read.`);
      else {
        if (own.message.id !== id) faults.push(`${name} is of another anomaly.`);
        const differences = compare(report, reportJson(own.message));
        faults.push(...differences.map((text) => `${name}: the readable form differs in ${text}.`));
      }
    }
  }
  return checkOf(
    "reports",
    faults,
    `${plural(count, "report is as the engine wrote it", "reports are as the engine wrote them")}.`,
  );
}

function readReport(bytes: Uint8Array): Report | undefined {
  try {
    return decodeReport(bytes);
  } catch {
    return undefined;
  }
}
