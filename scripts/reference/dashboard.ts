/**
 * The Grafana dashboard of deploy/observability, made with Grafana's own builders, whose types are generated from
 * Grafana's schemas.
 */
import * as common from "@grafana/grafana-foundation-sdk/common";
import * as dashboard from "@grafana/grafana-foundation-sdk/dashboard";
import { DataqueryBuilder } from "@grafana/grafana-foundation-sdk/prometheus";
import { PanelBuilder as StatBuilder } from "@grafana/grafana-foundation-sdk/stat";
import { PanelBuilder as GraphBuilder } from "@grafana/grafana-foundation-sdk/timeseries";

/** A query and the text of its legend. */
type Query = readonly [expr: string, legend: string];

interface Graph {
  title: string;
  description: string;
  unit: string;
  queries: readonly Query[];
  /** Whether series add up to something, so that they are drawn on top of one another. */
  stacked?: boolean;
  max?: number;
}

const source: common.DataSourceRef = { type: "prometheus", uid: "$datasource" };
const fullWidth = 24;

/** The instances that are chosen, and of their streams those that are. */
const here = 'instance=~"$instance"';
const streams = `${here},tenant=~"$tenant",service=~"$service"`;

const rate = (name: string, by: string, labels = "") =>
  `sum by (${by}) (rate(driftlock_${name}{${here}${labels && `,${labels}`}}[$__rate_interval]))`;
const increase = (name: string, by: string, labels = "") =>
  `sum by (${by}) (increase(driftlock_${name}{${here}${labels && `,${labels}`}}[$__rate_interval]))`;
const quantile = (q: number, name: string) =>
  `histogram_quantile(${q}, sum by (le, signal) (rate(driftlock_${name}_duration_seconds_bucket{${here}}[$__rate_interval])))`;
const latency = (name: string): Query[] => [
  [quantile(0.5, name), "{{signal}} p50"],
  [quantile(0.99, name), "{{signal}} p99"],
];

const stats: readonly (Graph & { alarm?: { below?: number; above?: number } })[] = [
  {
    title: "Instances",
    description: "Instances whose metrics Prometheus reads.",
    unit: "short",
    queries: [[`count(driftlock_build_info{${here}})`, "instances"]],
    alarm: { below: 1 },
  },
  {
    title: "Downstream",
    description: "The lowest value of all instances: 1 if the downstream of each of them responds.",
    unit: "bool_on_off",
    queries: [[`min(driftlock_downstream_up{${here}})`, "downstream"]],
    alarm: { below: 1 },
  },
  {
    title: "Store",
    description: "The lowest value of all instances: 1 if the store of each of them responds.",
    unit: "bool_on_off",
    queries: [[`min(driftlock_store_up{${here}})`, "store"]],
    alarm: { below: 1 },
  },
  {
    title: "Records",
    description: "Log records, spans and metric points per second.",
    unit: "cps",
    queries: [[`sum(rate(driftlock_receiver_records_total{${here}}[$__rate_interval]))`, "records"]],
  },
  {
    title: "Open incidents",
    description: "Open incidents, without minor ones.",
    unit: "short",
    queries: [[`sum(driftlock_open_incidents{${here},severity!="minor"})`, "open"]],
    alarm: { above: 1 },
  },
  {
    title: "Queue",
    description: "The used part of the fullest queue.",
    unit: "percentunit",
    queries: [[`max(driftlock_queue_used_ratio{${here}})`, "queue"]],
    alarm: { above: 0.8 },
  },
];

