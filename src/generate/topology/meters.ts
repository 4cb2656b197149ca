/** Reads the metrics of a topology: what its instances, peers and hosts measure of themselves. */
import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { AggregationTemporality, MetricSchema } from "../../gen/opentelemetry/proto/metrics/v1/metrics_pb.js";
import { Random } from "../random.ts";
import { keyValues } from "../records.ts";
import { slowdown } from "./load.ts";
import type { Component, Host, Instance, Topology } from "./model.ts";
import type { FinishedSpan, Simulation } from "./simulation.ts";

const bounds = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10];

/** The names of the histograms of durations, by the protocol of a service or by its kind. */
const durations: Readonly<Record<string, string>> = {
  http: "http.server.request.duration",
  grpc: "rpc.server.call.duration",
  consumer: "messaging.process.duration",
  worker: "shop.job.duration",
};

/** What has been counted since an instance started. */
class Counts {
  readonly buckets = Array.from({ length: bounds.length + 1 }, () => 0n);
  count = 0n;
  seconds = 0;
  errors = 0n;
}

/** Hits and misses of a cache, or statements of a database. */
interface PeerCounts {
  hits: number;
  misses: number;
}

export interface Reading {
  of: Instance | Component | Host;
  /** An encoded Metric with one point. */
  metric: Uint8Array;
}

type Data = NonNullable<MessageInitShape<typeof MetricSchema>["data"]>;

export class Meters {
  readonly #topology: Topology;
  readonly #simulation: Simulation;
  readonly #seed: string;
  readonly #startUnixNano: bigint;
  readonly #counts = new WeakMap<Instance, Counts>();
  readonly #peers = new Map<Component, PeerCounts>();

  constructor(topology: Topology, simulation: Simulation, seed: string, startUnixNano: bigint) {
    this.#topology = topology;
    this.#simulation = simulation;
    this.#seed = seed;
    this.#startUnixNano = startUnixNano;
  }

  /** Counts a span. */
  note({ instance, operation, client, start, end, failure, hit }: FinishedSpan): void {
    if (client) {
      const { component } = operation;
      if (component.kind !== "cache" && component.kind !== "database") return;
      const peer = this.#peer(component);
      if (hit === false) peer.misses++;
      else peer.hits++;
      return;
    }
    const counts = this.#of(instance);
    const seconds = (end - start) / 1e6;
    const at = bounds.findIndex((bound) => seconds <= bound);
    counts.buckets[at < 0 ? bounds.length : at]!++;
    counts.count++;
    counts.seconds += seconds;
    if (failure) counts.errors++;
  }

  /** Number of points of one reading. */
  get points(): number {
    let points = this.#topology.hosts.length + this.#topology.topics.length;
    for (const { kind, instances } of this.#topology.components) {
      points += instances.reduce((sum, { pool }) => sum + (pool ? 8 : 6), 0);
      if (kind === "cache") points += 2;
      if (kind === "database") points += 2;
    }
    return points;
  }

