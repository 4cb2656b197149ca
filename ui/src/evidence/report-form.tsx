/** A report as a form: what is filled in and by whom, what is a draft, and what a person fills in. */
import { useState } from "preact/hooks";
import { ApiError, request, urlOf } from "../api/client.ts";
import { useLoad } from "../api/load.ts";
import { mayChange } from "../api/session.ts";
import type { IncidentReport, IncidentReports } from "../api/types.ts";
import { plural } from "../parts/format.ts";
import { Time } from "../parts/labels.tsx";
import { Failure, Skeleton } from "../parts/states.tsx";
import { printable } from "../parts/text.ts";
import { address, here } from "../shell/router.ts";
import { notify } from "../shell/toasts.tsx";
import { DueLabel } from "./due-label.tsx";
import { FieldInput } from "./field-input.tsx";
import { fromInput, zoneNote } from "./time-input.ts";

type Field = IncidentReport["sections"][number]["fields"][number];
type Value = string | string[];
/** What is to be saved, by the numbers of the fields; null removes what was entered. */
type Changes = ReadonlyMap<string, Value | null>;

const kinds: Readonly<Record<Field["kind"], string>> = {
  automatic: "observed",
  configured: "configured",
  drafted: "draft, to be confirmed",
  open: "open",
};

const shown = (value: Value) => printable(typeof value === "string" ? value : value.join("\n"));

function Shown({ value }: { value: Value }) {
  return <p class="value">{shown(value)}</p>;
}

interface FieldProps {
  field: Field;
  change: Value | null | undefined;
  fault: string | undefined;
  onChange(value: Value | null | undefined): void;
}

function FieldRow({ field, change, fault, onChange }: FieldProps) {
  const { number, name, asks, kind, value, blank, entered, moment } = field;
  const action = kind === "drafted" ? "Confirm or change" : "Replace";
  const mayEnter = mayChange() && moment === undefined;
  const id = `field-${number}`;
  // What people enter is an input at once; what is filled in becomes one on request.
  const editing = mayEnter && (change !== undefined ? change !== null : value === null || entered !== null);
  const current = change ?? (change === undefined ? value : null);
  return (
    <div class={`field ${change === undefined ? "" : "changed"}`} id={`at-${number}`}>
      <h3>
        <label for={editing ? id : undefined}>
          {number} {name}
        </label>{" "}
        <span class={`tag ${kind === "drafted" && entered === null ? "draft" : ""}`}>
          {entered === null ? kinds[kind] : "entered"}
        </span>
      </h3>
      <p class="hint" id={`${id}-asks`}>
        {asks}
      </p>
      {editing ? (
        <FieldInput id={id} field={field} value={current} onInput={(next) => onChange(next)} />
      ) : (
        <>
          {change === null && <p class="hint">What was entered is removed when you save.</p>}
          {change === undefined && value !== null && <Shown value={value} />}
          {change === undefined && value === null && <p class="hint">Blank: {blank}.</p>}
        </>
      )}
      {entered !== null && (
        <p class="hint">
          Entered by {printable(entered.author)}, <Time at={entered.at} />
          {entered.instead_of !== null && `, instead of “${shown(entered.instead_of)}”`}.
        </p>
      )}
      {fault && (
        <p class="problems" role="alert">
          {fault}
        </p>
      )}
      {moment !== undefined && (
        <p class="hint">
          It is entered with the <a href={address(here.value.path)}>times of the incident</a>, from which due
          times count.
        </p>
      )}
      {mayEnter && (
        <p class="line">
          {!editing && change === undefined && value !== null && (
            <button
              type="button"
              class="link"
              onClick={() => onChange(value)}
              aria-label={`${action}: ${name}`}
            >
              {action}
            </button>
          )}
          {change !== undefined && (
            <button
              type="button"
              class="link"
              onClick={() => onChange(undefined)}
              aria-label={`Undo: ${name}`}
            >
              Undo
            </button>
          )}
          {entered !== null && change !== null && (
            <button type="button" class="link" onClick={() => onChange(null)} aria-label={`Remove: ${name}`}>
              Remove
            </button>
          )}
        </p>
      )}
    </div>
  );
}

function Submissions({ path, template, entered, onSaved }: Omit<Props, "key">) {
  const [problem, setProblem] = useState<string>();
  const times = entered.submissions[template] ?? [];
  const save = async (next: string[]) => {
    setProblem(undefined);
    try {
      await request(path, { method: "PATCH", body: { submissions: { [template]: next } } });
      onSaved();
    } catch (error) {
      setProblem((error as Error).message);
    }
  };
  return (
    <section class="card">
      <h2>Submitted</h2>
      {times.length === 0 ? (
        <p>Nobody has entered that it was submitted.</p>
      ) : (
        <ul class="plain">
          {times.map((time, i) => (
            <li key={`${time} ${i}`}>
              <Time at={time} />{" "}
              {mayChange() && (
                <button
                  type="button"
                  class="link"
                  onClick={() => void save(times.filter((_, at) => at !== i))}
                >
                  Remove
                </button>
              )}
            </li>
          ))}
        </ul>
      )}
      {mayChange() && (
        <form
          class="line"
          onSubmit={(event) => {
            event.preventDefault();
            const form = event.currentTarget;
            const at = fromInput(String(new FormData(form).get("at")));
            if (at !== null) void save([...times, at]).then(() => form.reset());
          }}
        >
          <label>
            It was submitted at
            <input type="datetime-local" name="at" step={1} required />
          </label>
          <button type="submit">Add</button>
        </form>
      )}
      <p class="hint">{zoneNote()} Later reports are due by it.</p>
      {problem && (
        <p class="problems" role="alert">
          Nothing was changed: {problem}.
        </p>
      )}
    </section>
  );
}