const rows: readonly (readonly [title: string, graphs: readonly Graph[]])[] = [
  [
    "Throughput",
    [
      {
        title: "Records",
        description: "Records that the engine read.",
        unit: "cps",
        queries: [[rate("receiver_records_total", "signal"), "{{signal}}"]],
        stacked: true,
      },
      {
        title: "Requests by answer",
        description: "Export requests by the status code of their answers.",
        unit: "reqps",
        queries: [[rate("receiver_requests_total", "code"), "{{code}}"]],
        stacked: true,
      },
      {
        title: "Bytes",
        description:
          "Export requests as they were sent (wire), after decompression (received), and before compression to the downstream (forwarded).",
        unit: "Bps",
        queries: [
          [`sum(rate(driftlock_receiver_wire_bytes_total{${here}}[$__rate_interval]))`, "wire"],
          [`sum(rate(driftlock_receiver_bytes_total{${here}}[$__rate_interval]))`, "received"],
          [`sum(rate(driftlock_forwarded_bytes_total{${here}}[$__rate_interval]))`, "forwarded"],
        ],
      },
    ],
  ],
  [
    "Latency",
    [
      {
        title: "Answer",
        description: "Time from a request's headers to its answer, including the engine and the downstream.",
        unit: "s",
        queries: latency("receiver"),
      },
      {
        title: "Engine",
        description: "Time from a request's arrival at the engine to its verdicts.",
        unit: "s",
        queries: latency("engine"),
      },
      {
        title: "Delivery",
        description: "Time until the downstream accepted a request, including waiting and retries.",
        unit: "s",
        queries: latency("forward"),
      },
    ],
  ],
  [
    "Incidents",
    [
      {
        title: "Open incidents",
        description: "Open incidents by severity, and those that are minor, which notify nobody.",
        unit: "short",
        queries: [[`sum by (severity) (driftlock_open_incidents{${here}})`, "{{severity}}"]],
        stacked: true,
      },
      {
        title: "Begun, ended, merged",
        description: "What became of incidents.",
        unit: "short",
        queries: [[increase("incidents_total", "event"), "{{event}}"]],
      },
      {
        title: "Evidence without an incident",
        description: "Items from which incidents are formed that exceeded a bound, or came too late.",
        unit: "short",
        queries: [
          [`sum(increase(driftlock_left_out_incident_items_total{${here}}[$__rate_interval]))`, "left out"],
          [`sum(increase(driftlock_late_incident_items_total{${here}}[$__rate_interval]))`, "late"],
        ],
      },
    ],
  ],
  [
    "Anomalies",
    [
      {
        title: "Flagged records",
        description: "Records that were flagged, per second.",
        unit: "cps",
        queries: [[rate("flagged_records_total", "signal"), "{{signal}}"]],
      },
      {
        title: "Reports by channel",
        description: "Reports of open anomalies: of their beginning, growth and news.",
        unit: "short",
        queries: [[increase("anomaly_reports_total", "channel", 'state="open"'), "{{channel}}"]],
        stacked: true,
      },
      {
        title: "Withheld and silenced",
        description: "Alarms that a budget withheld, by the budget, and reports that a silence applied to.",
        unit: "short",
        queries: [
          [increase("withheld_alarms_total", "reason"), "withheld by {{reason}}"],
          [`sum(increase(driftlock_silenced_reports_total{${here}}[$__rate_interval]))`, "silenced"],
        ],
      },
      {
        title: "Notifications",
        description: "Notifications by channel and what became of them.",
        unit: "short",
        queries: [[increase("notifications_total", "type, result"), "{{type}} {{result}}"]],
      },
    ],
  ],
  [
    "Delivery",
    [
      {
        title: "Queue",
        description: "The used part of the queue's size. Senders receive retryable errors once it is full.",
        unit: "percentunit",
        queries: [[`driftlock_queue_used_ratio{${here}}`, "{{instance}}"]],
        max: 1,
      },
      {
        title: "Waiting bytes",
        description: "Requests in memory and on disk that are not delivered yet.",
        unit: "bytes",
        queries: [
          [`driftlock_queue_bytes{${here}}`, "{{instance}} memory"],
          [`driftlock_queue_disk_bytes{${here}}`, "{{instance}} disk"],
        ],
      },
      {
        title: "Attempts by code",
        description: "Attempts to send a request downstream, by status code.",
        unit: "reqps",
        queries: [[rate("forward_attempts_total", "code"), "{{code}}"]],
        stacked: true,
      },
      {
        title: "Undelivered and rejected",
        description:
          "Requests that were returned to their senders, records that the downstream rejected, and dead letters.",
        unit: "short",
        queries: [
          [increase("undelivered_requests_total", "reason"), "requests: {{reason}}"],
          [`sum(increase(driftlock_rejected_records_total{${here}}[$__rate_interval]))`, "rejected records"],
          [`sum(increase(driftlock_dead_letters_total{${here}}[$__rate_interval]))`, "dead letters"],
        ],
      },
    ],
  ],
  [
    "Streams and store",
    [
      {
        title: "Streams",
        description: "Streams in memory, and those that have no alarm limits yet.",
        unit: "short",
        queries: [
          [`sum(driftlock_streams{${here}})`, "streams"],
          [`sum(driftlock_streams_learning{${here}})`, "learning"],
        ],
      },
      {
        title: "Records without a verdict",
        description:
          "Records beyond limits.streams (limited), of requests that cause too much work (unjudged), and of streams that a policy excludes (excluded).",
        unit: "cps",
        queries: ["limited", "unjudged", "excluded"].map(
          (name): Query => [`sum(rate(driftlock_${name}_records_total{${here}}[$__rate_interval]))`, name],
        ),
      },
      {
        title: "Store",
        description: "Anomaly reports that wait to be stored, and those that were lost.",
        unit: "short",
        queries: [
          [`sum(driftlock_store_pending_reports{${here}})`, "waiting"],
          [`sum(increase(driftlock_store_dropped_reports_total{${here}}[$__rate_interval]))`, "dropped"],
          [`sum(increase(driftlock_store_rejected_reports_total{${here}}[$__rate_interval]))`, "rejected"],
        ],
      },
    ],
  ],
  [
    "Resources",
    [
      {
        title: "Memory",
        description:
          "Resident memory of the process, its JavaScript heap, and what is allocated for streams.",
        unit: "bytes",
        queries: [
          [`process_resident_memory_bytes{${here},job="driftlock"}`, "{{instance}} resident"],
          [`nodejs_heap_size_used_bytes{${here},job="driftlock"}`, "{{instance}} heap"],
          [`driftlock_engine_bytes{${here}}`, "{{instance}} streams"],
        ],
      },
      {
        title: "CPU",
        description: "Cores in use.",
        unit: "short",
        queries: [
          [`rate(process_cpu_seconds_total{${here},job="driftlock"}[$__rate_interval])`, "{{instance}}"],
        ],
      },
      {
        title: "Event loop delay",
        description: "The 99th percentile of the event loop's delay.",
        unit: "s",
        queries: [[`nodejs_eventloop_lag_p99_seconds{${here},job="driftlock"}`, "{{instance}}"]],
      },
    ],
  ],
  [
    "Kafka (driftlock run --roles)",
    [
      {
        title: "Records that wait",
        description: "Records of the topics that wait in the partitions of the processes, by topic.",
        unit: "short",
        queries: [[`sum by (topic) (driftlock_kafka_lag_records{${here}})`, "{{topic}}"]],
      },
      {
        title: "Consumed and produced",
        description: "Records of topics per second: requests, or pages of findings.",
        unit: "short",
        queries: [
          [
            `sum by (topic) (rate(driftlock_kafka_consumed_records_total{${here}}[$__rate_interval]))`,
            "from {{topic}}",
          ],
          [
            `sum by (topic) (rate(driftlock_kafka_produced_records_total{${here}}[$__rate_interval]))`,
            "to {{topic}}",
          ],
        ],
      },
      {
        title: "Take-overs",
        description:
          "Partitions that workers took over, commits of former owners that were refused, and failures of the work on a partition.",
        unit: "short",
        queries: [
          [`sum(increase(driftlock_kafka_takeover_seconds_count{${here}}[$__rate_interval]))`, "taken over"],
          [
            `sum(increase(driftlock_kafka_fenced_commits_total{${here}}[$__rate_interval]))`,
            "refused commits",
          ],
          [
            `sum by (topic) (increase(driftlock_kafka_failures_total{${here}}[$__rate_interval]))`,
            "failures in {{topic}}",
          ],
        ],
      },
    ],
  ],
  [
    "Single streams (telemetry.stream_metrics)",
    [
      {
        title: "Scores against limits",
        description:
          "The score of a stream as a part of its alarm limit, for the ten highest. At 100 % it is an anomaly.",
        unit: "percentunit",
        queries: [
          [
            `topk(10, driftlock_stream_score{${streams}} / driftlock_stream_limit{${streams}})`,
            "{{stream}} {{channel}}",
          ],
        ],
      },
      {
        title: "Open anomalies",
        description: "Open anomalies by service.",
        unit: "short",
        queries: [
          [
            `sum by (service, signal) (driftlock_stream_open_anomalies{${streams}})`,
            "{{service}} {{signal}}",
          ],
        ],
        stacked: true,
      },
      {
        title: "Usual range of open anomalies",
        description: "What was usual, in the latest report of each open anomaly that is about a value.",
        unit: "short",
        queries: [
          [`driftlock_stream_expected_low{${streams}}`, "{{stream}} low"],
          [`driftlock_stream_expected_high{${streams}}`, "{{stream}} high"],
        ],
      },
    ],
  ],
];

