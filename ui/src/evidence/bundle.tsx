/** One bundle of evidence: what it contains, in words, and its files. */
import type { Bundle, BundleContent } from "../../../src/evidence/bundle.ts";
import { ApiError, request, urlOf } from "../api/client.ts";
import { useLoad } from "../api/load.ts";
import { duration, longTime, plural, sentence } from "../parts/format.ts";
import { SeverityMark, StateLabel, Time } from "../parts/labels.tsx";
import { Empty, Failure, Skeleton } from "../parts/states.tsx";
import { Table } from "../parts/table.tsx";
import { printable } from "../parts/text.ts";
import { useCommands } from "../shell/keys.ts";
import { address } from "../shell/router.ts";
import { useTitle } from "../shell/title.ts";

function titleOf({ incidents, anomalies, subject }: BundleContent): string {
  const text = incidents[0]?.sentence ?? anomalies[0]?.reports[0]?.report.explanation;
  return text === undefined ? `Evidence about ${subject.anomalies.join(", ")}` : sentence(printable(text));
}

function Downloads({ id }: { id: string }) {
  const path = `/v1/evidence/${encodeURIComponent(id)}`;
  return (
    <div class="actions">
      <a class="button" href={urlOf(path, { format: "json" })} download={`evidence-${id}.json`}>
        Download the bundle
      </a>
      <a class="button" href={urlOf(path, { format: "pdf" })} download={`evidence-${id}.pdf`}>
        Download as PDF
      </a>
      <a class="button" href={address("/verify")}>
        Verify a bundle
      </a>
    </div>
  );
}

function Facts({ content }: { content: BundleContent }) {
  const { subject, signing, versions, audit } = content;
  return (
    <section class="card">
      <h2>What it is</h2>
      <dl class="pairs">
        <dt>Made</dt>
        <dd>
          {longTime(content.created_at)}, by {printable(content.author)}
        </dd>
        <dt>About</dt>
        <dd>
          {subject.incidents.map((id) => (
            <a key={id} href={address(`/incidents/${encodeURIComponent(id)}`)}>
              the incident
            </a>
          ))}
          {subject.incidents.length === 0 &&
            subject.anomalies.map((id) => (
              <a key={id} href={address(`/anomalies/${encodeURIComponent(id)}`)}>
                the anomaly
              </a>
            ))}
          , with {plural(content.anomalies.length, "anomaly", "anomalies")}
          {content.left_out.length > 0 &&
            `; ${plural(content.left_out.length, "one is", "are")} not contained: ${content.left_out[0]!.reason}`}
        </dd>
        <dt>Signed by the key</dt>
        <dd>
          <code>{signing.key_id}</code>
        </dd>
        <dt>Computed with</dt>
        <dd>
          Driftlock {versions.driftlock},{" "}
          {plural(content.settings.length, "version of the settings", "versions of the settings")}
        </dd>
        <dt>Audit log</dt>
        <dd>
          {plural(audit.entries.length, "entry", "entries")} about it, proven to be in the log
          {audit.previous !== null && ", which begins with all entries of the previous bundle's"}
        </dd>
        <dt>Kept</dt>
        <dd>
          Anomalies for {duration(content.retention.max_age_ms)}
          {content.retention.oldest_anomaly !== null && (
            <>
              , the oldest since <Time at={content.retention.oldest_anomaly} />
            </>
          )}
        </dd>
      </dl>
    </section>
  );
}

function Anomalies({ anomalies }: { anomalies: BundleContent["anomalies"] }) {
  if (anomalies.length === 0) return null;
  return (
    <section class="card wide">
      <h2>Anomalies</h2>
      <Table
        label="Anomalies in the bundle"
        frame="tall"
        rows={anomalies}
        keyOf={({ id }) => id}
        columns={[
          { name: "Severity", unnamed: true, cell: ({ severity }) => <SeverityMark severity={severity} /> },
          { name: "Since", cell: (anomaly) => <Time at={anomaly.start_time} /> },
          { name: "Stream", kind: "text", cell: ({ stream }) => printable(stream) },
          {
            name: "What",
            kind: "text",
            cell: ({ id, reports }) => (
              <a href={address(`/anomalies/${encodeURIComponent(id)}`)}>
                {printable(reports[0]?.report.explanation ?? id)}
              </a>
            ),
          },
          { name: "Reports", kind: "number", cell: ({ reports }) => reports.length },
          {
            name: "Can be computed again",
            kind: "text",
            cell: ({ recording }) =>
              recording.kept ? <StateLabel state="active" name="Yes" /> : `No: ${recording.reason}`,
          },
        ]}
      />
    </section>
  );
}

