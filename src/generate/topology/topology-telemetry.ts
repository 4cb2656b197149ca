/** Generates the telemetry of a topology as requests, in the order of time. The same options yield the same bytes. */
import { SeverityNumber } from "../../gen/opentelemetry/proto/logs/v1/logs_pb.js";
import type { Signal } from "../../otlp/protocol.ts";
import { Agenda } from "../agenda.ts";
import type { Batch, TelemetryOptions } from "../batch.ts";
import { Outbox } from "../outbox.ts";
import { type Attribute, encodeLog, encodeResource, encodeSpan, encodeSpanAttributes } from "../wire.ts";
import { buildTopology } from "./build.ts";
import {
  clientAttributes,
  clientKind,
  hostResource,
  outcome,
  peerResource,
  resourceOf,
  serverAttributes,
  serverKind,
} from "./conventions.ts";
import type { Fault, FaultSchedule } from "./fault.ts";
import { Meters } from "./meters.ts";
import { Component, Host, type Instance, type Operation, type Topology } from "./model.ts";
import { planFaults } from "./plan-faults.ts";
import { type FinishedSpan, Simulation, type WrittenLog } from "./simulation.ts";

export interface TopologyOptions extends TelemetryOptions {
  /** The faults, in the order of their starts. */
  schedule: readonly FaultSchedule[];
  /** Distinguishes runs of the same topology, so that other visits come at other times. */
  run?: string;
  /** Is called when a fault begins. */
  onFault?: ((fault: Fault) => void) | undefined;
}

/** Share of the metric points in all records, if there are other signals as well and it makes the interval long enough. */
const metricsShare = 0.2;
/** The shortest interval at which metrics are read, in seconds of stream time. */
const shortestInterval = 10;
/** Visits per second if metrics are the only signal. */
const unseenLoad = 1;

/** Returns the average number of records of these signals per visit. */
function recordsPerVisit({ components, entries, topics }: Topology, signals: readonly Signal[]): number {
  const roots = new Set<Operation>([
    ...entries.map(({ operation }) => operation),
    ...topics.map(({ consumer }) => consumer),
  ]);
  let records = 0;
  for (const { operations, traced } of components) {
    for (const operation of operations) {
      const spans = (traced ? 1 : 0) + (roots.has(operation) ? 0 : 1);
      const logs = operation.logs.reduce((sum, { probability }) => sum + probability, 0);
      if (signals.includes("traces")) records += operation.share * spans;
      if (signals.includes("logs")) records += operation.share * logs;
    }
  }
  return records;
}

export class TopologyTelemetry {
  readonly topology: Topology;
  readonly #options: TopologyOptions;
  readonly #agenda = new Agenda();
  readonly #simulation: Simulation;
  readonly #meters: Meters;
  readonly #outbox: Outbox;
  readonly #fixed = new Map<Operation, { client: Uint8Array; server: Uint8Array }>();
  readonly #resources = new WeakMap<Instance | Component | Host, Uint8Array>();

