/** The audit log: who changed what, in a chain of hashes. */
import { usePages } from "../api/pages.ts";
import type { AuditEntry } from "../api/types.ts";
import { longTime } from "../parts/format.ts";
import { Failure, Skeleton } from "../parts/states.tsx";
import { Table } from "../parts/table.tsx";
import { printable } from "../parts/text.ts";
import { address } from "../shell/router.ts";

const none = new URLSearchParams();

/** The page of what an entry is about, if there is one. */
function pageOf({ action, target }: AuditEntry): string | undefined {
  if (action.startsWith("anomaly.")) return address(`/anomalies/${encodeURIComponent(target)}`);
  if (action === "evidence.created") return address(`/evidence/${encodeURIComponent(target)}`);
  if (action.startsWith("incident.")) return address(`/incidents/${encodeURIComponent(target)}`);
  return undefined;
}

function Detail({ detail }: { detail: AuditEntry["detail"] }) {
  const { note, ...rest } = detail;
  return (
    <>
      {typeof note === "string" && note !== "" && <q>{printable(note)}</q>}
      {Object.keys(rest).length > 0 && <code class="small">{JSON.stringify(rest)}</code>}
    </>
  );
}

export function Audit() {
  const pages = usePages<AuditEntry>("/v1/audit", none, 15_000);
  const error = pages.error.value;
  return (
    <section class="card">
      <h2>Audit log</h2>
      <p class="hint">
        Each entry holds the hash of the one before it, so that a later change shows:{" "}
        <code>driftlock audit verify</code>.
      </p>
      {error && <Failure error={error} retry={pages.reload} stale={pages.rows.length > 0} />}
      {!pages.loaded && !error && <Skeleton />}
      {pages.loaded && pages.rows.length === 0 && <p>Nothing has been changed yet.</p>}
      {pages.rows.length > 0 && (
        <Table
          label="Audit log"
          frame="tall"
          rows={pages.rows}
          keyOf={({ seq }) => String(seq)}
          more={pages.hasMore && pages.more}
          columns={[
            { name: "No.", kind: "number", cell: ({ seq }) => seq },
            { name: "Time", cell: ({ time }) => <time dateTime={time}>{longTime(time)}</time> },
            { name: "Who", cell: ({ actor }) => actor },
            { name: "What", cell: ({ action }) => action },
            {
              name: "About",
              kind: "text",
              cell: (entry) => {
                const page = pageOf(entry);
                return page === undefined ? entry.target : <a href={page}>{entry.target}</a>;
              },
            },
            { name: "Detail", kind: "text", cell: ({ detail }) => <Detail detail={detail} /> },
          ]}
        />
      )}
    </section>
  );
}
