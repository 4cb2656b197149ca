/** What happened, in the order of time: changes, when each service showed evidence, and what people decided. */
import type { ComponentChildren } from "preact";
import type { IncidentDetail } from "../api/types.ts";
import { sentence } from "../parts/format.ts";
import { Time } from "../parts/labels.tsx";
import { printable } from "../parts/text.ts";
import { joins } from "./joins.ts";

interface Entry {
  time: string;
  kind: "change" | "data" | "person";
  text: ComponentChildren;
}

type Evidence = IncidentDetail["evidence"];

/** The channels of each signal, as in "traces: sequence, value; logs: content". */
function channelsOf(evidence: Evidence): string {
  const bySignal = Map.groupBy(evidence, ({ signal }) => signal);
  return [...bySignal]
    .map(
      ([signal, members]) => `${signal}: ${[...new Set(members.map(({ channel }) => channel))].join(", ")}`,
    )
    .join("; ");
}

function servicesOf(evidence: Evidence): Entry[] {
  const byService = Map.groupBy(evidence, ({ service }) => service);
  return [...byService].map(([service, members]) => {
    const first = members.reduce((earliest, member) =>
      Date.parse(member.start_time) < Date.parse(earliest.start_time) ? member : earliest,
    );
    return {
      time: first.start_time,
      kind: "data",
      text: (
        <>
          <strong>{service || first.stream}</strong> is unusual ({channelsOf(members)})
          {first.join !== "first" && (
            <span class="muted">
              , {joins[first.join]}
              {first.join === "neighbour" && ` ${first.joined_by}`}
            </span>
          )}
        </>
      ),
    };
  });
}

const kinds = { change: "change", reported: "data", ended: "data", judgement: "person" } as const;

function entriesOf({ timeline, evidence }: IncidentDetail): Entry[] {
  const others = timeline.flatMap(({ time, kind, text }): Entry[] =>
    kind === "evidence"
      ? []
      : [
          {
            time,
            kind: kinds[kind],
            text: kind === "reported" ? <em>{sentence(text)}</em> : sentence(printable(text)),
          },
        ],
  );
  return [...servicesOf(evidence), ...others].sort((a, b) => Date.parse(a.time) - Date.parse(b.time));
}

export function Story({ incident }: { incident: IncidentDetail }) {
  return (
    <section class="card">
      <h2>What happened</h2>
      <ol class="timeline narrow">
        {entriesOf(incident).map(({ time, kind, text }, i) => (
          <li key={`${time} ${i}`} class={kind}>
            <Time at={time} />
            <span>{text}</span>
          </li>
        ))}
      </ol>
    </section>
  );
}
