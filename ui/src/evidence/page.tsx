/** The bundles of evidence that were made. */

import { request } from "../api/client.ts";
import { useLoad } from "../api/load.ts";
import { usePages } from "../api/pages.ts";
import type { EvidenceBundle, Incident, Page } from "../api/types.ts";
import { chosen, Field } from "../parts/choices.tsx";
import { bytes, count, sentence } from "../parts/format.ts";
import { Time } from "../parts/labels.tsx";
import { Empty, Failure, Skeleton } from "../parts/states.tsx";
import { Table } from "../parts/table.tsx";
import { printable } from "../parts/text.ts";
import { address, setQuery } from "../shell/router.ts";
import { useTitle } from "../shell/title.ts";

function Nothing({ filtered }: { filtered: boolean }) {
  if (filtered) {
    return (
      <Empty title="No bundle matches the filters">
        <p>
          <button type="button" onClick={() => setQuery({ about: undefined, author: undefined })}>
            Show all bundles
          </button>
        </p>
      </Empty>
    );
  }
  return (
    <Empty title="No bundle has been made yet">
      <p>
        A bundle holds all that is stored about an anomaly or an incident, signed, so that others can check it
        without Driftlock. Make one on the page of an <a href={address("/")}>incident</a> or an{" "}
        <a href={address("/anomalies")}>anomaly</a>, or with <code>driftlock evidence create</code>.
      </p>
    </Empty>
  );
}

/** What a bundle is about, as far as the incidents that are listed tell. */
function About({ bundle, incident }: { bundle: EvidenceBundle; incident: Incident | undefined }) {
  const text = bundle.incident === null ? `Anomaly ${bundle.anomaly}` : `Incident ${bundle.incident}`;
  return (
    <a href={address(`/evidence/${encodeURIComponent(bundle.id)}`)}>
      {incident === undefined ? text : sentence(printable(incident.sentence))}
    </a>
  );
}

export function EvidencePage() {
  useTitle("Evidence");
  const filters = chosen("about", "author");
  const pages = usePages<EvidenceBundle>("/v1/evidence", filters, 60_000);
  const { data } = useLoad("incidents with evidence", (signal) =>
    request<Page<Incident>>("/v1/incidents", { query: { limit: "200" }, signal }),
  );
  const incidents = new Map(data?.items.map((incident) => [incident.id, incident]));
  const error = pages.error.value;
  return (
    <article class={error ? "stale" : ""}>
      <h1>Evidence</h1>
      <p>
        Signed bundles of what is known about incidents and anomalies. Whoever receives one can{" "}
        <a href={address("/verify")}>verify it</a> without Driftlock. The page of an incident also leads to
        its reports to authorities.
      </p>
      <div class="filters" role="search">
        <Field name="about" label="Anomaly or incident" />
        <Field name="author" label="Made by" />
      </div>
      {error && <Failure error={error} retry={pages.reload} stale={pages.loaded} />}
      {!pages.loaded && !error && <Skeleton />}
      {pages.loaded && pages.rows.length === 0 && <Nothing filtered={filters.size > 0} />}
      {pages.rows.length > 0 && (
        <section class="card">
          <Table
            label="Bundles of evidence"
            frame="tall"
            rows={pages.rows}
            keyOf={({ id }) => id}
            more={pages.hasMore && pages.more}
            columns={[
              { name: "Made", cell: (bundle) => <Time at={bundle.created_at} /> },
              { name: "By", cell: ({ author }) => printable(author) },
              {
                name: "About",
                kind: "text",
                cell: (bundle) => <About bundle={bundle} incident={incidents.get(bundle.incident ?? "")} />,
              },
              {
                name: "Members",
                kind: "number",
                title: "Streams and channels of the incident",
                cell: ({ incident }) => {
                  const members = incidents.get(incident ?? "")?.members;
                  return members === undefined ? "–" : count(members);
                },
              },
              { name: "Size", kind: "number", cell: ({ size }) => bytes(size) },
              {
                name: "SHA-256",
                cell: ({ sha256 }) => <code title={sha256}>{sha256.slice(0, 12)}…</code>,
              },
            ]}
          />
        </section>
      )}
    </article>
  );
}
