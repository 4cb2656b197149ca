/** The front page: open incidents first, then earlier ones, below the lanes of anomalies over time. */
import { useEffect, useState } from "preact/hooks";
import { incidentFeed } from "../api/live.ts";
import { type Pages, usePages } from "../api/pages.ts";
import type { Incident } from "../api/types.ts";
import { chosen, Field, Menu, RangeMenu } from "../parts/choices.tsx";
import { duration, plural, sentence } from "../parts/format.ts";
import { onJudged, undoable } from "../parts/judge.tsx";
import { SeverityMark, StateLabel, Time } from "../parts/labels.tsx";
import { severities } from "../parts/names.ts";
import { Failure, Skeleton } from "../parts/states.tsx";
import { printable } from "../parts/text.ts";
import { apiTime } from "../parts/time-range.ts";
import { useCommands } from "../shell/keys.ts";
import { address, go, here } from "../shell/router.ts";
import { useTitle } from "../shell/title.ts";
import { causeName } from "./cause.tsx";
import { NoIncidents } from "./empty.tsx";
import { Lanes } from "./lanes.tsx";
import { Notable } from "./notable.tsx";
import { incidentStates, isOpen } from "./states.ts";

export function IncidentState({ incident }: { incident: Pick<Incident, "id" | "state"> }) {
  const coming = undoable.value.get(incident.id) as Incident["state"] | undefined;
  const state = coming ?? incident.state;
  return <StateLabel state={state} name={incidentStates[state] ?? "Open"} pending={coming !== undefined} />;
}

function Entry({ incident, selected }: { incident: Incident; selected: boolean }) {
  const { services, cause, start_time: start, end_time: end } = incident;
  const lasted = Date.parse(end) - Date.parse(start);
  return (
    <li class={`incident ${isOpen(incident) ? "open" : ""} ${selected ? "selected" : ""}`}>
      <SeverityMark severity={incident.severity} />
      <div>
        <h3>
          <a href={address(`/incidents/${encodeURIComponent(incident.id)}`)}>
            {sentence(printable(incident.sentence))}
          </a>
        </h3>
        <p class="line">
          <IncidentState incident={incident} />
          {incident.minor && (
            <span class="tag" title="Nobody is notified of it: the budget is spent, or it is expected">
              minor
            </span>
          )}
          <span>
            <Time at={start} /> (<Time at={start} relative />){lasted >= 1_000 && `, for ${duration(lasted)}`}
          </span>
          {cause && (
            <span>
              Likely cause <strong>{causeName(cause)}</strong>
            </span>
          )}
          <span>
            {services.slice(0, 4).map((service) => (
              <span key={service} class="tag">
                {service}
              </span>
            ))}
            {services.length > 4 && ` and ${services.length - 4} more`}
          </span>
          <span class="muted">{plural(incident.members, "stream and channel", "streams and channels")}</span>
        </p>
      </div>
    </li>
  );
}

/** Loads the list again when incidents begin, grow or end. */
function useIncidents(query: URLSearchParams): Pages<Incident> {
  const pages = usePages<Incident>("/v1/incidents", query, 60_000);
  useEffect(() => {
    const ends = [incidentFeed.listen(() => pages.refresh()), onJudged(() => pages.reload())];
    return () => {
      for (const end of ends) end();
    };
  }, [pages]);
  return pages;
}

function query(): URLSearchParams {
  const filters = chosen("state", "severity", "service", "minor");
  const from = apiTime(here.value.query.get("from") || undefined);
  const until = apiTime(here.value.query.get("until") || undefined);
  // Seconds change nothing, and would load the list anew each time.
  if (from !== undefined) filters.set("from", `${from.slice(0, 16)}:00Z`);
  if (until !== undefined) filters.set("until", `${until.slice(0, 16)}:00Z`);
  return filters;
}

function List({
  title,
  incidents,
  current,
}: {
  title: string;
  incidents: Incident[];
  current: string | undefined;
}) {
  if (incidents.length === 0) return null;
  return (
    <section>
      <h2>{title}</h2>
      <ol class="incidents">
        {incidents.map((incident) => (
          <Entry key={incident.id} incident={incident} selected={incident.id === current} />
        ))}
      </ol>
    </section>
  );
}

export function IncidentsPage() {
  useTitle("Incidents");
  const filters = query();
  const pages = useIncidents(filters);
  const [cursor, setCursor] = useState(-1);
  const error = pages.error.value;
  const known = pages.rows.filter(({ state }) => state !== "merged" || filters.has("state"));
  const open = known.filter(isOpen);
  const closed = known.filter((incident) => !isOpen(incident));
  const rows = [...open, ...closed];
  const selected = Math.min(cursor, rows.length - 1);
  const current = rows[selected]?.id;
  const show = () => {
    if (current !== undefined) go(address(`/incidents/${encodeURIComponent(current)}`));
  };
  const move = (to: number) => {
    setCursor(Math.max(0, Math.min(rows.length - 1, to)));
    requestAnimationFrame(() =>
      document.querySelector(".incident.selected")?.scrollIntoView({ block: "nearest" }),
    );
  };
  useCommands([
    { keys: "j", label: "Next incident", run: () => move(selected + 1) },
    { keys: "k", label: "Previous incident", run: () => move(selected - 1) },
    { keys: "Enter", label: "Open", run: show },
    { keys: "o", label: "Open", run: show },
    { keys: "/", label: "Search", run: () => document.querySelector<HTMLElement>(".search")?.focus() },
  ]);
  return (
    <div class="front">
      {pages.loaded ? (
        <h1>
          {open.length === 0
            ? "No incident is open"
            : `${plural(open.length, "incident is", "incidents are")} open`}
          <small>
            An incident is what is unusual at the same time and belongs together, with its likely cause.
          </small>
        </h1>
      ) : (
        <h1 class="hidden">Incidents</h1>
      )}
      <div class="filters" role="search">
        <Field name="service" label="Service" />
        <RangeMenu value={here.value.query.get("from") ?? ""} chosen="Chosen range" />
        <Menu name="state" label="State" any="Any state" values={incidentStates} />
        <Menu name="severity" label="Severity" any="Any severity" values={severities} />
        <Menu
          name="minor"
          label="Weight"
          any="Minor ones too"
          values={{ false: "Without minor ones", true: "Minor ones alone" }}
        />
      </div>
      <Lanes />
      {error && <Failure error={error} retry={pages.reload} stale={rows.length > 0} />}
      {!pages.loaded && !error && <Skeleton />}
      <div class={error ? "stale" : ""}>
        <List title="Open" incidents={open} current={current} />
        {pages.loaded && rows.length === 0 && <NoIncidents filtered={filters.size > 0} />}
        <List title="Earlier and minor ones" incidents={closed} current={current} />
      </div>
      {pages.hasMore && (
        <button type="button" onClick={pages.more}>
          Show more
        </button>
      )}
      <Notable />
    </div>
  );
}
