/** Who calls whom, and what runs where, as far as the ticks of the graph and the evidence have shown. */
import type { GraphTick } from "../gen/driftlock/v1/incidents_pb.js";
import { bounds, trim } from "./bounds.ts";

export interface Topology {
  /** The nodes that each node calls, and those that call it. */
  callees: Map<string, Set<string>>;
  callers: Map<string, Set<string>>;
  /** Nodes that send telemetry themselves; others are peers, such as databases. */
  reporting: Set<string>;
  /**
   * The services by what their operations are about, such as a queue or a table: spans are named "process orders.events" and
   * "SELECT orders" by the semantic conventions.
   */
  targets: Map<string, Set<string>>;
  /** Places that have evidence about a target, such as the lag of a queue, with the services of the target. */
  related: Map<string, Map<string, string>>;
  /** Ticks that are complete, the latest ones, for the beginning of an incident that is found later. */
  ticks: GraphTick[];
}

/** How many ticks are held. */
const ticksHeld = 18;
/** How many callers of a peer are each other's neighbours; a peer of more callers joins nothing. */
const mostCallers = 32;

export function createTopology(): Topology {
  return {
    callees: new Map(),
    callers: new Map(),
    reporting: new Set(),
    targets: new Map(),
    related: new Map(),
    ticks: [],
  };
}

function link(map: Map<string, Set<string>>, from: string, to: string): number {
  const known = map.get(from);
  if (known?.has(to)) return 0;
  if (known === undefined) map.set(from, new Set([to]));
  else if (known.size < bounds.nodes) known.add(to);
  else return 1;
  return trim(map, bounds.nodes);
}

/** @returns what was left out */
export function noteTick(topology: Topology, tick: GraphTick): number {
  let leftOut = 0;
  for (const { caller, callee } of tick.edges) {
    topology.reporting.add(caller);
    leftOut += link(topology.callees, caller, callee) + link(topology.callers, callee, caller);
  }
  for (const { service, operation, host, instance } of tick.operations) {
    const target = /^\w+ (\S+)$/.exec(operation)?.[1];
    if (target !== undefined) leftOut += link(topology.targets, target, service);
    if (host !== "" || instance !== "") topology.reporting.add(service);
  }
  topology.ticks.push(tick);
  if (topology.ticks.length > ticksHeld) topology.ticks.shift();
  return leftOut + notePlaces(topology);
}

function notePlaces({ reporting }: Topology): number {
  return trim(reporting, bounds.places);
}

export function noteReporting(topology: Topology, place: string): void {
  topology.reporting.add(place);
  notePlaces(topology);
}

/** Notes what the metric of a stream is about by its attributes, such as messaging.destination.name. */
export function noteTargets(topology: Topology, place: string, stream: string): void {
  for (const [, value] of stream.matchAll(/ [^ =]+=(\S+)/g)) {
    for (const service of topology.targets.get(value!) ?? []) {
      if (service === place) continue;
      relate(topology, place, service, value!);
      relate(topology, service, place, value!);
    }
  }
}

function relate({ related }: Topology, place: string, other: string, via: string): void {
  const known = related.get(place) ?? new Map<string, string>();
  related.set(place, known);
  if (known.size < mostCallers) known.set(other, via);
  trim(related, bounds.nodes);
}

const none: ReadonlySet<string> = new Set();

/**
 * Yields the neighbours of a place, with the name of what joins them: the neighbour itself, a peer that both call, or
 * what both are about.
 */
export function* neighbours(topology: Topology, place: string): Generator<[neighbour: string, via: string]> {
  const { callees, callers, reporting, related } = topology;
  yield* related.get(place) ?? [];
  for (const caller of callers.get(place) ?? none) yield [caller, caller];
  for (const callee of callees.get(place) ?? none) {
    yield [callee, callee];
    if (reporting.has(callee)) continue;
    const others = callers.get(callee) ?? none;
    if (others.size > mostCallers) continue;
    for (const other of others) if (other !== place) yield [other, callee];
  }
}

/** What any of these places calls, directly or not, with the places themselves and their callers. */
export function surroundings({ callees, callers }: Topology, places: Iterable<string>): Set<string> {
  const found = new Set(places);
  const own = [...found];
  for (const place of found) {
    for (const callee of callees.get(place) ?? none) {
      if (found.size >= bounds.nodes) return found;
      found.add(callee);
    }
  }
  for (const place of own) for (const caller of callers.get(place) ?? none) found.add(caller);
  return found;
}
