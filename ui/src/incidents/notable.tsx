/** What came closest to being an anomaly, so that there is something true to see even on a calm day. */
import { headline } from "../anomalies/explanation.ts";
import { request } from "../api/client.ts";
import { useLoad } from "../api/load.ts";
import type { Notable as NotableJson } from "../api/types.ts";
import { number } from "../parts/format.ts";
import { Time } from "../parts/labels.tsx";
import { printable } from "../parts/text.ts";
import { apiTime } from "../parts/time-range.ts";
import { address, here } from "../shell/router.ts";

const shown = "10";

/** How close it came to an alarm. */
function closeness(margin: number | null): string {
  if (margin === null) return "–";
  return margin >= 1 ? "withheld by a budget" : `${number(margin * 100, 2)} % of the rarity of an alarm`;
}

export function Notable() {
  const { query } = here.value;
  const from = query.get("from") || "now-24h";
  const until = query.get("until") || "now";
  const { data } = useLoad(
    `notable ${from} ${until}`,
    (signal) =>
      request<{ items: NotableJson[] }>("/v1/notable", {
        query: { limit: shown, from: apiTime(from) ?? "", until: apiTime(until) ?? "" },
        signal,
      }),
    60_000,
  );
  if (data === undefined || data.items.length === 0) return null;
  return (
    <section>
      <h2>Notable, although no alarm</h2>
      <div class="card scroll" tabindex={0} role="region" aria-label="Notable, although no alarm">
        <table>
          <thead>
            <tr>
              <th>Time</th>
              <th>Stream</th>
              <th>What</th>
              <th>How close to an alarm</th>
            </tr>
          </thead>
          <tbody>
            {data.items.map(({ stream, stream_id, report }) => (
              <tr key={`${stream_id} ${report.time}`}>
                <td>
                  <Time at={report.time} />
                </td>
                <td class="any">
                  <a href={address(`/streams/${encodeURIComponent(stream_id)}`)}>{printable(stream)}</a>
                </td>
                <td class="any">{headline(report)}</td>
                <td>{closeness(report.margin)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}