  /** Reads all metrics. @param now microseconds since the start */
  read(now: number): Reading[] {
    const unixNano = this.#startUnixNano + BigInt(Math.round(now)) * 1_000n;
    const random = new Random(`${this.#seed}/scrape/${Math.round(now)}`);
    const readings: Reading[] = [];
    const { components, hosts, topics } = this.#topology;
    const usedOfHost = new Map<Host, number>();
    for (const component of components) {
      for (const instance of component.instances) {
        const cpu = this.#cpu(instance, now, random);
        usedOfHost.set(instance.host, (usedOfHost.get(instance.host) ?? 0) + cpu);
        readings.push(...this.#instance(instance, cpu, unixNano, random));
      }
      if (component.kind === "cache" || component.kind === "database")
        readings.push(...this.#peerMetrics(component, now, unixNano, random));
    }
    for (const { topic, broker } of topics) {
      const attributes = { "messaging.destination.name": topic.name };
      readings.push({
        of: broker,
        metric: metric("messaging.consumer.lag", "{message}", gauge(unixNano, topic.lag, attributes)),
      });
    }
    for (const host of hosts) {
      const used = (usedOfHost.get(host) ?? 0) / 8;
      const taken = 1 - host.capacity.value;
      const value = Math.min(0.99, 0.05 + used + taken * (0.9 - used) + 0.01 * random.normal());
      readings.push({
        of: host,
        metric: metric("system.cpu.utilization", "1", gauge(unixNano, clamp(value))),
      });
    }
    return readings;
  }

  #cpu(instance: Instance, now: number, random: Random): number {
    const { service, capacity } = instance;
    const usual = service.load.utilisation(now, this.#simulation.season);
    const used =
      (0.04 + usual / (capacity.value * service.capacity.value)) *
      instance.gauge("process.cpu.utilization").value;
    return Math.min(0.99, clamp(used + 0.015 * random.normal()));
  }

  #instance(instance: Instance, cpu: number, unixNano: bigint, random: Random): Reading[] {
    const { pool, service } = instance;
    const counts = this.#of(instance);
    const since = this.#startUnixNano + BigInt(Math.round(instance.since)) * 1_000n;
    const level = (name: string) => instance.gauge(name).value;
    const own = new Random(`${this.#seed}/sizes/${instance.id}`);
    const memory = own.int(180, 700) * (1 + 0.1 * this.#simulation.season) * level("process.memory.usage");
    const threads = own.int(20, 60) * level("process.thread.count") + 2 * random.normal();
    const measured = service.kind === "gateway" || service.kind === "service" ? service.system : service.kind;
    const metrics = [
      metric("process.cpu.utilization", "1", gauge(unixNano, cpu)),
      metric(
        "process.memory.usage",
        "By",
        total(unixNano, since, false, Math.round(2 ** 20 * (memory + 5 * random.normal()))),
      ),
      metric(
        "process.thread.count",
        "{thread}",
        total(unixNano, since, false, Math.max(1, Math.round(threads))),
      ),
      metric(durations[measured]!, "s", histogram(unixNano, since, counts)),
      metric("shop.requests.failed", "{request}", total(unixNano, since, true, Number(counts.errors))),
      metric("shop.requests.active", "{request}", total(unixNano, since, false, instance.active)),
    ];
    if (pool) {
      for (const [state, value] of [
        ["used", pool.used],
        ["idle", pool.size - pool.used],
      ] as const) {
        const attributes = { "db.client.connection.state": state };
        metrics.push(
          metric(
            "db.client.connection.count",
            "{connection}",
            total(unixNano, since, false, value, attributes),
          ),
        );
      }
    }
    return metrics.map((each) => ({ of: instance, metric: each }));
  }

  #peerMetrics(component: Component, now: number, unixNano: bigint, random: Random): Reading[] {
    const { hits, misses } = this.#peer(component);
    const usual = component.load.utilisation(now, this.#simulation.season);
    if (component.kind === "cache") {
      return (["hit", "miss"] as const).map((result) => ({
        of: component,
        metric: metric(
          "shop.cache.lookups",
          "{lookup}",
          total(unixNano, this.#startUnixNano, true, result === "hit" ? hits : misses, {
            "shop.cache.result": result,
          }),
        ),
      }));
    }
    const slow = Math.max(...component.operations.map(({ time }) => time.value));
    const busy = Math.min(
      0.99,
      clamp(usual * Math.sqrt(slow) * Math.min(2, slowdown(usual, 1)) + 0.02 * random.normal()),
    );
    return [
      { of: component, metric: metric("system.cpu.utilization", "1", gauge(unixNano, busy)) },
      {
        of: component,
        metric: metric(
          "shop.database.statements",
          "{statement}",
          total(unixNano, this.#startUnixNano, true, hits + misses),
        ),
      },
    ];
  }

  #of(instance: Instance): Counts {
    let counts = this.#counts.get(instance);
    if (counts === undefined) {
      counts = new Counts();
      this.#counts.set(instance, counts);
    }
    return counts;
  }

  #peer(component: Component): PeerCounts {
    let counts = this.#peers.get(component);
    if (counts === undefined) {
      counts = { hits: 0, misses: 0 };
      this.#peers.set(component, counts);
    }
    return counts;
  }
}

function clamp(share: number): number {
  return Math.max(0.001, share);
}

function metric(name: string, unit: string, data: Data): Uint8Array {
  return toBinary(MetricSchema, create(MetricSchema, { name, unit, data }));
}

type Attributes = Record<string, string>;

function gauge(timeUnixNano: bigint, value: number, attributes: Attributes = {}): Data {
  const point = {
    timeUnixNano,
    value: { case: "asDouble", value } as const,
    attributes: keyValues(attributes),
  };
  return { case: "gauge", value: { dataPoints: [point] } };
}

function total(
  timeUnixNano: bigint,
  startTimeUnixNano: bigint,
  isMonotonic: boolean,
  value: number,
  attributes: Attributes = {},
): Data {
  const point = {
    timeUnixNano,
    startTimeUnixNano,
    value: { case: "asInt", value: BigInt(value) } as const,
    attributes: keyValues(attributes),
  };
  const aggregationTemporality = AggregationTemporality.CUMULATIVE;
  return { case: "sum", value: { isMonotonic, aggregationTemporality, dataPoints: [point] } };
}

function histogram(timeUnixNano: bigint, startTimeUnixNano: bigint, counts: Counts): Data {
  const { buckets, count, seconds } = counts;
  const point = {
    timeUnixNano,
    startTimeUnixNano,
    count,
    sum: seconds,
    bucketCounts: [...buckets],
    explicitBounds: bounds,
  };
  return {
    case: "histogram",
    value: { aggregationTemporality: AggregationTemporality.CUMULATIVE, dataPoints: [point] },
  };
}