interface Props {
  /** The path of the API for the reports of the incident. */
  path: string;
  template: string;
  entered: IncidentReports;
  onSaved(): void;
}

export function ReportForm({ path, template, entered, onSaved }: Props) {
  const own = `${path}/${encodeURIComponent(template)}`;
  const { data, error, reload } = useLoad(`report ${own} ${entered.changed_at}`, (signal) =>
    request<IncidentReport>(own, { signal }),
  );
  const [changes, setChanges] = useState<Changes>(new Map());
  const [faults, setFaults] = useState<ReadonlyMap<string, string>>(new Map());
  const [problem, setProblem] = useState<string>();
  if (data === undefined) {
    return error ? <Failure error={error} retry={reload} stale={false} /> : <Skeleton />;
  }
  const fields = data.sections.flatMap((section) => section.fields);
  const blank = fields.filter(({ value }) => value === null).length;
  const drafts = fields.filter(
    ({ kind, value, entered: by }) => kind === "drafted" && value !== null && by === null,
  ).length;
  const change = (number: string, value: Value | null | undefined) => {
    const next = new Map(changes);
    if (value === undefined) next.delete(number);
    else next.set(number, value);
    setChanges(next);
  };
  const save = async () => {
    setFaults(new Map());
    setProblem(undefined);
    try {
      // Whoever has pressed "Replace" has seen what is replaced.
      const replace = fields.some(
        ({ number, kind, value }) =>
          changes.has(number) && value !== null && (kind === "automatic" || kind === "configured"),
      );
      const body = { fields: { [template]: Object.fromEntries(changes) }, replace };
      await request(path, { method: "PATCH", body });
      notify({ text: `${plural(changes.size, "field")} saved.`, kind: "done" }, 4_000);
      setChanges(new Map());
      onSaved();
    } catch (failure) {
      const prefix = `/fields/${template}/`;
      const named = failure instanceof ApiError ? failure.fields : [];
      const found = new Map(
        named
          .filter(({ field }) => field.startsWith(prefix))
          .map(({ field, detail }) => [field.slice(prefix.length), detail]),
      );
      setFaults(found);
      setProblem(
        found.size > 0 ? `${plural(found.size, "field")} cannot be saved` : (failure as Error).message,
      );
      const [first] = found.keys();
      if (first !== undefined) document.getElementById(`field-${first}`)?.focus();
    }
  };
  const file = (format: string) => urlOf(own, { format });
  return (
    <>
      <h1>{data.title}</h1>
      <ul class="facts">
        <li>
          <DueLabel due={data.due} />
        </li>
        {data.due.at !== undefined && (
          <li>
            Due <Time at={data.due.at} /> (<Time at={data.due.at} relative />)
          </li>
        )}
        <li>
          {fields.length - blank} of {plural(fields.length, "field")} filled in,{" "}
          {plural(drafts, "of them a draft", "of them drafts")}
        </li>
      </ul>
      <p>{data.disclaimer}</p>
      {data.due.reasons.map((reason) => (
        <p key={reason} class="hint">
          {reason}
        </p>
      ))}
      <p class="hint">
        After {data.source.name}, published on {data.source.date}. Template {data.template}, version{" "}
        {data.version}.
      </p>
      <div class="actions">
        <a class="button" href={file("pdf")} download={`${template}.pdf`}>
          Download as PDF
        </a>
        <a class="button" href={file("json")} download={`${template}.json`}>
          Download as JSON
        </a>
        {data.duty === "DORA" && (
          <a class="button" href={file("structure")} download={`${template}-structure.json`}>
            Download the supervisors' structure
          </a>
        )}
      </div>
      <Submissions path={path} template={template} entered={entered} onSaved={onSaved} />
      <form
        noValidate
        onSubmit={(event) => {
          event.preventDefault();
          void save();
        }}
      >
        {data.sections.map(({ title, fields: own }) => (
          <section key={title} class="card report">
            <h2>{title}</h2>
            {own.map((field) => (
              <FieldRow
                key={field.number}
                field={field}
                change={changes.get(field.number)}
                fault={faults.get(field.number)}
                onChange={(value) => change(field.number, value)}
              />
            ))}
          </section>
        ))}
        {(changes.size > 0 || problem) && (
          <div class="save" role="group" aria-label="Save the report">
            {problem && (
              <p class="problems" role="alert">
                {problem}.
              </p>
            )}
            <button type="submit" class="primary" disabled={changes.size === 0}>
              Save {plural(changes.size, "field")}
            </button>
            <button type="button" onClick={() => setChanges(new Map())}>
              Undo all
            </button>
          </div>
        )}
      </form>
    </>
  );
}
