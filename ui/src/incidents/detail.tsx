/** An incident: what happened in which order, what the cause seems to be, and what belongs to it. */
import { useEffect } from "preact/hooks";
import { AnomalyTable } from "../anomalies/related.tsx";
import { request } from "../api/client.ts";
import { incidentFeed } from "../api/live.ts";
import { useLoad } from "../api/load.ts";
import { mayChange } from "../api/session.ts";
import type { IncidentDetail } from "../api/types.ts";
import { MakeEvidence } from "../evidence/make.tsx";
import { compact, duration, number, plural, sentence } from "../parts/format.ts";
import { type Decision, judge, onJudged, undoable } from "../parts/judge.tsx";
import { SeverityMark, Time } from "../parts/labels.tsx";
import { Failure, Skeleton } from "../parts/states.tsx";
import { Table } from "../parts/table.tsx";
import { printable } from "../parts/text.ts";
import { useCommands } from "../shell/keys.ts";
import { address } from "../shell/router.ts";
import { useTitle } from "../shell/title.ts";
import { Ranking } from "./cause.tsx";
import { decisions, withdrawal } from "./decisions.ts";
import { CallGraph } from "./graph.tsx";
import { joins } from "./joins.ts";
import { IncidentState } from "./page.tsx";
import { Story } from "./story.tsx";

function useIncident(id: string) {
  const loaded = useLoad(`incident ${id}`, (signal) =>
    request<IncidentDetail>(`/v1/incidents/${encodeURIComponent(id)}`, { signal }),
  );
  const { reload } = loaded;
  useEffect(() => {
    const ends = [
      onJudged(reload),
      incidentFeed.listen((events) => {
        if (events.some(({ name, data }) => name === "gap" || ("id" in data && data.id === id))) reload();
      }),
    ];
    return () => {
      for (const end of ends) end();
    };
  }, [id, reload]);
  return loaded;
}

function Actions({ incident }: { incident: IncidentDetail }) {
  const { id, state } = incident;
  const decided = state !== "open" && state !== "ended";
  const offered: readonly Decision[] =
    state === "merged" || !mayChange() ? [] : decided ? [...decisions, withdrawal] : decisions;
  const ask = (decision: Decision) => judge({ path: "/v1/incidents", id, noun: "incident" }, decision);
  useCommands(
    offered.map((decision) => ({ keys: decision.key, label: decision.verb, run: () => ask(decision) })),
  );
  if (offered.length === 0) return null;
  return (
    <div class="actions" role="group" aria-label="Decide about this incident">
      {offered.map((decision) => (
        <button
          key={decision.key}
          type="button"
          title={`${decision.effect} (${decision.key})`}
          aria-pressed={(undoable.value.get(id) ?? state) === decision.state}
          onClick={() => ask(decision)}
        >
          {decision.verb}
        </button>
      ))}
    </div>
  );
}

function Facts({ incident }: { incident: IncidentDetail }) {
  const { start_time: start, end_time: end, services, expected_until, merged_into } = incident;
  return (
    <ul class="facts">
      <li>
        <SeverityMark severity={incident.severity} named />
      </li>
      <li>
        <IncidentState incident={incident} />
      </li>
      {incident.minor && <li title="The budget is spent, or it is expected">Minor: nobody is notified</li>}
      <li>
        <Time at={start} /> (<Time at={start} relative />)
        {end !== start && `, for ${duration(Date.parse(end) - Date.parse(start))}`}
      </li>
      <li>
        {services.map((service, i) => (
          <span key={service}>
            {i > 0 && ", "}
            <a href={address("/anomalies", { service })}>{service}</a>
          </span>
        ))}
      </li>
      <li>{plural(incident.members, "stream and channel", "streams and channels")}</li>
      {incident.p_value !== null && <li>Probability by chance {number(incident.p_value, 2)}</li>}
      {expected_until !== null && (
        <li>
          More like it is expected until <Time at={expected_until} />
        </li>
      )}
      {incident.expected_by !== null && (
        <li>
          Expected because of <a href={address(`/incidents/${incident.expected_by}`)}>an earlier incident</a>
        </li>
      )}
      {incident.silenced_by !== null && <li>Silenced: nobody was notified</li>}
      {merged_into !== null && (
        <li>
          It is part of <a href={address(`/incidents/${merged_into}`)}>another incident</a>
        </li>
      )}
    </ul>
  );
}

function Changes({ incident }: { incident: IncidentDetail }) {
  const { changes } = incident;
  if (changes.length === 0) return null;
  return (
    <section class="card">
      <h2>Changes just before</h2>
      <ul class="plain">
        {changes.map((change) => (
          <li key={change.id}>
            <Time at={change.time} /> <strong>{change.service ?? "All services"}</strong>:{" "}
            {change.title !== null && printable(change.title)}
            {change.attribute !== null && (
              <>
                {" "}
                <code>{change.attribute}</code> is {printable(change.value ?? "")}
                {change.previous !== null && ` instead of ${printable(change.previous)}`}
              </>
            )}
            {change.link !== null && (
              <>
                {" "}
                <a href={change.link} target="_blank" rel="noreferrer">
                  Details
                </a>
              </>
            )}
          </li>
        ))}
      </ul>
    </section>
  );
}