const query = ([expr, legend]: Query, i: number) =>
  new DataqueryBuilder()
    .expr(expr)
    .legendFormat(legend)
    .range()
    .refId(String.fromCharCode(65 + i));

function graph(
  { title, description, unit, queries, stacked = false, max }: Graph,
  width: number,
): GraphBuilder {
  const panel = new GraphBuilder()
    .title(title)
    .description(description)
    .datasource(source)
    .targets(queries.map(query))
    .unit(unit)
    .min(0)
    .span(width)
    .height(8)
    .fillOpacity(stacked ? 30 : 8)
    .showPoints(common.VisibilityMode.Never)
    .legend(
      new common.VizLegendOptionsBuilder()
        .displayMode(common.LegendDisplayMode.List)
        .placement(common.LegendPlacement.Bottom)
        .showLegend(true)
        .calcs([]),
    )
    .tooltip(
      new common.VizTooltipOptionsBuilder()
        .mode(common.TooltipDisplayMode.Multi)
        .sort(common.SortOrder.Descending),
    );
  if (stacked) panel.stacking(new common.StackingConfigBuilder().mode(common.StackingMode.Normal));
  return max === undefined ? panel : panel.max(max);
}

function stat(
  { title, description, unit, queries, alarm = {} }: (typeof stats)[number],
  width: number,
): StatBuilder {
  const { below, above } = alarm;
  const steps =
    below !== undefined
      ? [
          { value: null, color: "red" },
          { value: below, color: "green" },
        ]
      : [{ value: null, color: "green" }, ...(above === undefined ? [] : [{ value: above, color: "red" }])];
  return new StatBuilder()
    .title(title)
    .description(description)
    .datasource(source)
    .targets(queries.map(query))
    .unit(unit)
    .span(width)
    .height(4)
    .graphMode(common.BigValueGraphMode.None)
    .thresholds(new dashboard.ThresholdsConfigBuilder().mode(dashboard.ThresholdsMode.Absolute).steps(steps));
}

