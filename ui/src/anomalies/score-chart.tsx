/** The scores of the stream's anomalies as multiples of their limits, and the stream's highest score of each five minutes. */
import { useMemo } from "preact/hooks";
import { request } from "../api/client.ts";
import { useLoad } from "../api/load.ts";
import type { Anomaly, StreamDetail } from "../api/types.ts";
import { Chart, type Series } from "../parts/chart.tsx";

const minMarginMs = 600_000;

export function useStream(id: string) {
  return useLoad(`stream ${id}`, (signal) =>
    request<StreamDetail>(`/v1/streams/${encodeURIComponent(id)}`, { signal }),
  );
}

export function ScoreChart({ anomaly }: { anomaly: Anomaly }) {
  const { data: stream } = useStream(anomaly.stream_id);
  const chart = useMemo(() => {
    if (stream === undefined) return undefined;
    const points = stream.scores
      .filter(({ score, limit }) => score !== null && limit !== null && limit > 0)
      .map(({ time, score, limit, anomaly: id }) => ({ time: Date.parse(time), ratio: score! / limit!, id }))
      .sort((a, b) => a.time - b.time);
    const [first, last] = [points[0], points.at(-1)];
    if (first === undefined || last === undefined) return undefined;
    // The limit is drawn beyond the points, so that even a single one has something to be compared with.
    const margin = Math.max(minMarginMs, (last.time - first.time) / 20);
    points.unshift({ time: first.time - margin, ratio: Number.NaN, id: "" });
    points.push({ time: last.time + margin, ratio: Number.NaN, id: "" });
    const series: Series[] = [
      { label: "Limit", color: "--limit", kind: "line", dashed: true, values: points.map(() => 1) },
      {
        label: "Other anomalies of the stream",
        color: "--chart-2",
        kind: "points",
        values: points.map(({ id, ratio }) => (id === "" || id === anomaly.id ? null : ratio)),
      },
      {
        label: "This anomaly",
        color: "--critical",
        kind: "points",
        values: points.map(({ id, ratio }) => (id === anomaly.id ? ratio : null)),
      },
    ];
    return { times: points.map(({ time }) => time), series };
  }, [stream, anomaly.id]);
  if (chart === undefined) return null;
  return (
    <section class="card wide">
      <h2>Score over time, as a multiple of the limit</h2>
      <Chart
        label="Scores of the stream's anomalies as multiples of their limits"
        {...chart}
        top={1.5}
        unit="×"
      />
    </section>
  );
}
