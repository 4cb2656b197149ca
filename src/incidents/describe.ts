/** Says in plain English what is unusual, where, and what the cause seems to be. */
import { Channel, Signal } from "../gen/driftlock/v1/anomaly_pb.js";
import type { Change } from "../gen/driftlock/v1/incidents_pb.js";
import { tickMs } from "./bounds.ts";
import type { Part } from "./excess.ts";
import type { Member, OpenIncident } from "./incident-state.ts";
import { type Ranked, weightOf } from "./ranking.ts";
import { count, list, seconds, span } from "./text.ts";

/** What the evidence of a signal and channel is, as the subject of a sentence. */
function subject({ sighting: { signal, channel, stream } }: Member): string {
  if (signal === Signal.METRICS && channel !== Channel.GROUP) return `the metric ${metricOf(stream)}`;
  const records = signal === Signal.TRACES ? "spans" : "log records";
  switch (channel) {
    case Channel.CONTENT:
      return signal === Signal.TRACES ? "spans with new content" : "new log messages";
    case Channel.SEQUENCE:
      return `the order of ${records}`;
    case Channel.VOLUME:
      return `the number of ${records}`;
    case Channel.VALUE:
      return "the duration of spans";
    case Channel.FIELDS:
      return `the values of fields of ${records}`;
    case Channel.SHIFT:
      return "the duration, failures or number of calls";
    case Channel.NOVELTY:
      return `the number of strange ${records}`;
    default:
      return "several streams together";
  }
}

/** The name of the metric in the key of a stream, such as "metrics service.name=checkout http.requests code=200". */
function metricOf(stream: string): string {
  return stream.split(" ").find((word, i) => i > 0 && !word.includes("=")) ?? stream;
}

export function changeText({
  attribute,
  value,
  previous,
  title,
}: Pick<Change, "attribute" | "value" | "previous" | "title">): string {
  if (title !== "") return title;
  return previous === ""
    ? `${attribute} became ${value}`
    : `${attribute} changed from ${previous} to ${value}`;
}

/** The share of the excess that is worth mentioning beside the rest. */
const mentioned = 0.05;

/** What a candidate took of its own, as in "took 12.4 s more of its own than usual". */
function excessText(ranked: Ranked): string {
  const { seconds: more, failures } = ranked;
  const least = mentioned * weightOf(ranked);
  const parts = [
    ...(more > least ? [`took ${seconds(more)} more of its own than usual`] : []),
    ...(failures > least ? [`had ${count(failures, "failure")} of its own beyond the usual number`] : []),
  ];
  return parts.join(" and ");
}

/** A candidate as the cause in a sentence. */
function causeText(ranked: Ranked): string {
  const { host, service } = ranked;
  return host === ""
    ? `${service}, which ${excessText(ranked)}`
    : `the host ${host}, where spans of ${servicesOn(ranked)} ${excessText(ranked).replaceAll("its own", "their own")}`;
}

const servicesOn = ({ parts }: Ranked) => list([...new Set(parts.map(({ service }) => service))]);

/** The unusual calls of the parts: several operations may make those to one callee. */
function callsOf(parts: readonly Part[]): NonNullable<Part["calls"]>[] {
  const byCallee = new Map<string, NonNullable<Part["calls"]>>();
  for (const { calls } of parts) {
    if (calls === undefined) continue;
    const { extra = 0 } = byCallee.get(calls.callee) ?? {};
    byCallee.set(calls.callee, { ...calls, extra: extra + calls.extra });
  }
  return [...byCallee.values()];
}

/** The reasons for which a candidate stands where it does, without full stops. */
export function reasonsOf(ranked: Ranked, { excess: { ticks } }: OpenIncident): string[] {
  const { operation, instance, parts, facts, host } = ranked;
  const reasons: string[] = [];
  const total = weightOf(ranked);
  if (total > 0) reasons.push(`It ${excessText(ranked)} ${span(ticks * tickMs)}`);
  if (total > 0 && operation !== "") {
    const of = parts.filter((part) => part.operation === operation);
    const share = of.reduce((sum, part) => sum + weightOf(part), 0) / total;
    reasons.push(`${Math.round(100 * share)} % of that is in ${operation}`);
  }
  if (instance !== "") reasons.push(`Most of it is in the instance ${instance}`);
  if (host !== "") reasons.push(`${servicesOn(ranked)} run on it and are all affected`);
  for (const { callee, extra, isNew } of callsOf(parts.slice(0, 3))) {
    reasons.push(
      isNew
        ? `It calls ${callee}, which was never seen before`
        : `It made ${count(extra, "call")} to ${callee} beyond the usual number`,
    );
  }
  if (facts?.newText) reasons.push("It has error texts that it never had before");
  if (facts?.change) reasons.push(`Just before, ${facts.change}`);
  if (total === 0)
    reasons.push("Nothing of its own took longer or failed in spans, but its evidence is rare");
  return reasons;
}

/** What the evidence of each place is, the rarest first. */
function symptoms(incident: OpenIncident): string {
  const members = [...incident.members.values()].sort((a, b) => b.sighting.bits - a.sighting.bits);
  const subjects = [...new Set(members.map(subject))];
  const areMany = subjects.length > 1 || /^(spans|new|several|the values)/.test(subjects[0] ?? "");
  return `${list(subjects, 2)} ${areMany ? "are" : "is"} unusual`;
}

export function sentenceOf(incident: OpenIncident, ranking: readonly Ranked[]): string {
  const [first] = ranking;
  const places = [...incident.places.keys()];
  const what = symptoms(incident);
  const where = places.length > 0 ? ` in ${list(places)}` : "";
  const text = `${what[0]!.toUpperCase()}${what.slice(1)}${where}`;
  if (first === undefined || (places.length === 1 && weightOf(first) === 0)) return text;
  if (weightOf(first) === 0) return `${text}; ${first.service} has the rarest evidence`;
  return `${text}; the cause seems to be ${causeText(first)} ${span(incident.excess.ticks * tickMs)}`;
}