function Members({ incident }: { incident: IncidentDetail }) {
  const { evidence } = incident;
  if (evidence.length === 0) return null;
  return (
    <section class="card wide">
      <h2>Evidence</h2>
      <Table
        label="Evidence"
        frame="tall"
        rows={evidence}
        keyOf={({ stream, channel, instance, host }) => `${stream} ${channel} ${instance} ${host}`}
        columns={[
          {
            name: "Severity",
            unnamed: true,
            cell: ({ severity }) => <SeverityMark severity={severity} />,
          },
          { name: "Since", cell: (member) => <Time at={member.start_time} /> },
          {
            name: "Stream",
            kind: "text",
            cell: ({ stream, stream_id, instance }) => (
              <>
                <a href={address(`/streams/${encodeURIComponent(stream_id)}`)}>{printable(stream)}</a>
                {instance && <small class="muted"> {instance.replace(/^.*?=/, "")}</small>}
              </>
            ),
          },
          { name: "Channel", cell: ({ channel }) => channel },
          { name: "Flagged", kind: "number", cell: ({ flagged }) => compact(flagged) },
          {
            name: "Belongs to it because",
            kind: "text",
            cell: ({ join, joined_by }) => (
              <>
                {joins[join]}
                {joined_by && join !== "trace" && ` ${joined_by}`}
                {joined_by && join === "trace" && <code class="small"> {joined_by.slice(0, 8)}…</code>}
              </>
            ),
          },
          {
            name: "Anomalies",
            cell: ({ stream, anomalies }) =>
              anomalies.map((id, i) => (
                <span key={id}>
                  {i > 0 && " "}
                  <a
                    href={address(`/anomalies/${encodeURIComponent(id)}`)}
                    aria-label={`Anomaly ${i + 1} of ${stream}`}
                  >
                    {i + 1}
                  </a>
                </span>
              )),
          },
        ]}
      />
    </section>
  );
}

function Anomalies({ incident }: { incident: IncidentDetail }) {
  const { anomalies, anomaly_ids } = incident;
  if (anomalies.length === 0) return null;
  return (
    <section class="card wide">
      <h2>Its anomalies</h2>
      <AnomalyTable label="Anomalies" anomalies={anomalies} />
      {anomaly_ids.length > anomalies.length && (
        <p class="hint">
          It has {plural(anomaly_ids.length, "anomaly", "anomalies")}; {anomalies.length} of them are shown.
        </p>
      )}
    </section>
  );
}

function Earlier({ incident }: { incident: IncidentDetail }) {
  const { seen_before } = incident;
  if (seen_before.length === 0) return null;
  return (
    <section class="card">
      <h2>Seen before</h2>
      <p>
        {plural(seen_before.length, "earlier incident")} had the same findings in the same services:{" "}
        {seen_before.slice(0, 5).map((id, i) => (
          <span key={id}>
            {i > 0 && ", "}
            <a href={address(`/incidents/${encodeURIComponent(id)}`)}>
              {/* The first digits of an id are its start. */}
              <Time at={new Date(Number.parseInt(id.slice(0, 12), 16)).toISOString()} />
            </a>
          </span>
        ))}
        .
      </p>
    </section>
  );
}

export function IncidentPage({ id }: { id: string }) {
  const { data: incident, error, reload } = useIncident(id);
  useTitle(incident?.sentence ?? "Incident");
  useCommands([{ keys: "Escape", label: "Back", run: () => history.back() }]);
  if (incident === undefined) {
    return error ? <Failure error={error} retry={reload} stale={false} /> : <Skeleton />;
  }
  return (
    <article class={error ? "stale" : ""}>
      {error && <Failure error={error} retry={reload} stale />}
      <p class="crumbs">
        <a href={address("/")}>Incidents</a>
      </p>
      <h1 class="sentence">{sentence(printable(incident.sentence))}</h1>
      <Facts incident={incident} />
      <Actions incident={incident} />
      <div class="actions" role="group" aria-label="Evidence and reports">
        <MakeEvidence subject={{ incident: id }} />
        <a class="button" href={address("/evidence", { about: id })}>
          Bundles about it
        </a>
        <a class="button" href={address(`/incidents/${encodeURIComponent(id)}/reports`)}>
          Reports to authorities
        </a>
      </div>
      <div class="cards">
        <Ranking incident={incident} />
        <Story incident={incident} />
        <Changes incident={incident} />
        <Earlier incident={incident} />
        <CallGraph incident={incident} />
        <Members incident={incident} />
        <Anomalies incident={incident} />
      </div>
    </article>
  );
}
