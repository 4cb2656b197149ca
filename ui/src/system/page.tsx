/** How Driftlock itself is: its parts, throughput, queue, budget and versions. */
import { useRef } from "preact/hooks";
import { request, send } from "../api/client.ts";
import { useLoad } from "../api/load.ts";
import type { Readiness, Usage, Version } from "../api/types.ts";
import { bytes, compact, count, duration, number } from "../parts/format.ts";
import { StateLabel } from "../parts/labels.tsx";
import { Failure, Skeleton } from "../parts/states.tsx";
import { Table } from "../parts/table.tsx";
import { address } from "../shell/router.ts";
import { useTitle } from "../shell/title.ts";
import { type Metrics, rateOf, readMetrics } from "./metrics.ts";

const everyMs = 5_000;

function Parts({ readiness }: { readiness: Readiness }) {
  return (
    <section class="card wide">
      <h2>
        {
          {
            ready: "Everything works",
            degraded: "Data is accepted, but not everything works as it should",
            "not ready": "No data is accepted",
          }[readiness.status]
        }
      </h2>
      <ul class="components">
        {readiness.components.map(({ name, ready, degraded, reason }) => (
          <li key={name}>
            <StateLabel
              state={!ready ? "failed" : degraded ? "open" : "ready"}
              name={!ready ? "Failed" : degraded ? "Degraded" : "Works"}
            />
            <strong>{name.replaceAll("_", " ")}</strong>
            <span class="muted">{reason}</span>
          </li>
        ))}
      </ul>
    </section>
  );
}

function Figure({ name, value, note }: { name: string; value: string; note?: string | undefined }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{value}</dd>
      {note !== undefined && <dd class="muted">{note}</dd>}
    </div>
  );
}

function Figures({ now, before }: { now: Metrics; before: Metrics | undefined }) {
  const value = (name: string) => now.values.get(`driftlock_${name}`) ?? 0;
  const rate = (name: string) => {
    const found = rateOf(`driftlock_${name}`, before, now);
    return found === undefined ? "–" : `${number(found)}/s`;
  };
  const mean = (name: string) => {
    const sum = rateOf(`driftlock_${name}_sum`, before, now);
    const requests = rateOf(`driftlock_${name}_count`, before, now);
    return sum === undefined || !requests ? undefined : `${number((sum / requests) * 1_000)} ms on average`;
  };
  const started = now.values.get("process_start_time_seconds");
  return (
    <>
      <h2>Throughput</h2>
      <dl class="figures">
        <Figure
          name="Records received"
          value={rate("receiver_records_total")}
          note={mean("receiver_duration_seconds")}
        />
        <Figure
          name="Bytes received"
          value={bytesRate(rateOf("driftlock_receiver_bytes_total", before, now))}
        />
        <Figure
          name="Records judged"
          value={rate("receiver_records_total")}
          note={mean("engine_duration_seconds")}
        />
        <Figure
          name="Records flagged"
          value={rate("flagged_records_total")}
          note={`${count(value("flagged_records_total"))} since the start`}
        />
        <Figure
          name="Records delivered"
          value={rate("forwarded_records_total")}
          note={mean("forward_duration_seconds")}
        />
        <Figure
          name="Returned to senders"
          value={rate("undelivered_records_total")}
          note={`${count(value("undelivered_records_total"))} since the start`}
        />
      </dl>
      <h2>Load</h2>
      <dl class="figures">
        <Figure
          name="Waiting for delivery"
          value={bytes(value("queue_bytes") + value("queue_disk_bytes"))}
          note={`${count(value("queue_requests"))} requests`}
        />
        <Figure name="Downstream" value={value("downstream_up") === 1 ? "Answers" : "Does not answer"} />
        <Figure
          name="Streams"
          value={compact(value("streams"))}
          note={`${count(value("streams_learning"))} of them learning`}
        />
        <Figure name="Memory of streams" value={bytes(value("engine_bytes"))} />
        <Figure
          name="Memory of the process"
          value={bytes(now.values.get("process_resident_memory_bytes") ?? 0)}
        />
        <Figure
          name="Processor"
          value={percent(rateOf("process_cpu_seconds_total", before, now))}
          note={started === undefined ? undefined : `up for ${duration(Date.now() - started * 1_000)}`}
        />
      </dl>
      <h2>Alarms</h2>
      <dl class="figures">
        <Figure name="Reports" value={compact(value("anomaly_reports_total"))} note="since the start" />
        <Figure
          name="Withheld by budgets"
          value={compact(value("withheld_alarms_total"))}
          note="since the start"
        />
        <Figure name="Silenced" value={compact(value("silenced_reports_total"))} note="since the start" />
        <Figure name="Notifications" value={compact(value("notifications_total"))} note="since the start" />
        <Figure
          name="Not stored"
          value={compact(value("store_dropped_reports_total"))}
          note="since the start"
        />
        <Figure name="Listeners to events" value={compact(value("live_listeners"))} />
      </dl>
    </>
  );
}

