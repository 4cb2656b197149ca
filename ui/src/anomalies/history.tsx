/** What happened to an anomaly, in the order of time: what it showed, and what people said. */
import type { ComponentChildren } from "preact";
import type { AnomalyDetail } from "../api/types.ts";
import { count, plural, sentence } from "../parts/format.ts";
import { Time } from "../parts/labels.tsx";
import { states } from "../parts/names.ts";
import { printable } from "../parts/text.ts";
import { headline } from "./explanation.ts";

interface Entry {
  time: string;
  kind: "data" | "person";
  text: ComponentChildren;
}

function entriesOf({
  start_time,
  end_time,
  occurrences,
  state,
  first,
  report,
  events,
}: AnomalyDetail): Entry[] {
  const entries: Entry[] = [
    { time: start_time, kind: "data", text: first ? sentence(headline(first)) : "It began." },
  ];
  if (report && report.time !== first?.time) {
    const text = `The strongest report, after ${plural(report.occurrence, "flagged verdict")}. ${sentence(headline(report))}`;
    entries.push({ time: report.time, kind: "data", text });
  }
  if (end_time !== start_time) {
    const text =
      occurrences === 1
        ? "Until then nothing else was flagged."
        : state === "open"
          ? `The latest of ${count(occurrences)} flagged verdicts.`
          : `The last of ${count(occurrences)} flagged verdicts.`;
    entries.push({ time: end_time, kind: "data", text });
  }
  for (const event of events) {
    const text = (
      <>
        <strong>{states[event.state]}</strong> by {printable(event.author)}
        {event.note !== "" && <q>{printable(event.note)}</q>}
      </>
    );
    entries.push({ time: event.time, kind: "person", text });
  }
  return entries.sort((a, b) => Date.parse(a.time) - Date.parse(b.time));
}

export function History({ anomaly }: { anomaly: AnomalyDetail }) {
  return (
    <section class="card wide">
      <h2>History</h2>
      <ol class="timeline">
        {entriesOf(anomaly).map(({ time, kind, text }, i) => (
          <li key={i} class={kind}>
            <Time at={time} />
            <span>{text}</span>
          </li>
        ))}
      </ol>
    </section>
  );
}
