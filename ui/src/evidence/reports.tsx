/** The reports of an incident to authorities: when each is due, and one of them as a form. */
import { useState } from "preact/hooks";
import { request } from "../api/client.ts";
import { useLoad } from "../api/load.ts";
import { mayChange } from "../api/session.ts";
import type { IncidentReports } from "../api/types.ts";
import { Time } from "../parts/labels.tsx";
import { Failure, Skeleton } from "../parts/states.tsx";
import { Table } from "../parts/table.tsx";
import { useCommands } from "../shell/keys.ts";
import { address, here } from "../shell/router.ts";
import { useTitle } from "../shell/title.ts";
import { notify } from "../shell/toasts.tsx";
import { DueLabel } from "./due-label.tsx";
import { ReportForm } from "./report-form.tsx";
import { fromInput, toInput, zoneNote } from "./time-input.ts";

const momentNames = {
  aware: "The entity became aware of the incident",
  classified: "The incident was classified as major",
  fix_available: "A corrective measure became available",
} as const;
type Moment = keyof typeof momentNames;

function Moments({ reports, path, onSaved }: { reports: IncidentReports; path: string; onSaved(): void }) {
  const [problem, setProblem] = useState<string>();
  const save = async (form: HTMLFormElement) => {
    const data = new FormData(form);
    const moments = Object.fromEntries(
      Object.keys(momentNames).map((name) => [name, fromInput(String(data.get(name)))]),
    );
    setProblem(undefined);
    try {
      await request(path, { method: "PATCH", body: { moments } });
      notify({ text: "The times are kept, and due times count from them.", kind: "done" }, 4_000);
      onSaved();
    } catch (error) {
      setProblem((error as Error).message);
    }
  };
  return (
    <section class="card">
      <h2>When it happened for people</h2>
      <p class="hint">
        Due times count from these moments, which no monitoring knows. {zoneNote()}
        {reports.author !== null && reports.changed_at !== null && (
          <>
            {" "}
            Something was last entered by {reports.author}, <Time at={reports.changed_at} />.
          </>
        )}
      </p>
      <form
        class="form"
        onSubmit={(event) => {
          event.preventDefault();
          void save(event.currentTarget);
        }}
      >
        {(Object.keys(momentNames) as Moment[]).map((name) => (
          <label key={name}>
            {momentNames[name]}
            <input
              type="datetime-local"
              name={name}
              step={1}
              disabled={!mayChange()}
              defaultValue={toInput(reports.moments[name])}
            />
          </label>
        ))}
        {problem && (
          <p class="problems all" role="alert">
            Nothing was changed: {problem}.
          </p>
        )}
        {mayChange() && (
          <div class="all">
            <button type="submit" class="primary">
              Save
            </button>
          </div>
        )}
      </form>
    </section>
  );
}

function List({ id, reports }: { id: string; reports: IncidentReports["reports"] }) {
  return (
    <section class="card">
      <h2>Reports</h2>
      <p class="hint">
        Driftlock fills in what it knows, and never says that an incident must be reported. Nothing here is
        legal advice.
      </p>
      <Table
        label="Reports to authorities"
        frame="tall"
        rows={reports}
        keyOf={({ template }) => template}
        columns={[
          { name: "State", cell: ({ due }) => <DueLabel due={due} /> },
          { name: "Duty", cell: ({ duty }) => duty },
          {
            name: "Report",
            kind: "text",
            cell: ({ template, title }) => (
              <a href={address(`/incidents/${encodeURIComponent(id)}/reports`, { template })}>{title}</a>
            ),
          },
          {
            name: "Due",
            cell: ({ due: { at } }) =>
              at !== undefined && (
                <>
                  <Time at={at} /> (<Time at={at} relative />)
                </>
              ),
          },
          {
            name: "Waits for",
            kind: "text",
            cell: ({ due }) => due.missing.map((name) => name.replaceAll("_", " ")).join(", "),
          },
        ]}
      />
    </section>
  );
}

export function ReportsPage({ id }: { id: string }) {
  const path = `/v1/incidents/${encodeURIComponent(id)}/reports`;
  const template = here.value.query.get("template") ?? "";
  const { data, error, reload } = useLoad(
    `reports ${id}`,
    (signal) => request<IncidentReports>(path, { signal }),
    60_000,
  );
  useTitle("Reports to authorities");
  useCommands([{ keys: "Escape", label: "Back", run: () => history.back() }]);
  if (data === undefined) {
    return error ? <Failure error={error} retry={reload} stale={false} /> : <Skeleton />;
  }
  const back = address(`/incidents/${encodeURIComponent(id)}`);
  return (
    <article class={`narrow ${error ? "stale" : ""}`}>
      {error && <Failure error={error} retry={reload} stale />}
      <p class="crumbs">
        <a href={address("/")}>Incidents</a> › <a href={back}>The incident</a>
        {template !== "" && (
          <>
            {" "}
            › <a href={`${back}/reports`}>Reports</a>
          </>
        )}
      </p>
      {template === "" ? (
        <>
          <h1>Reports to authorities</h1>
          <Moments key={data.changed_at} reports={data} path={path} onSaved={reload} />
          <List id={id} reports={data.reports} />
        </>
      ) : (
        <ReportForm key={template} path={path} template={template} entered={data} onSaved={reload} />
      )}
    </article>
  );
}
