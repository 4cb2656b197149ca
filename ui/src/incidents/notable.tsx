/** What came closest to being an anomaly, so that there is something true to see even on a calm day. */
import { headline } from "../anomalies/explanation.ts";
import { request } from "../api/client.ts";
import { useLoad } from "../api/load.ts";
import type { Notable as NotableJson } from "../api/types.ts";
import { number } from "../parts/format.ts";
import { Time } from "../parts/labels.tsx";
import { Table } from "../parts/table.tsx";
import { printable } from "../parts/text.ts";
import { apiTime } from "../parts/time-range.ts";
import { address, here } from "../shell/router.ts";

const shown = "10";

/** How close it came to an alarm. */
function closeness(margin: number | null): string {
  if (margin === null) return "–";
  return margin >= 1 ? "withheld by a budget" : `${number(margin * 100, 2)} %`;
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
      <Table
        label="Notable, although no alarm"
        frame="card notable"
        rows={data.items}
        keyOf={({ stream_id, report }) => `${stream_id} ${report.time}`}
        columns={[
          { name: "Time", cell: ({ report }) => <Time at={report.time} /> },
          {
            name: "Stream",
            kind: "text",
            cell: ({ stream, stream_id }) => (
              <a href={address(`/streams/${encodeURIComponent(stream_id)}`)}>{printable(stream)}</a>
            ),
          },
          { name: "What", kind: "text", cell: ({ report }) => headline(report) },
          {
            name: "How close to an alarm",
            title: "The part of the rarity of an alarm that it reached",
            cell: ({ report }) => closeness(report.margin),
          },
        ]}
      />
    </section>
  );
}