const bytesRate = (rate: number | undefined) => (rate === undefined ? "–" : `${bytes(rate)}/s`);
const percent = (share: number | undefined) => (share === undefined ? "–" : `${number(share * 100)} %`);

function Days({ usage }: { usage: Usage }) {
  if (usage.items.length === 0) return null;
  return (
    <section class="card">
      <h2>What was sent per day</h2>
      <Table
        label="What was sent per day"
        rows={usage.items.toReversed()}
        keyOf={({ day }) => day}
        columns={[
          { name: "Day, UTC", cell: ({ day }) => day },
          { name: "Requests", kind: "number", cell: ({ requests }) => count(requests) },
          { name: "Records", kind: "number", cell: ({ records }) => count(records) },
          { name: "Bytes", kind: "number", cell: (day) => bytes(day.bytes) },
        ]}
      />
    </section>
  );
}

function Versions({ version }: { version: Version }) {
  return (
    <section class="card">
      <h2>Versions</h2>
      <dl class="pairs">
        <dt>Driftlock</dt>
        <dd>{version.version}</dd>
        <dt>Node.js</dt>
        <dd>{version.node}</dd>
        {Object.entries(version.codecs).flatMap(([name, value]) => [
          <dt key={name}>{name === "openzlFormat" ? "OpenZL format" : name}</dt>,
          <dd key={`${name} version`}>{value}</dd>,
        ])}
      </dl>
      <p class="hint">
        <a href={address("/docs")} data-outside>
          The API
        </a>{" "}
        describes itself.
      </p>
    </section>
  );
}

export function SystemPage() {
  useTitle("System");
  const before = useRef<Metrics | undefined>(undefined);
  const readiness = useLoad(
    "readiness",
    async (signal) => (await send("/readyz", { signal, also: 503 })).json() as Promise<Readiness>,
    everyMs,
  );
  const metrics = useLoad(
    "metrics",
    async (signal) => {
      const now = await readMetrics(signal);
      const pair = { now, before: before.current };
      before.current = now;
      return pair;
    },
    everyMs / 2,
  );
  const usage = useLoad("usage", (signal) => request<Usage>("/v1/usage", { signal }), 60_000);
  const version = useLoad("version", (signal) => request<Version>("/v1/version", { signal }));
  const error = readiness.error ?? metrics.error;
  return (
    <article class={error ? "stale" : ""}>
      <h1>System</h1>
      {error && <Failure error={error} retry={readiness.reload} stale={readiness.data !== undefined} />}
      {!readiness.data && !error && <Skeleton />}
      {readiness.data && <Parts readiness={readiness.data} />}
      {metrics.data && <Figures {...metrics.data} />}
      <div class="cards">
        {usage.data && <Days usage={usage.data} />}
        {version.data && <Versions version={version.data} />}
      </div>
    </article>
  );
}