function Decisions({ content }: { content: BundleContent }) {
  const entries = content.audit.entries.map(({ entry }) => entry);
  if (entries.length === 0) return null;
  return (
    <section class="card wide">
      <h2>What people did</h2>
      <Table
        label="Entries of the audit log"
        frame="tall"
        rows={entries}
        keyOf={({ seq }) => String(seq)}
        columns={[
          { name: "Time", cell: ({ time }) => <Time at={time} /> },
          { name: "Who", cell: ({ actor }) => printable(actor) },
          { name: "What", cell: ({ action }) => action },
          {
            name: "Note",
            kind: "text",
            cell: ({ detail }) => (typeof detail.note === "string" ? printable(detail.note) : ""),
          },
        ]}
      />
    </section>
  );
}

function Duties({ duties }: { duties: BundleContent["duties"] }) {
  if (duties.length === 0) return null;
  return (
    <section class="card">
      <h2>Reports to authorities</h2>
      <ul class="plain">
        {duties.map(({ template, title, due, fields }) => (
          <li key={template}>
            {title}: {fields.filter(({ value }) => value !== null).length} of {plural(fields.length, "field")}{" "}
            filled in
            {due !== null && (
              <>
                , due <Time at={due} />
              </>
            )}
          </li>
        ))}
      </ul>
    </section>
  );
}

function Privacy({ privacy }: { privacy: BundleContent["privacy"] }) {
  return (
    <section class="card">
      <h2>Personal data</h2>
      {privacy === null ? (
        <p>No policy masks personal data.</p>
      ) : privacy.counts.length === 0 ? (
        <p>The policy has found no personal or secret values.</p>
      ) : (
        <ul class="plain">
          {privacy.counts.map(({ kind, place, count }) => (
            <li key={`${kind} ${place}`}>
              {kind} in what is {place}: {plural(count, "match", "matches")}
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}

function OnlyAdmins() {
  return (
    <Empty title="Only administrators may read bundles">
      <p>
        A bundle has entries of the audit log, and what streams have learned. Whoever has a key or a role with
        the scope <code>admin</code> can download it. Ask them for the file: anyone can{" "}
        <a href={address("/verify")}>verify it</a>.
      </p>
    </Empty>
  );
}

export function BundlePage({ id }: { id: string }) {
  const { data, error, reload } = useLoad(`bundle ${id}`, (signal) =>
    request<Bundle>(`/v1/evidence/${encodeURIComponent(id)}`, { signal, query: { format: "json" } }),
  );
  useTitle(data ? titleOf(data.content) : "Evidence");
  useCommands([{ keys: "Escape", label: "Back", run: () => history.back() }]);
  if (error instanceof ApiError && error.status === 403) return <OnlyAdmins />;
  if (data === undefined) {
    return error ? <Failure error={error} retry={reload} stale={false} /> : <Skeleton />;
  }
  const { content } = data;
  return (
    <article class={error ? "stale" : ""}>
      {error && <Failure error={error} retry={reload} stale />}
      <p class="crumbs">
        <a href={address("/evidence")}>Evidence</a>
      </p>
      <h1 class="sentence">{titleOf(content)}</h1>
      <Downloads id={id} />
      <div class="cards">
        <Facts content={content} />
        <Duties duties={content.duties} />
        <Privacy privacy={content.privacy} />
        <Anomalies anomalies={content.anomalies} />
        <Decisions content={content} />
        <section class="card wide">
          <h2>What the method cannot do</h2>
          <ul>
            {content.limits.map((limit) => (
              <li key={limit}>{limit}</li>
            ))}
          </ul>
        </section>
      </div>
    </article>
  );
}
