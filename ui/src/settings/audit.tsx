/** The audit log: who changed what, in a chain of hashes. */
import { usePages } from "../api/pages.ts";
import type { AuditEntry } from "../api/types.ts";
import { longTime } from "../parts/format.ts";
import { Failure, Skeleton } from "../parts/states.tsx";
import { printable } from "../parts/text.ts";
import { address } from "../shell/router.ts";

const none = new URLSearchParams();

/** The page of what an entry is about, if there is one. */
function pageOf({ action, target }: AuditEntry): string | undefined {
  if (action.startsWith("anomaly.")) return address(`/anomalies/${encodeURIComponent(target)}`);
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
        <div class="scroll tall" tabindex={0} role="region" aria-label="Audit log">
          <table>
            <thead>
              <tr>
                <th class="number">No.</th>
                <th>Time</th>
                <th>Who</th>
                <th>What</th>
                <th>About</th>
                <th>Detail</th>
              </tr>
            </thead>
            <tbody>
              {pages.rows.map((entry) => {
                const page = pageOf(entry);
                return (
                  <tr key={entry.seq}>
                    <td class="number">{entry.seq}</td>
                    <td>
                      <time dateTime={entry.time}>{longTime(entry.time)}</time>
                    </td>
                    <td>{entry.actor}</td>
                    <td>{entry.action}</td>
                    <td class="any">
                      {page === undefined ? entry.target : <a href={page}>{entry.target}</a>}
                    </td>
                    <td class="any">
                      <Detail detail={entry.detail} />
                    </td>
                  </tr>
                );
              })}
            </tbody>
          </table>
          {pages.hasMore && (
            <button type="button" onClick={pages.more}>
              Show more
            </button>
          )}
        </div>
      )}
    </section>
  );
}