function labelValues(name: string, label: string, metric: string, labels = "") {
  return new dashboard.QueryVariableBuilder(name)
    .label(label)
    .datasource(source)
    .query(`label_values(${metric}${labels}, ${name})`)
    .refresh(dashboard.VariableRefresh.OnTimeRangeChanged)
    .sort(dashboard.VariableSort.AlphabeticalAsc)
    .multi(true)
    .includeAll(true)
    .allValue(".*")
    .current({ text: ["All"], value: ["$__all"] });
}

export function grafanaDashboard(): dashboard.Dashboard {
  const made = new dashboard.DashboardBuilder("Driftlock")
    .uid("driftlock")
    .description("Throughput, latency, delivery and findings of Driftlock, and scores of single streams.")
    .tags(["driftlock", "opentelemetry"])
    .timezone("browser")
    .time({ from: "now-6h", to: "now" })
    .refresh("30s")
    .tooltip(dashboard.DashboardCursorSync.Crosshair)
    .withVariable(
      new dashboard.DatasourceVariableBuilder("datasource").label("Data source").type("prometheus"),
    )
    .withVariable(labelValues("instance", "Instance", "driftlock_build_info"))
    .withVariable(labelValues("tenant", "Tenant", "driftlock_stream_open_anomalies"))
    .withVariable(labelValues("service", "Service", "driftlock_stream_open_anomalies", '{tenant=~"$tenant"}'))
    .annotation(
      new dashboard.AnnotationQueryBuilder()
        .name("Incidents and changes")
        .datasource({ type: "grafana", uid: "-- Grafana --" })
        .enable(true)
        .iconColor("red")
        .target({
          build: () => ({
            type: "tags",
            tags: ["driftlock"],
            limit: 100,
            matchAny: false,
            _implementsDataqueryVariant: () => {},
          }),
        }),
    );
  let id = 0;
  for (const each of stats) made.withPanel(stat(each, fullWidth / stats.length).id(++id));
  for (const [title, graphs] of rows) {
    made.withRow(new dashboard.RowBuilder(title).id(++id));
    for (const each of graphs) made.withPanel(graph(each, fullWidth / graphs.length).id(++id));
  }
  return made.build();
}
