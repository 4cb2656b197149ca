/** Formats an incident for people. Texts of records are escaped, so that they cannot control the terminal. */
import { plural } from "../../base/plural.ts";
import type { IncidentDetailJson } from "../../json/incident-schema.ts";
import { truncate } from "./cells.ts";
import { flow } from "./lines.ts";

const columns = 100;
const indent = "  ";
const maxText = 480;
/** How many candidates, members of the evidence, calls and moments are shown; the API has all of them. */
const maxRanking = 5;
const maxEvidence = 20;
const maxCalls = 10;
const maxTimeline = 40;

const clock = (time: string) => `${time.slice(0, 19).replace("T", " ")} UTC`;
const hour = (time: string) => time.slice(11, 19);

/** Breaks a text into lines; those after the first are indented further. */
function lines(text: string, before = ""): string[] {
  return flow(truncate(text, maxText).split(" "), columns - indent.length - before.length, " ").map(
    (line, i) => `${indent}${i === 0 ? before : " ".repeat(before.length)}${line}`,
  );
}

function section<T>(
  title: string,
  items: readonly T[],
  most: number,
  format: (item: T, i: number) => string[],
) {
  if (items.length === 0) return [];
  const more = items.length > most ? [`${indent}and ${items.length - most} more`] : [];
  return ["", title, ...items.slice(0, most).flatMap(format), ...more];
}

function facts(incident: IncidentDetailJson): string[] {
  const { state, minor, severity, services, start_time, end_time } = incident;
  const list: [string, string | null][] = [
    ["id", incident.id],
    ["severity", severity],
    ["state", minor ? `${state}; minor, so that nobody is notified` : state],
    ["merged into", incident.merged_into],
    ["expected by", incident.expected_by],
    ["expected until", incident.expected_until && clock(incident.expected_until)],
    ["silenced by", incident.silenced_by],
    ["services", services.join(", ")],
    ["started", clock(start_time)],
    ["latest", clock(end_time)],
    ["seen before", incident.seen_before.join(", ")],
  ];
  const shown = list.filter(([, value]) => value);
  const width = Math.max(...shown.map(([name]) => name.length)) + 2;
  return shown.flatMap(([name, value]) => lines(value!, name.padEnd(width)));
}

/** Returns the text that `driftlock incidents show` and `driftlock explain` print. */
export function renderIncident(incident: IncidentDetailJson): string {
  const { sentence, ranking, undecided, evidence, graph, changes, timeline, events } = incident;
  const text = [
    ...flow(truncate(`${sentence}.`, maxText).split(" "), columns, " "),
    "",
    ...facts(incident),
    ...section("Likely causes, the likeliest first", ranking, maxRanking, (candidate, i) => {
      const where = [candidate.service, candidate.instance, candidate.host].filter(Boolean).join(", ");
      const before = `${i + 1}. `;
      return [
        ...lines(candidate.operation ? `${where}, ${candidate.operation}` : where, before),
        ...candidate.reasons.flatMap((reason) => lines(`${reason}.`, " ".repeat(before.length))),
      ];
    }),
    ...(undecided === null ? [] : ["", ...lines(undecided)]),
    ...section("Evidence", evidence, maxEvidence, (member) => {
      const by = member.joined_by === null ? member.join : `${member.join} ${member.joined_by}`;
      return lines(
        `${hour(member.start_time)}  ${member.stream}: ${member.channel}, ${member.severity}, flagged ${plural(member.flagged, "time")}; joined by ${by}`,
      );
    }),
    ...section(
      "Calls in the latest 10 s, and what is usual",
      graph,
      maxCalls,
      ({ caller, callee, now, usual }) =>
        lines(
          `${caller} to ${callee}: ${counted(now.count, "call")}, ${round(now.seconds)} s (usually ${round(usual.seconds)} s), ${counted(now.failures, "failure")} (usually ${round(usual.failures)})`,
        ),
    ),
    ...section(
      "Changes just before",
      changes,
      maxTimeline,
      ({ time, service, attribute, value, previous, title }) =>
        lines(
          `${hour(time)}  ${service === null ? "" : `${service}: `}${title ?? `${attribute} ${previous ?? "(new)"} -> ${value}`}`,
        ),
    ),
    ...section("Timeline", timeline, maxTimeline, ({ time, text }) => lines(text, `${hour(time)}  `)),
    ...section("Decisions", events, maxTimeline, ({ state, author, time, note }) =>
      lines(`${clock(time)}  ${state} by ${author}${note === "" ? "" : `: ${note}`}`),
    ),
  ];
  return text.map((line) => `${line}\n`).join("");
}

function counted(count: number, noun: string): string {
  return `${round(count)} ${count === 1 ? noun : `${noun}s`}`;
}

function round(value: number): string {
  return String(Number(value.toPrecision(3)));
}
