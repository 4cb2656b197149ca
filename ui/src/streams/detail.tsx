/** A stream: what arrived in the last day, how strange it was, and how it is judged. */
import { useMemo } from "preact/hooks";
import { headlineOf } from "../anomalies/explanation.ts";
import { AnomalyState } from "../anomalies/facts.tsx";
import { request } from "../api/client.ts";
import { useLoad } from "../api/load.ts";
import type { Anomaly, Page, StreamDetail } from "../api/types.ts";
import { Chart, type Series } from "../parts/chart.tsx";
import { compact, count, duration, number } from "../parts/format.ts";
import { SeverityMark, StateLabel, Time } from "../parts/labels.tsx";
import { Failure, Skeleton } from "../parts/states.tsx";
import { Table } from "../parts/table.tsx";
import { printable } from "../parts/text.ts";
import { useCommands } from "../shell/keys.ts";
import { address } from "../shell/router.ts";
import { useTitle } from "../shell/title.ts";
import { dueIn, streamStates } from "./states.ts";

const stepMs = 300_000;

/** Fills the five minutes without records, of which the API has no points. */
function filled(history: StreamDetail["history"]) {
  const first = history[0];
  if (first === undefined) return { times: [], points: [] };
  const byTime = new Map(history.map((point) => [Date.parse(point.time), point]));
  const last = Date.parse(history.at(-1)!.time);
  const times: number[] = [];
  for (let time = Date.parse(first.time) - stepMs; time <= last + stepMs; time += stepMs) times.push(time);
  return { times, points: times.map((time) => byTime.get(time)) };
}

function Charts({ stream }: { stream: StreamDetail }) {
  const { history } = stream;
  const charts = useMemo(() => {
    const { times, points } = filled(history);
    const rate: Series[] = [
      {
        label: "Records per second",
        color: "--chart-1",
        kind: "bars",
        values: points.map((point) => point?.records_per_second ?? 0),
      },
    ];
    if (stream.records_per_second !== null) {
      rate.push({
        label: "Average since the first record",
        color: "--muted",
        kind: "line",
        dashed: true,
        values: points.map(() => stream.records_per_second),
      });
    }
    const score: Series[] = [
      {
        label: "Highest score",
        color: "--chart-1",
        kind: "bars",
        values: points.map((point) => (point?.flagged ? null : (point?.score ?? null))),
      },
      {
        label: "Highest score, with flagged records",
        color: "--critical",
        kind: "bars",
        values: points.map((point) => (point?.flagged ? point.score : null)),
      },
      {
        label: "Exceeded by one in a hundred while it learned",
        color: "--muted",
        kind: "line",
        dashed: true,
        values: points.map(() => 1),
      },
    ];
    return { times, rate, score };
  }, [history, stream.records_per_second]);
  if (history.length === 0) {
    return (
      <section class="card wide">
        <h2>The last day</h2>
        <p>No record has arrived in the last 24 hours.</p>
      </section>
    );
  }
  return (
    <>
      <section class="card wide">
        <h2>Rate in the last day</h2>
        <Chart
          label="Records per second, of each five minutes"
          times={charts.times}
          series={charts.rate}
          unit="/s"
        />
      </section>
      <section class="card wide">
        <h2>Scores in the last day</h2>
        <Chart
          label="Highest score of each five minutes, as a multiple of the score that one in a hundred exceeds"
          times={charts.times}
          series={charts.score}
          top={1.5}
          unit="×"
        />
      </section>
    </>
  );
}

function Anomalies({ stream }: { stream: StreamDetail }) {
  const { data } = useLoad(
    `anomalies of ${stream.id}`,
    (signal) =>
      request<Page<Anomaly>>("/v1/anomalies", { query: { stream_id: stream.id, limit: "10" }, signal }),
    15_000,
  );
  if (data === undefined || data.items.length === 0) return null;
  return (
    <section class="card wide">
      <h2>Latest anomalies</h2>
      <Table
        label="Latest anomalies"
        rows={data.items}
        keyOf={({ id }) => id}
        columns={[
          { name: "Severity", unnamed: true, cell: ({ severity }) => <SeverityMark severity={severity} /> },
          { name: "Since", cell: (anomaly) => <Time at={anomaly.start_time} /> },
          {
            name: "What",
            kind: "text",
            cell: (anomaly) => (
              <a href={address(`/anomalies/${encodeURIComponent(anomaly.id)}`)}>{headlineOf(anomaly)}</a>
            ),
          },
          { name: "Verdicts", kind: "number", cell: ({ occurrences }) => `${compact(occurrences)}×` },
          { name: "State", cell: (anomaly) => <AnomalyState anomaly={anomaly} /> },
        ]}
      />
      {stream.anomalies > data.items.length && (
        <p>
          <a href={address("/anomalies", { stream: stream.key })}>All {count(stream.anomalies)} anomalies</a>
        </p>
      )}
    </section>
  );
}

export function StreamPage({ id }: { id: string }) {
  const {
    data: stream,
    error,
    reload,
  } = useLoad(
    `stream ${id}`,
    (signal) => request<StreamDetail>(`/v1/streams/${encodeURIComponent(id)}`, { signal }),
    15_000,
  );
  useTitle(stream?.key ?? "Stream");
  useCommands([{ keys: "Escape", label: "Back", run: () => history.back() }]);
  if (stream === undefined) {
    return error ? <Failure error={error} retry={reload} stale={false} /> : <Skeleton />;
  }
  const due = dueIn(stream);
  const { state } = stream;
  return (
    <article class={error ? "stale" : ""}>
      {error && <Failure error={error} retry={reload} stale />}
      <p class="crumbs">
        <a href={address("/streams")}>Streams</a>
      </p>
      <h1 class="sentence">{printable(stream.key)}</h1>
      <ul class="facts">
        <li>
          <StateLabel state={state} name={streamStates[state].name} />
        </li>
        <li>{streamStates[state].meaning}</li>
        {stream.service !== "" && (
          <li>
            Service <a href={address("/streams", { service: stream.service })}>{stream.service}</a>
          </li>
        )}
      </ul>
      {state === "learning" && (
        <label class="progress">
          It has learned {Math.round(stream.progress * 100)} %
          {due !== undefined && `; its first verdicts are due in about ${duration(due)}`}
          <progress value={stream.progress} />
        </label>
      )}
      <dl class="figures">
        <div>
          <dt>Rate now</dt>
          <dd>{number(stream.recent_records_per_second)}/s</dd>
        </div>
        <div>
          <dt>Usual rate</dt>
          <dd>{stream.records_per_second === null ? "–" : `${number(stream.records_per_second)}/s`}</dd>
        </div>
        <div>
          <dt>Records</dt>
          <dd>{compact(stream.records)}</dd>
        </div>
        <div>
          <dt>Flagged</dt>
          <dd>{compact(stream.flagged)}</dd>
        </div>
        <div>
          <dt>Withheld by budgets</dt>
          <dd>{compact(stream.withheld)}</dd>
        </div>
        <div>
          <dt>Age of the baseline</dt>
          <dd>
            {stream.baseline_age_seconds === null ? "–" : duration(stream.baseline_age_seconds * 1_000)}
          </dd>
        </div>
        <div>
          <dt>Latest record</dt>
          <dd>
            <Time at={stream.last_seen} relative />
          </dd>
        </div>
      </dl>
      <div class="cards">
        <Charts stream={stream} />
        <Anomalies stream={stream} />
      </div>
      <p class="hint">
        <a href={address("/settings", { tab: "policies" })}>Policies</a> say how streams are judged.
      </p>
    </article>
  );
}
