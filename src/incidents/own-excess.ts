/**
 * Evidence of the service graph itself: services, peers and hosts that take more of their own than usual, have more failures of their
 * own, or call others more often, although no single stream need be strange. A host shows where its share in each service is too
 * small to be seen.
 */
import { Channel, Severity, Signal } from "../gen/driftlock/v1/anomaly_pb.js";
import type { GraphTick } from "../gen/driftlock/v1/incidents_pb.js";
import { bounds, trim } from "./bounds.ts";
import type { Sighting } from "./sighting.ts";

/** Kinds of evidence beside those of the channels: what is exceeded, by a service or by a host. */
const firstOwnKind = 768;
const kinds = {
  seconds: firstOwnKind + 1,
  failures: firstOwnKind + 2,
  secondsOfHost: firstOwnKind + 3,
  failuresOfHost: firstOwnKind + 4,
  calls: firstOwnKind + 5,
} as const;
type Kind = (typeof kinds)[keyof typeof kinds];
export const ownKinds: ReadonlySet<number> = new Set(Object.values(kinds));
const ofHosts: ReadonlySet<Kind> = new Set([kinds.secondsOfHost, kinds.failuresOfHost]);

/** What was beyond what is usual in one tick. */
interface Excess {
  sum: number;
  variance: number;
  /** The most that one span contributed. */
  longest: number;
}

interface Node extends Excess {
  /** What each service contributed. */
  services: Map<string, number>;
}

/** The latest excesses of a service or host, and when they last exceeded the limit. */
interface Latest {
  ticks: Excess[];
  exceeded: number;
}

export interface OwnExcess {
  /** By kind and name. */
  latest: Map<string, Latest>;
  /** By kind. */
  limits: Map<number, number>;
}

/**
 * The excess of the latest so many ticks is added up, so that much counts at once and little counts if it lasts. The longest span does
 * not count, so that one slow call is no evidence.
 */
const ticksAdded: readonly number[] = [1, 2, 4, 8, 16, 32];
const ticksHeld = 32;
/** A limit follows the tenant's own ticks, so that services together exceed it so many times per day. */
const perDay = 8;
const ticksPerDay = 8_640;
const leastLimit = 3;
/** By how much a limit moves each time that it is exceeded, as a natural logarithm, and how often a node counts. */
const step = 0.2;
const episodeMs = 3_600_000;
/** The tail of excesses is taken for a power law with this exponent, until their sizes are known. */
const exponent = 5;
/** The least variances: of a millisecond, of failures where none are usual, and of calls that are rare. */
const leastSeconds = 1e-6;
const leastFailures = 0.03;
const leastCalls = 0.1;

export function createOwnExcess(): OwnExcess {
  return { latest: new Map(), limits: new Map() };
}

type Nodes = Map<Kind, Map<string, Node>>;

function nodeOf(nodes: Nodes, kind: Kind, name: string, variance: number): Node {
  const ofKind = nodes.get(kind) ?? new Map<string, Node>();
  nodes.set(kind, ofKind);
  const node = ofKind.get(name) ?? { sum: 0, variance, longest: 0, services: new Map<string, number>() };
  ofKind.set(name, node);
  return node;
}

function addTo(node: Node, service: string, { sum, variance, longest }: Excess): void {
  node.sum += sum;
  node.variance += variance;
  node.longest = Math.max(node.longest, longest);
  node.services.set(service, (node.services.get(service) ?? 0) + sum);
}

