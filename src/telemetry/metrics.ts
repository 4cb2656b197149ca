/** Driftlock's own metrics, and those of Node. */
import { Counter, collectDefaultMetrics, Gauge, Registry } from "prom-client";
import { channelNames } from "../anomaly/names.ts";
import { Code, signals } from "../otlp/protocol.ts";
import { closeReasons, cutReasons } from "../receive/index.ts";
import type { Versions } from "../version.ts";
import { collectors, optionsIn } from "./collectors.ts";
import { type Definition, definitions, otherCode, transports } from "./definitions.ts";
import { Durations } from "./durations.ts";
import { watcher } from "./sources.ts";
import type { StreamMetrics, StreamSeries } from "./stream-metrics.ts";

/** Seconds: from what the engine takes for a small request to what a retried delivery takes. */
const latencyBuckets = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

const codeNames: ReadonlyMap<number, string> = new Map(
  Object.entries(Code).map(([name, code]) => [code, name]),
);

/** The label of a status code, as in `UNAVAILABLE`; one label for all codes that Driftlock does not know. */
export function codeLabel(code: number): string {
  return codeNames.get(code) ?? otherCode;
}

export type Metrics = ReturnType<typeof createMetrics>;

export function createMetrics(versions: Versions) {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });

  const options = optionsIn(registers);
  const counter = <L extends string>(definition: Definition<L>) => new Counter<L>(options(definition));
  const seconds = <L extends string>(definition: Definition<L>) =>
    new Durations(definition, latencyBuckets, registry);

  const receiver = {
    requests: counter(definitions.receiver.requests),
    bytes: counter(definitions.receiver.bytes),
    wireBytes: counter(definitions.receiver.wireBytes),
    abortedRequests: counter(definitions.receiver.abortedRequests),
    refusedConnections: counter(definitions.receiver.refusedConnections),
    closedConnections: counter(definitions.receiver.closedConnections),
    seconds: seconds(definitions.receiver.seconds),
  };
  const engine = {
    records: counter(definitions.engine.records),
    flagged: counter(definitions.engine.flagged),
    limited: counter(definitions.engine.limited),
    excluded: counter(definitions.engine.excluded),
    silenced: counter(definitions.engine.silenced),
    unjudged: counter(definitions.engine.unjudged),
    redated: counter(definitions.engine.redated),
    abridged: counter(definitions.engine.abridged),
    unreported: counter(definitions.engine.unreported),
    evidenceLeftOut: counter(definitions.engine.evidenceLeftOut),
    returned: counter(definitions.engine.returned),
    reports: counter(definitions.engine.reports),
    seconds: seconds(definitions.engine.seconds),
  };
  const forward = {
    attempts: counter(definitions.forward.attempts),
    requests: counter(definitions.forward.requests),
    bytes: counter(definitions.forward.bytes),
    records: counter(definitions.forward.records),
    anomalyEvents: counter(definitions.forward.anomalyEvents),
    streamMetrics: counter(definitions.forward.streamMetrics),
    rejected: counter(definitions.forward.rejected),
    undelivered: counter(definitions.forward.undelivered),
    undeliveredRecords: counter(definitions.forward.undeliveredRecords),
    deadLetters: counter(definitions.forward.deadLetters),
    lostDeadLetters: counter(definitions.forward.lostDeadLetters),
    oversize: counter(definitions.forward.oversize),
    damaged: counter(definitions.forward.damaged),
    seconds: seconds(definitions.forward.seconds),
  };

  const makeKafka = () => ({
    consumed: counter(definitions.kafka.consumed),
    produced: counter(definitions.kafka.produced),
    replayed: counter(definitions.kafka.replayed),
    skipped: counter(definitions.kafka.skipped),
    failures: counter(definitions.kafka.failures),
    fenced: counter(definitions.kafka.fenced),
    takeOver: seconds(definitions.kafka.takeOver),
  });
  let kafka: ReturnType<typeof makeKafka> | undefined;
  const notifications = counter(definitions.notify.notifications);

  // An alert can watch a series for an increase only if it exists from the start.
  for (const signal of signals) {
    for (const transport of transports) {
      receiver.requests.inc({ signal, transport, code: "OK" }, 0);
      receiver.bytes.inc({ signal, transport }, 0);
      receiver.wireBytes.inc({ signal, transport }, 0);
    }
    for (const each of [
      engine.records,
      engine.flagged,
      engine.limited,
      engine.excluded,
      engine.unjudged,
      engine.redated,
      engine.abridged,
      engine.silenced,
      engine.unreported,
      engine.evidenceLeftOut,
    ])
      each.inc({ signal }, 0);
    for (const channel of channelNames) engine.reports.inc({ signal, channel, state: "open" }, 0);
    for (const each of [forward.records, forward.rejected]) each.inc({ signal }, 0);
    for (const each of [forward.deadLetters, forward.lostDeadLetters]) each.inc({ signal }, 0);
    forward.undelivered.inc({ signal, reason: "disk_full" }, 0);
  }

  for (const result of ["forwarded", "dropped"] as const) {
    forward.anomalyEvents.inc({ result }, 0);
    forward.streamMetrics.inc({ result }, 0);
  }
  for (const transport of transports) {
    receiver.refusedConnections.inc({ transport }, 0);
    for (const reason of closeReasons) receiver.closedConnections.inc({ transport, reason }, 0);
  }
  for (const reason of cutReasons) receiver.abortedRequests.inc({ reason }, 0);

  const { version, node, codecs } = versions;
  new Gauge(options(definitions.process.build)).set(
    { version, node, openzl: codecs.openzl, zstd: codecs.zstd, lz4: codecs.lz4 },
    1,
  );

  const make = collectors(registers);
  const { gauge, total } = make;

  return {
    registry,
    receiver,
    engine,
    forward,
    notifications,

    /** Returns the metrics of the work on topics, which only a process has that does any. */
    kafka() {
      kafka ??= makeKafka();
      return kafka;
    },

    /** Adds the metrics of single streams. */
    watchStreams(streams: StreamMetrics): void {
      const per = <L extends string>(
        definition: Definition<L>,
        labelsOf: (series: StreamSeries) => Record<L, string>,
        read: (series: StreamSeries) => number | undefined,
      ) =>
        new Gauge<L>({
          ...options(definition),
          collect() {
            this.reset();
            for (const series of streams.series) {
              const value = read(series);
              if (value !== undefined) this.set(labelsOf(series), value);
            }
          },
        });
      const { score, limit, openAnomalies, expectedLow, expectedHigh, omitted } = definitions.stream;
      const ofStream = ({ labels }: StreamSeries) => labels;
      const ofChannel = ({ labels, channel }: StreamSeries) => ({ ...labels, channel });
      per(score, ofChannel, (series) => series.score);
      per(limit, ofChannel, (series) => series.limit || undefined);
      per(openAnomalies, ofStream, ({ open }) => open.size);
      per(expectedLow, ofStream, ({ expected }) => expected?.low);
      per(expectedHigh, ofStream, ({ expected }) => expected?.high);
      gauge(omitted, () => streams.omitted);
    },

    /** Adds the metrics of the API's connections. */
    watchApi(source: () => { open: number; refused: number; displaced: number }): void {
      const { api } = definitions;
      gauge(api.connections, () => source().open);
      total(api.refusedConnections, () => source().refused);
      total(api.displacedConnections, () => source().displaced);
    },

    /** Adds sources that are read whenever the metrics are. Those of one kind count together. */
    watch: watcher(make),
  };
}
