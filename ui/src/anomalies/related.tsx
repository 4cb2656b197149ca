/** Other anomalies of the same traces, and of about the same time. */
import { request } from "../api/client.ts";
import { useLoad } from "../api/load.ts";
import type { CompactAnomaly, Related as RelatedJson } from "../api/types.ts";
import { SeverityMark, Time } from "../parts/labels.tsx";
import { Table } from "../parts/table.tsx";
import { address } from "../shell/router.ts";
import { headlineOf } from "./explanation.ts";

/** Of anomalies of about the same time, only the closest are shown at first. */
const shown = 8;

export function AnomalyTable({ label, anomalies }: { label: string; anomalies: readonly CompactAnomaly[] }) {
  return (
    <Table
      label={label}
      frame="tall"
      rows={anomalies}
      keyOf={({ id }) => id}
      columns={[
        { name: "Severity", unnamed: true, cell: ({ severity }) => <SeverityMark severity={severity} /> },
        { name: "Since", cell: (anomaly) => <Time at={anomaly.start_time} /> },
        { name: "Service", cell: ({ service }) => service },
        {
          name: "What",
          kind: "text",
          cell: (anomaly) => (
            <a href={address(`/anomalies/${encodeURIComponent(anomaly.id)}`)}>{headlineOf(anomaly)}</a>
          ),
        },
      ]}
    />
  );
}

export function Related({ id }: { id: string }) {
  const { data } = useLoad(`related ${id}`, (signal) =>
    request<RelatedJson>(`/v1/anomalies/${encodeURIComponent(id)}/related`, { signal }),
  );
  if (data === undefined) return null;
  const { same_trace, same_time } = data;
  const traced = new Set(same_trace.map((anomaly) => anomaly.id));
  const others = same_time.filter((anomaly) => !traced.has(anomaly.id));
  if (same_trace.length + others.length === 0) return null;
  return (
    <section class="card wide">
      <h2>Related anomalies</h2>
      {same_trace.length > 0 && (
        <>
          <h3>In the same trace</h3>
          <AnomalyTable label="Anomalies in the same trace" anomalies={same_trace} />
        </>
      )}
      {others.length > 0 && (
        <>
          <h3>At about the same time</h3>
          <AnomalyTable label="Anomalies at about the same time" anomalies={others.slice(0, shown)} />
        </>
      )}
    </section>
  );
}
