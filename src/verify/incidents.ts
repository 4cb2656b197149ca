/** Forms the incidents of a bundle again from what they were formed from, and compares how large they are, what joins them, and their ranking. */
import { severityName } from "../anomaly/names.ts";
import { plural } from "../base/plural.ts";
import type { BundleContent, BundleIncident } from "../evidence/bundle.ts";
import { formAgain } from "../incidents/again.ts";
import type { Basis } from "../incidents/basis.ts";
import { changeText } from "../incidents/describe.ts";
import { candidateJson, edgeJson, memberJson } from "../json/incident-parts.ts";
import { finite } from "../json/report.ts";
import { formatNanos } from "../json/time.ts";
import { type Check, failed, passed, unchecked } from "./checks.ts";
import { compare } from "./compare.ts";
import { hexDigest } from "./crypto.ts";

/** Logarithms of different browsers differ in the last digits. */
const tolerance = 1e-9;

/** Undefined if the bundle is about no incident. */
export async function checkIncidents({ incidents, tenant }: BundleContent): Promise<Check | undefined> {
  if (incidents.length === 0) return undefined;
  const faults: string[] = [];
  const notes: string[] = [];
  let formed = 0;
  for (const incident of incidents) {
    const { id, formed_from } = incident;
    if (formed_from?.kept !== true) {
      const reason =
        formed_from?.reason ?? "The version that made the bundle did not keep what it was formed from.";
      notes.push(`Incident ${id} cannot be formed again: ${reason}`);
      continue;
    }
    const again = await formedAgain(incident, formed_from.basis, tenant);
    faults.push(...again.faults.map((text) => `Incident ${id}, formed again: ${text}`));
    notes.push(...again.given.map((text) => `Incident ${id}: ${text}`));
    formed += 1;
  }
  if (faults.length > 0) return failed("incidents", ...faults);
  if (formed === 0) return unchecked("incidents", ...notes);
  const confirmed = `${plural(formed, "incident was", "incidents were")} formed again, with the same evidence, joins, size, score and ranking.`;
  return passed("incidents", confirmed, ...notes);
}

async function formedAgain(
  incident: BundleIncident,
  basis: Basis,
  tenant: string,
): Promise<{ faults: string[]; given: string[] }> {
  const changes = incident.changes.map(({ service, attribute, value, previous, title }) => ({
    service: service ?? "",
    text: changeText({
      attribute: attribute ?? "",
      value: value ?? "",
      previous: previous ?? "",
      title: title ?? "",
    }),
  }));
  const { message, fingerprintText, faults, given } = formAgain(basis, tenant, changes);
  const isScored = basis.formation.beginning !== null;
  const computed = {
    ...(isScored && { score: finite(message.score), p_value: finite(message.pValue) }),
    revision: basis.revision,
    severity: severityName(message.severity),
    sentence: message.sentence,
    services: message.services,
    undecided: message.undecided || null,
    start_time: formatNanos(message.startTimeUnixNano),
    end_time: formatNanos(message.endTimeUnixNano),
    reported_time: formatNanos(message.reportedTimeUnixNano),
    members: message.members.length + message.membersLeftOut,
    cause: message.ranking[0] === undefined ? null : candidateJson(message.ranking[0]),
    ranking: message.ranking.map(candidateJson),
    evidence: message.members.map(memberJson),
    graph: message.graph.map(edgeJson),
    fingerprint: (await hexDigest(fingerprintText)).slice(0, 32),
  };
  const stated: Record<string, unknown> = Object.fromEntries(
    Object.keys(computed).map((name) => [name, incident[name as keyof BundleIncident]]),
  );
  stated.evidence = incident.evidence.map(({ stream_id: _, ...member }) => member);
  const differences = compare(stated, computed, tolerance).map((text) => `It differs in ${text}.`);
  return { faults: [...faults, ...differences], given };
}
