/** The part about an incident. */
import type { BundleIncident } from "../bundle.ts";
import { drawJudgements, sentence } from "./anomaly.ts";
import { colors, type Paper } from "./paper.ts";
import { lanesHeight, lanesPlot } from "./plots.ts";
import { drawLeftOut, drawRows } from "./rows.ts";
import { chance, clockTime, figure, longTime, span } from "./words.ts";

const mostLanes = 25;

const severityColors: Readonly<Record<string, string>> = {
  critical: colors.alarm,
  high: "#d9480f",
  medium: "#c69026",
  low: "#6e7781",
};

function causeText({ cause, undecided, ranking }: BundleIncident): string {
  if (cause === null) return sentence(undecided ?? "The ranking names no cause");
  const where = [cause.operation, cause.host, cause.instance].filter((part) => part !== null);
  const reasons = (ranking[0] ?? cause).reasons.join("; ");
  const doubt = undecided === null ? "" : ` It cannot tell for sure: ${sentence(undecided)}`;
  const why = reasons === "" ? "" : `: ${reasons}`;
  return `By the ranking, ${cause.service}${where.length === 0 ? "" : ` (${where.join(", ")})`}${why}.${doubt}`;
}

export function incidentFacts(incident: BundleIncident): [string, string][] {
  const channels = [...new Set(incident.evidence.map(({ channel }) => channel))].join(", ");
  const lasted = Date.parse(incident.end_time) - Date.parse(incident.start_time);
  const streams = new Set(incident.evidence.map(({ stream }) => stream)).size;
  const last = incident.events.at(-1);
  return [
    ["What happened", sentence(incident.sentence)],
    [
      "When",
      `First sign at ${longTime(incident.start_time)}, an incident at ${longTime(incident.reported_time)}, latest sign at ${longTime(incident.end_time)}: ${span(lasted)} in all.`,
    ],
    ["Where", incident.services.join(", ")],
    [
      "How it was found",
      `Driftlock learns what is usual for each stream of telemetry, and joins what is unusual at the same time and belongs together. Here these are ${streams} stream${streams === 1 ? "" : "s"}, unusual by ${channels}.`,
    ],
    [
      "How sure it is",
      `${incident.p_value === null ? "No figure says how sure it is." : `${chance(incident.p_value)} The comparison is with the ticks of 10 s of the same tenant.`}`,
    ],
    ["Likely cause", causeText(incident)],
    ["Severity and state", `${incident.severity}, ${incident.state}${incident.minor ? ", minor" : ""}`],
    [
      "Can be recomputed",
      incident.formed_from?.kept
        ? "Yes: the embedded bundle has what the incident was formed from."
        : `No: ${incident.formed_from?.reason ?? "what it was formed from is not contained."}`,
    ],
    [
      "What people decided",
      last === undefined
        ? "Nobody has decided about it."
        : `${sentence(last.state)} By ${last.author}, ${longTime(last.time)}${last.note === "" ? "." : `: ${last.note}`}`,
    ],
  ];
}

export function drawIncident(paper: Paper, incident: BundleIncident): void {
  const { evidence, ranking, changes, timeline, graph } = incident;
  if (evidence.length > 0) {
    paper.heading("H2", "What was unusual when", lanesHeight(Math.min(evidence.length, mostLanes)));
    lanesPlot(
      paper,
      evidence.slice(0, mostLanes).map(({ stream, channel, start_time, end_time, severity }) => ({
        name: `${stream.replace("service.name=", "")}: ${channel}`,
        from: Date.parse(start_time),
        to: Date.parse(end_time),
        color: severityColors[severity] ?? colors.muted,
      })),
      [{ name: "incident reported", time: Date.parse(incident.reported_time) }],
    );
    drawLeftOut(paper, evidence.length - mostLanes, "of them");
  }
  paper.heading("H2", "Timeline");
  drawRows(
    paper,
    [
      { title: "Time (UTC)", width: 1.8 },
      { title: "Kind", width: 1 },
      { title: "What", width: 5 },
    ],
    timeline,
    ({ time, kind, text }) => [clockTime(time), kind, text],
    "entries",
  );
  if (evidence.length > 0) drawEvidence(paper, incident);
  if (ranking.length > 0) {
    paper.heading("H2", "Candidates for the cause");
    paper.table(
      [
        { title: "Service", width: 1.4 },
        { title: "Operation or place", width: 1.8 },
        { title: "Own time beyond, s", width: 1 },
        { title: "Own failures beyond", width: 1 },
        { title: "Reasons", width: 3.6 },
      ],
      ranking
        .slice(0, 10)
        .map((one) => [
          one.service,
          [one.operation, one.host, one.instance].filter((part) => part !== null).join(", "),
          figure(one.seconds),
          figure(one.failures),
          one.reasons.join("; "),
        ]),
    );
  }
  if (changes.length > 0) {
    paper.heading("H2", "Changes just before it");
    drawRows(
      paper,
      [
        { title: "Time (UTC)", width: 1.8 },
        { title: "Service", width: 1.3 },
        { title: "Change", width: 4 },
      ],
      changes,
      ({ time, service, title, attribute, value, previous }) => [
        clockTime(time),
        service ?? "all",
        title ?? `${attribute} is ${value}${previous === null ? "" : ` instead of ${previous}`}`,
      ],
      "changes",
    );
  }
  if (graph.length > 0) drawCalls(paper, graph);
  if (incident.events.length > 0) {
    paper.heading("H2", "What people decided");
    drawJudgements(paper, incident.events);
  }
  paper.paragraph(`Id ${incident.id}`, { face: "mono", size: 7.5, color: colors.muted });
}

function drawEvidence(paper: Paper, { evidence }: BundleIncident): void {
  paper.heading("H2", "What contributed, and why it belongs");
  drawRows(
    paper,
    [
      { title: "Stream", width: 3 },
      { title: "Channel", width: 1 },
      { title: "Severity", width: 0.9 },
      { title: "Belongs by", width: 1.6 },
      { title: "Flagged", width: 0.9 },
      { title: "p-value", width: 0.9 },
    ],
    evidence,
    (member) => [
      member.stream,
      member.channel,
      member.severity,
      member.joined_by === null ? member.join : `${member.join} ${member.joined_by}`,
      String(member.flagged),
      member.p_value === null ? "" : figure(member.p_value),
    ],
    "of them",
  );
}

function drawCalls(paper: Paper, graph: BundleIncident["graph"]): void {
  paper.heading("H2", "Calls among its services");
  const mean = ({ count, seconds }: { count: number; seconds: number }) =>
    count === 0 ? "none" : `${figure((seconds / count) * 1_000)} ms`;
  drawRows(
    paper,
    [
      { title: "Caller", width: 2 },
      { title: "Callee", width: 2 },
      { title: "Mean time, then", width: 1.1 },
      { title: "Mean time, usual", width: 1.1 },
      { title: "Failures, then", width: 1 },
      { title: "Failures, usual", width: 1 },
    ],
    graph,
    ({ caller, operation, callee, callee_operation, now, usual }) => [
      `${caller}, ${operation}`,
      `${callee}, ${callee_operation}`,
      mean(now),
      mean(usual),
      figure(now.failures),
      figure(usual.failures),
    ],
    "calls",
  );
}
