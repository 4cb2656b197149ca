/** Checks what a bundle says of what is kept and since when, and of what was deleted. */
import { plural } from "../base/plural.ts";
import type { BundleContent } from "../evidence/bundle.ts";
import { parseCheckpoint } from "../evidence/note.ts";
import { type Check, checkOf } from "./checks.ts";

const singular: Readonly<Record<string, string>> = {
  anomalies: "anomaly",
  incidents: "incident",
  changes: "change",
  llm_calls: "llm_call",
};

/** The largest number of entries about deletions that a bundle contains. */
const maxDeletions = 100;

export function checkRetention({ retention, audit }: BundleContent): Check {
  const { audit_entries, audit_since, deletions = 0, missing = [], oldest_anomaly } = retention;
  const faults: string[] = [];
  try {
    if (parseCheckpoint(audit.checkpoint).size !== audit_entries) {
      faults.push("The checkpoint is of another number of entries of the audit log than the bundle says.");
    }
  } catch {
    // The check of the checkpoint says so.
  }
  for (const { kind, day, count } of missing.slice(0, 20)) {
    const what = plural(count, singular[kind] ?? kind, kind);
    faults.push(
      `${what} stored on ${day}: missing, although no entry says that the retention has deleted so many.`,
    );
  }
  const contained = audit.entries.filter(({ entry }) => entry.action === "retention.deleted");
  if (contained.length !== Math.min(deletions, maxDeletions)) {
    faults.push(
      `Of ${plural(deletions, "entry", "entries")} about deletions, the bundle has ${contained.length}.`,
    );
  }
  const counts = new Map<string, number>();
  for (const { entry } of contained) {
    const kind = String(entry.detail.kind);
    counts.set(kind, (counts.get(kind) ?? 0) + Number(entry.detail.count));
  }
  const deleted = [...counts].map(([kind, count]) => plural(count, singular[kind] ?? kind, kind)).join(", ");
  const earlier =
    deletions > contained.length ? ` in the latest ${contained.length} of ${deletions} deletions` : "";
  return checkOf(
    "retention",
    faults,
    `The audit log has ${audit_since ? `${plural(audit_entries, "entry", "entries")} since ${audit_since}` : "no entries"}. The retention has deleted ${deleted || "nothing"}${earlier}; ${oldest_anomaly ? `the oldest anomaly that is kept is of ${oldest_anomaly}` : "no anomaly is kept"}.`,
  );
}