  constructor(options: TopologyOptions) {
    const { seed, run, startUnixNano, signals, recordsPerRequest } = options;
    this.#options = options;
    this.topology = buildTopology(seed);
    this.#simulation = new Simulation(this.topology, {
      agenda: this.#agenda,
      observer: { span: (span) => this.#span(span), log: (log) => this.#log(log) },
      seed: run === undefined ? seed : `${seed}/${run}`,
      startMicros: Number(startUnixNano / 1_000n),
    });
    this.#meters = new Meters(this.topology, this.#simulation, seed, startUnixNano);
    this.#outbox = new Outbox(signals, recordsPerRequest);
  }

  /** Milliseconds of stream time from one reading of the metrics to the next. */
  get scrapeInterval(): number {
    const { signals, rate, speed } = this.#options;
    const share = signals.length > 1 ? metricsShare : 1;
    return Math.max(shortestInterval, (this.#meters.points / (share * rate)) * speed) * 1_000;
  }

  *batches(): Generator<Batch, void> {
    const { seed, duration, speed, schedule, onFault = () => {} } = this.#options;
    const agenda = this.#agenda;
    const simulation = this.#simulation;
    let flush = false;
    const end = duration * 1_000;
    this.#repeat(1e6 * speed, () => {
      flush = true;
    });
    if (this.#outbox.has("metrics")) this.#repeat(this.scrapeInterval * 1_000, () => this.#scrape());
    planFaults(schedule, { topology: this.topology, simulation, agenda, seed }, onFault);
    simulation.start(this.#visitsPerSecond() / 1e6);
    while (agenda.next < end) {
      agenda.step();
      yield* flush ? this.#outbox.all(agenda.now / 1_000) : this.#outbox.full(agenda.now / 1_000);
      flush = false;
    }
    yield* this.#outbox.all(duration);
  }

  #visitsPerSecond(): number {
    const { signals, rate, speed } = this.#options;
    const others = signals.filter((signal) => signal !== "metrics");
    if (others.length === 0) return unseenLoad;
    const metrics = others.length < signals.length ? this.#meters.points / (this.scrapeInterval / 1_000) : 0;
    return (rate / speed - metrics) / recordsPerVisit(this.topology, others);
  }

  #repeat(micros: number, action: () => void): void {
    const next = () =>
      this.#agenda.after(micros, () => {
        action();
        next();
      });
    next();
  }

  #span(span: FinishedSpan): void {
    this.#meters.note(span);
    const { instance, operation, client, start, end, failure, hit } = span;
    if (!this.#outbox.has("traces") || instance.service.mute.has("traces")) return;
    const attributes = outcome(operation, failure);
    if (hit !== undefined) attributes.push(["db.response.returned_rows", hit ? 1 : 0]);
    const fixed = this.#attributes(operation);
    this.#send(
      "traces",
      instance,
      instance.service.name,
      encodeSpan({
        traceId: span.traceId,
        spanId: span.spanId,
        parent: span.parent,
        name: operation.name,
        kind: client ? clientKind(operation) : serverKind(operation),
        startUnixNano: this.#unixNano(start),
        endUnixNano: this.#unixNano(end),
        fixed: client ? fixed.client : fixed.server,
        attributes,
        error: failure?.message,
      }),
    );
  }

  #log({ instance, time, severity, body, failure, traceId, spanId }: WrittenLog): void {
    if (!this.#outbox.has("logs") || instance.service.mute.has("logs")) return;
    const attributes: Attribute[] = failure
      ? [
          ["exception.type", failure.type],
          ["exception.message", failure.message],
          ...(failure.trace ? ([["exception.stacktrace", failure.trace]] as const) : []),
        ]
      : [];
    this.#send(
      "logs",
      instance,
      instance.service.name,
      encodeLog({
        unixNano: this.#unixNano(time),
        severityNumber: SeverityNumber[severity],
        severityText: severity,
        body,
        attributes,
        traceId,
        spanId,
      }),
    );
  }

  #scrape(): void {
    for (const { of, metric } of this.#meters.read(this.#agenda.now))
      this.#send("metrics", of, "shop.metrics", metric);
  }

  #send(signal: Signal, of: Instance | Component | Host, scope: string, record: Uint8Array): void {
    let resource = this.#resources.get(of);
    if (resource === undefined) {
      resource = encodeResource(
        of instanceof Host ? hostResource(of) : of instanceof Component ? peerResource(of) : resourceOf(of),
      );
      this.#resources.set(of, resource);
    }
    this.#outbox.add(signal, resource, scope, record);
  }

  #attributes(operation: Operation): { client: Uint8Array; server: Uint8Array } {
    let fixed = this.#fixed.get(operation);
    if (fixed === undefined) {
      fixed = {
        client: encodeSpanAttributes(clientAttributes(operation)),
        server: encodeSpanAttributes(serverAttributes(operation)),
      };
      this.#fixed.set(operation, fixed);
    }
    return fixed;
  }

  #unixNano(micros: number): bigint {
    return this.#options.startUnixNano + BigInt(Math.round(micros)) * 1_000n;
  }
}
