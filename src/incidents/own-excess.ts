/**
 * Evidence of the service graph itself: services, peers and hosts that take more of their own than usual, or have more failures of
 * their own, although no single stream need be strange. A host shows where its share in each service is too small to be seen.
 */
import { Channel, Severity, Signal } from "../gen/driftlock/v1/anomaly_pb.js";
import type { GraphTick } from "../gen/driftlock/v1/incidents_pb.js";
import { bounds, trim } from "./bounds.ts";
import type { Sighting } from "./sighting.ts";

/** Kinds of evidence beside those of the channels. */
const kinds = { service: { seconds: 1, failures: 2 }, host: { seconds: 3, failures: 4 } } as const;
const firstKind = 768;
type Node = keyof typeof kinds;
type Measure = "seconds" | "failures";

/** The latest excesses of a service or host, in standard deviations, and when they last exceeded the limit. */
interface Latest {
  values: number[];
  exceeded: number;
}

export interface OwnExcess {
  latest: Map<string, Latest>;
  /** By kind. */
  limits: Map<number, number>;
}

/** Of so many ticks, the second largest excess counts, so that one slow call, which is in one tick, does not. */
const ticksCompared = 4;
/** A limit follows the tenant's own ticks, so that services together exceed it so many times per day. */
const perDay = 8;
const ticksPerDay = 8_640;
const leastLimit = 3;
/** By how much a limit moves each time that it is exceeded, as a natural logarithm, and how often a node counts. */
const step = 0.2;
const episodeMs = 3_600_000;
/** The tail of excesses is taken for a power law with this exponent, until their sizes are known. */
const exponent = 3;
/** What is never counted as more than usual: a millisecond, and a tenth of a failure. */
const leastVariance = { seconds: 1e-6, failures: 0.1 };

interface Sum {
  seconds: number;
  secondsVariance: number;
  failures: number;
  failuresVariance: number;
  /** For a host, the excess of each service on it. */
  services: Map<string, number>;
}

export function createOwnExcess(): OwnExcess {
  return { latest: new Map(), limits: new Map() };
}

function sumsOf(tick: GraphTick): Record<Node, Map<string, Sum>> {
  const sums = { service: new Map<string, Sum>(), host: new Map<string, Sum>() };
  for (const { service, host, now, usual, variance } of tick.operations) {
    if (!now || !usual || !(usual.count > 0) || !(now.count > 0)) continue;
    const seconds = now.seconds - usual.seconds || 0;
    for (const [map, name] of [
      [sums.service, service],
      [sums.host, host],
    ] as const) {
      if (name === "") continue;
      const sum = map.get(name) ?? {
        seconds: 0,
        secondsVariance: leastVariance.seconds,
        failures: 0,
        failuresVariance: leastVariance.failures,
        services: new Map<string, number>(),
      };
      map.set(name, sum);
      sum.seconds += seconds;
      sum.secondsVariance += Math.max(0, variance || 0) * now.count;
      sum.failures += now.failures - usual.failures || 0;
      sum.failuresVariance += Math.max(0, usual.failures || 0);
      sum.services.set(service, (sum.services.get(service) ?? 0) + seconds);
    }
  }
  return sums;
}

/** Returns what is unusual in a tick. */
export function ownExcess(state: OwnExcess, tick: GraphTick): Sighting[] {
  const at = Number(tick.tickUnixNano / 1_000_000n);
  const sums = sumsOf(tick);
  const sightings: Sighting[] = [];
  for (const node of ["service", "host"] as const) {
    for (const measure of ["seconds", "failures"] as const) {
      const chance = perDay / ticksPerDay / Math.max(1, sums[node].size);
      for (const [name, sum] of sums[node]) {
        const ratio = exceed(state, node, measure, name, sum, at, chance);
        if (ratio > 1) sightings.push(...toSightings(node, measure, name, sum, at, ratio, chance));
      }
    }
  }
  return sightings;
}

/** Returns how many times the limit a node's excess is, and learns it. */
function exceed(
  { latest, limits }: OwnExcess,
  node: Node,
  measure: Measure,
  name: string,
  sum: Sum,
  at: number,
  chance: number,
): number {
  const kind = kinds[node][measure];
  const key = `${kind}\n${name}`;
  const own = latest.get(key) ?? { values: [], exceeded: Number.NEGATIVE_INFINITY };
  latest.delete(key);
  latest.set(key, own);
  trim(latest, bounds.places);
  own.values.push(sum[measure] / Math.sqrt(sum[`${measure}Variance`]));
  if (own.values.length > ticksCompared) own.values.shift();
  const size = own.values.toSorted((a, b) => b - a)[1] ?? 0;
  const limit = limits.get(kind) ?? leastLimit;
  const ratio = size / limit;
  if (at - own.exceeded >= episodeMs) {
    const moved = limit * Math.exp(ratio > 1 ? step * (1 - chance) : -step * chance);
    limits.set(kind, Math.max(leastLimit, moved));
    if (ratio > 1) own.exceeded = at;
  }
  return ratio;
}

function toSightings(
  node: Node,
  measure: Measure,
  name: string,
  sum: Sum,
  at: number,
  ratio: number,
  chance: number,
): Sighting[] {
  const bits = exponent * Math.log2(ratio);
  const host = node === "host" ? name : "";
  const services =
    node === "service"
      ? [name]
      : [...sum.services].filter(([, excess]) => excess > 0).map(([service]) => service);
  return services.slice(0, bounds.candidates).map((service) => ({
    observation: `${node}\n${measure}\n${name}`,
    place: service,
    kind: firstKind + kinds[node][measure],
    signal: Signal.TRACES,
    channel: Channel.SHIFT,
    stream: `traces service.name=${service}`,
    service,
    instance: "",
    host,
    tick: at,
    flagged: 1,
    margin: 2 ** bits,
    bits,
    pValue: chance * 2 ** -bits,
    severity: Severity.MEDIUM,
    anomalies: [],
    traces: [],
    finding: `${node} ${measure}`,
  }));
}
