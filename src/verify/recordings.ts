/** Computes the verdicts of a bundle again from their recordings, and compares every figure and every sentence. */
import { decodeRecording, type Report } from "../anomaly/report.ts";
import { plural } from "../base/plural.ts";
import type { BundleAnomaly, BundleContent, BundleRecording } from "../evidence/bundle.ts";
import { type ReportJson, reportJson } from "../json/report.ts";
import { type Check, failed, unchecked } from "./checks.ts";
import { compare } from "./compare.ts";
import { fromBase64, hexDigest } from "./crypto.ts";
import { givenText } from "./given.ts";

export interface RecomputeOptions {
  /** Computes a report again from its recording. Without it, recordings are not computed. */
  recompute?: (recording: Uint8Array) => Report | Promise<Report>;
  /**
   * The version of Driftlock that `recompute` is of. What another version has recorded and this one computes differently is then
   * not confirmed, rather than refuted.
   */
  version?: string;
}

/** Codes of errors that say nothing against the recording. */
const cannotHere = new Set<unknown>(["ERR_DRIFTLOCK_RECORDING_FORMAT", "ERR_DRIFTLOCK_NEEDS_ADDON"]);

export async function checkRecordings(
  { anomalies }: BundleContent,
  options: RecomputeOptions,
): Promise<Check> {
  const found = outcome({});
  const counts = { first: 0, later: 0 };
  let kept = 0;
  for (const recorded of anomalies.flatMap(recordedIn)) {
    const { name, recording, isFirst } = recorded;
    if (!recording.kept) {
      found.notes.push(`${name} cannot be computed again: ${recording.reason}`);
      continue;
    }
    kept += 1;
    const bytes = fromBase64(recording.data);
    if ((await hexDigest(bytes)) !== recording.sha256) {
      found.faults.push(`The recording of ${lower(name)} does not fit its digest.`);
    } else if (options.recompute !== undefined) {
      const own = await computeAgain(recorded, bytes, options);
      found.faults.push(...own.faults);
      found.notes.push(...own.notes);
      if (own.confirmed) counts[isFirst ? "first" : "later"] += 1;
    }
  }
  const { faults, notes } = found;
  if (faults.length > 0) return failed("recordings", ...faults);
  if (options.recompute === undefined && kept > 0) notes.push("No recording was computed again.");
  if (counts.first + counts.later === 0) return unchecked("recordings", ...notes);
  const later = anomalies.reduce((sum, { reports }) => sum + Math.max(0, reports.length - 1), 0);
  if (later > 0) {
    notes.push(
      `${counts.later} of ${plural(later, "report", "reports")} after the first of an anomaly ${later === 1 ? "was" : "were"} computed again, without the measures of their windows. What shows nothing new is not recorded: it is signed as it stands.`,
    );
  }
  const confirmed = `${counts.first} of ${plural(anomalies.length, "verdict was", "verdicts were")} computed again, with the same figures and sentences.`;
  return { name: "recordings", ok: true, details: [confirmed, ...notes] };
}

const lower = (name: string) => name[0]!.toLowerCase() + name.slice(1);

/** A report with what it was computed from. */
interface Recorded {
  /** As the subject of a sentence. */
  name: string;
  anomaly: BundleAnomaly;
  isFirst: boolean;
  recording: BundleRecording;
  /** Undefined if the bundle does not have it. */
  report: ReportJson | undefined;
}

function recordedIn(anomaly: BundleAnomaly): Recorded[] {
  const { id, reports, recording } = anomaly;
  const first = reports.find(({ roles }) => roles.includes("first"))?.report;
  return [
    { name: `Anomaly ${id}`, anomaly, isFirst: true, recording, report: first },
    ...reports.flatMap(({ recording: own, report }, i) =>
      own === undefined
        ? []
        : [{ name: `Report ${i + 1} of anomaly ${id}`, anomaly, isFirst: false, recording: own, report }],
    ),
  ];
}

interface Outcome {
  faults: string[];
  notes: string[];
  confirmed: boolean;
}
const outcome = (more: Partial<Outcome>): Outcome => ({ faults: [], notes: [], confirmed: false, ...more });

async function computeAgain(
  { name, anomaly, isFirst, report }: Recorded,
  recording: Uint8Array,
  { recompute, version }: RecomputeOptions,
): Promise<Outcome> {
  if (report === undefined) return outcome({ faults: [`${name} has a recording, but no first report.`] });
  let again: Report;
  try {
    again = await recompute!(recording);
  } catch (error) {
    const { code, message } = error as Error & { code?: unknown };
    const text = `${name} cannot be computed again: ${message}.`;
    return outcome(cannotHere.has(code) ? { notes: [text] } : { faults: [text] });
  }
  const { differences, missing } = differencesOf(anomaly, report, again);
  const decoded = decodeRecording(recording);
  if (differences.length === 0) {
    const given = givenText(decoded);
    // The windows of later reports are not recorded: that is said once for all of them.
    const notes = [...(isFirst ? missing : []), ...(given === undefined ? [] : [given])];
    return outcome({ confirmed: true, notes: notes.map((text) => `${name}: ${text}`) });
  }
  const recorded = decoded.version;
  if (version === undefined || recorded === version) {
    return outcome({ faults: differences.map((text) => `${name}, computed again, ${text}.`) });
  }
  const note = `${name} was recorded by version ${recorded}, and version ${version} computes it differently: only version ${recorded} can tell whether the report is right. Computed by this version, it`;
  return outcome({ notes: [`${note} ${differences.join("; it ")}.`] });
}

/** Returns where a report differs from what is computed, and what cannot be computed, in sentences. */
function differencesOf(
  { id, excerpts }: BundleAnomaly,
  report: ReportJson,
  { message }: Report,
): { differences: string[]; missing: string[] } {
  if (message.id !== id) return { differences: [`is another anomaly, ${message.id}`], missing: [] };
  const { stored, computed, missing } = comparable(report, reportJson(message));
  const differences = compare(stored, computed).map((text) => `differs in ${text}`);
  if (message.excerpts !== undefined) {
    const { baselineText, windowText } = message.excerpts;
    if (excerpts?.baseline !== text(baselineText)) differences.push("differs in excerpts.baseline");
    if (excerpts?.window !== text(windowText)) differences.push("differs in excerpts.window");
  }
  return { differences, missing };
}

const text = (bytes: Uint8Array) => new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);

/** Reduces both to what the recording determines. A silence is decided outside of the engine. */
function comparable(
  { silenced_by: _, ...stored }: ReportJson,
  { silenced_by: __, ...computed }: ReportJson,
): { stored: object; computed: object; missing: string[] } {
  if (stored.window !== null && computed.window === null) {
    return {
      stored: { ...stored, window: null, expected: withoutNearest(stored.expected) },
      computed: { ...computed, expected: withoutNearest(computed.expected) },
      missing: ["The measures of its window and the nearest text were not recorded, and not computed again."],
    };
  }
  // A build without the codec that measured the window leaves its name out.
  if (stored.window !== null && computed.window?.codec === "") {
    const { records, raw_bytes, entropy } = stored.window;
    const window = { ...computed.window, records, raw_bytes, entropy };
    return {
      stored: { ...stored, window },
      computed,
      missing: [
        `The ratio, delta bits, NCD and p-value of its window were measured with ${stored.window.codec}, which cannot be had in WebAssembly: only the driftlock command computes them again.`,
      ],
    };
  }
  return { stored, computed, missing: [] };
}

function withoutNearest(expected: ReportJson["expected"]): object {
  const { nearest: _, ...likely } = expected ?? { nearest: "", next: [], low: null, high: null };
  return likely;
}