function nodesOf({ operations, edges }: GraphTick): Nodes {
  const nodes: Nodes = new Map();
  for (const { service, host, now, usual, variance, longest } of operations) {
    if (!now || !usual || !(usual.count > 0) || !(now.count > 0)) continue;
    const seconds = {
      sum: now.seconds - usual.seconds || 0,
      variance: Math.max(0, variance || 0) * now.count,
      longest: longest || 0,
    };
    const failures = {
      sum: now.failures - usual.failures || 0,
      variance: Math.max(0, usual.failures || 0),
      longest: 1,
    };
    addTo(nodeOf(nodes, kinds.seconds, service, leastSeconds), service, seconds);
    addTo(nodeOf(nodes, kinds.failures, service, leastFailures), service, failures);
    if (host === "") continue;
    addTo(nodeOf(nodes, kinds.secondsOfHost, host, leastSeconds), service, seconds);
    addTo(nodeOf(nodes, kinds.failuresOfHost, host, leastFailures), service, failures);
  }
  for (const { caller, now, usual } of edges) {
    if (!now || !usual || !(usual.count > 0)) continue;
    // Calls that were not made at all are not told, so they cannot be added up: the most unusual of a service count.
    const calls = { sum: now.count - usual.count || 0, variance: usual.count, longest: 1 };
    const node = nodeOf(nodes, kinds.calls, caller, leastCalls);
    if (deviation([calls], leastCalls) > deviation([node]))
      Object.assign(node, calls, { variance: usual.count + leastCalls });
    node.services.set(caller, node.sum);
  }
  return nodes;
}

/** Returns what is unusual in a tick. */
export function ownExcess(state: OwnExcess, tick: GraphTick): Sighting[] {
  const at = Number(tick.tickUnixNano / 1_000_000n);
  const sightings: Sighting[] = [];
  for (const [kind, nodes] of nodesOf(tick)) {
    const chance = perDay / ticksPerDay / nodes.size;
    for (const [name, node] of nodes) {
      const ratio = exceed(state, kind, name, node, at, chance);
      if (ratio > 1) sightings.push(...toSightings(kind, name, node, at, ratio, chance));
    }
  }
  return sightings;
}

/** Returns how many times the limit a node's excess is, and learns it. */
function exceed(
  { latest, limits }: OwnExcess,
  kind: Kind,
  name: string,
  { sum, variance, longest }: Node,
  at: number,
  chance: number,
): number {
  const key = `${kind}\n${name}`;
  const own = latest.get(key) ?? { ticks: [], exceeded: Number.NEGATIVE_INFINITY };
  latest.delete(key);
  latest.set(key, own);
  trim(latest, bounds.places);
  own.ticks.push({ sum, variance, longest });
  if (own.ticks.length > (kind === kinds.calls ? 1 : ticksHeld)) own.ticks.shift();
  const limit = limits.get(kind) ?? leastLimit;
  const ratio = deviation(own.ticks) / limit;
  if (at - own.exceeded >= episodeMs) {
    const moved = limit * Math.exp(ratio > 1 ? step * (1 - chance) : -step * chance);
    limits.set(kind, Math.max(leastLimit, moved));
    if (ratio > 1) own.exceeded = at;
  }
  return ratio;
}

/** Returns the largest excess of the latest ticks without its longest span, in standard deviations; at least 0. */
function deviation(ticks: readonly Excess[], leastVariance = 0): number {
  let [most, sum, variance, longest] = [0, 0, leastVariance, 0];
  for (let count = 1; count <= ticks.length; count++) {
    const tick = ticks[ticks.length - count]!;
    sum += tick.sum;
    variance += tick.variance;
    longest = Math.max(longest, tick.longest);
    if (ticksAdded.includes(count)) most = Math.max(most, (sum - longest) / Math.sqrt(variance));
  }
  return most;
}

function toSightings(
  kind: Kind,
  name: string,
  node: Node,
  at: number,
  ratio: number,
  chance: number,
): Sighting[] {
  const bits = exponent * Math.log2(ratio);
  const isHost = ofHosts.has(kind);
  const services = isHost
    ? [...node.services].filter(([, sum]) => sum > 0).map(([service]) => service)
    : [name];
  return services.slice(0, bounds.candidates).map((service) => ({
    observation: `${kind}\n${name}`,
    place: service,
    kind,
    signal: Signal.TRACES,
    channel: Channel.SHIFT,
    stream: `traces service.name=${service}`,
    service,
    instance: "",
    host: isHost ? name : "",
    tick: at,
    flagged: 1,
    margin: 2 ** bits,
    bits,
    pValue: chance * 2 ** -bits,
    score: 0,
    severity: Severity.MEDIUM,
    anomalies: [],
    traces: [],
    finding: String(kind),
  }));
}
