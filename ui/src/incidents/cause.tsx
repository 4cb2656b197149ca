/** The candidates for the cause of an incident, with the reasons. */
import type { Candidate, IncidentDetail } from "../api/types.ts";
import { number, plural, sentence } from "../parts/format.ts";
import { printable } from "../parts/text.ts";

/** What a candidate is called: a service, a host, or an instance of a service. */
export function causeName({ service, host, instance }: Candidate): string {
  const name = service || (host ? `host ${host}` : "unknown");
  return instance ? `${name}, ${instance.replace(/^.*?=/, "")}` : name;
}

/** Further candidates are hidden at first. */
const shown = 3;

function Candidates({ list, start }: { list: readonly Candidate[]; start: number }) {
  return (
    <ol class="ranking" start={start}>
      {list.map((candidate) => (
        <li key={`${candidate.service} ${candidate.host} ${candidate.instance}`}>
          <strong>{printable(causeName(candidate))}</strong>
          {candidate.operation && (
            <>
              {" "}
              <code>{printable(candidate.operation)}</code>
            </>
          )}
          <span class="muted">
            {candidate.seconds > 0 && ` +${number(candidate.seconds)} s`}
            {candidate.failures > 0 && ` +${number(candidate.failures)} failures`}
          </span>
          <ul>
            {candidate.reasons.map((reason) => (
              <li key={reason}>{sentence(printable(reason))}</li>
            ))}
          </ul>
        </li>
      ))}
    </ol>
  );
}

export function Ranking({ incident }: { incident: IncidentDetail }) {
  const { ranking, undecided } = incident;
  if (ranking.length === 0) return null;
  return (
    <section class="card">
      <h2>Likely causes</h2>
      {undecided && <p class="notice">{sentence(undecided)}</p>}
      <Candidates list={ranking.slice(0, shown)} start={1} />
      {ranking.length > shown && (
        <details>
          <summary>{plural(ranking.length - shown, "further candidate")}</summary>
          <Candidates list={ranking.slice(shown)} start={shown + 1} />
        </details>
      )}
    </section>
  );
}
