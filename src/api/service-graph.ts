/** Who calls whom, of late: averages over about five minutes of the ticks of the service graph. */
import type { EdgeFigures, GraphTick, OperationFigures } from "../gen/driftlock/v1/incidents_pb.js";

/** Averages per second. The figures of a service are its own, without those of its callees; the figures of calls are whole. */
export interface Rates {
  count: number;
  seconds: number;
  failures: number;
}

export interface Traffic {
  now: Rates;
  /** What is usual for as many spans. */
  usual: Rates;
  /** The event time of the latest tick with spans, in nanoseconds since 1970. */
  lastSeen: bigint;
}

export interface ServiceNode extends Traffic {
  service: string;
  /** Whether only its callers send spans, as with most databases. */
  peer: boolean;
}

export interface ServiceEdge extends Traffic {
  caller: string;
  callee: string;
}

export interface ServiceGraphView {
  /** The event time of the latest tick, in nanoseconds since 1970. */
  time: bigint;
  services: ServiceNode[];
  edges: ServiceEdge[];
}

const tickSeconds = 10;
/** The weight of a tick falls to 1/e in this time. */
const memorySeconds = 300;
const secondsBetween = (from: bigint, until: bigint) => Number((until - from) / 1_000_000n) / 1_000;
const decayOf = (seconds: number) => Math.exp(-Math.max(0, seconds) / memorySeconds);
/** What was not seen for so long is forgotten. */
const forgottenNanos = 3_600_000_000_000n;
/** Bounds per tenant, and of tenants. What was not seen for longest gives way. */
const maxServices = 2_000;
const maxEdges = 10_000;
const maxTenants = 1_000;

/** Six sums that fade: now, then usual. */
interface Fading {
  sums: Float64Array;
  at: bigint;
}

type Node = Fading & { peer: boolean };

interface Tenant {
  time: bigint;
  /** The number of ticks, which fades as sums do. */
  weight: number;
  services: Map<string, Node>;
  edges: Map<string, Fading & { caller: string; callee: string }>;
}

export class ServiceGraph {
  readonly #tenants = new Map<string, Tenant>();

  add({ tenant: name, tickUnixNano: at, operations, edges }: GraphTick): void {
    const tenant = this.#tenants.get(name) ?? { time: at, weight: 0, services: new Map(), edges: new Map() };
    // The tenant that was active last is last.
    this.#tenants.delete(name);
    this.#tenants.set(name, tenant);
    if (this.#tenants.size > maxTenants) this.#tenants.delete(this.#tenants.keys().next().value!);
    if (at > tenant.time || tenant.weight === 0) {
      tenant.weight = tenant.weight * decayOf(secondsBetween(tenant.time, at)) + 1;
      tenant.time = at;
    }
    for (const operation of operations) {
      const node = touch(
        tenant.services,
        operation.service,
        () => ({ ...fading(at), peer: true }),
        maxServices,
      );
      // A peer has no host and no instance, and calls nobody, since it sends no spans.
      node.peer &&= operation.host === "" && operation.instance === "";
      collect(node, at, operation);
    }
    for (const edge of edges) {
      const { caller, callee } = edge;
      const known = touch(
        tenant.edges,
        `${caller}\0${callee}`,
        () => ({ ...fading(at), caller, callee }),
        maxEdges,
      );
      collect(known, at, edge);
      const from = tenant.services.get(caller);
      if (from !== undefined) from.peer = false;
    }
  }

  /** Returns the graph of a tenant; undefined if it has had no complete tick. */
  view(tenant: string): ServiceGraphView | undefined {
    const found = this.#tenants.get(tenant);
    if (found === undefined) return undefined;
    const { time, weight } = found;
    const share = 1 / (weight * tickSeconds);
    const recent = ({ at }: Fading) => time - at < forgottenNanos;
    return {
      time,
      services: [...found.services]
        .filter(([, node]) => recent(node))
        .map(([service, node]) => ({ service, peer: node.peer, ...trafficOf(node, time, share) })),
      edges: [...found.edges.values()]
        .filter(recent)
        .map((edge) => ({ caller: edge.caller, callee: edge.callee, ...trafficOf(edge, time, share) })),
    };
  }
}

function fading(at: bigint): Fading {
  return { sums: new Float64Array(6), at };
}

/** Returns an entry of a map, which is last from now on. */
function touch<T>(map: Map<string, T>, key: string, make: () => T, most: number): T {
  const entry = map.get(key) ?? make();
  map.delete(key);
  map.set(key, entry);
  if (map.size > most) map.delete(map.keys().next().value!);
  return entry;
}

function collect(
  entry: Fading,
  at: bigint,
  { now, usual }: Pick<OperationFigures | EdgeFigures, "now" | "usual">,
): void {
  if (at > entry.at) fade(entry, at);
  const { sums } = entry;
  for (const [i, figures] of [now, usual].entries()) {
    sums[3 * i]! += figures?.count ?? 0;
    sums[3 * i + 1]! += figures?.seconds ?? 0;
    sums[3 * i + 2]! += figures?.failures ?? 0;
  }
}

function fade(entry: Fading, at: bigint): void {
  const factor = decayOf(secondsBetween(entry.at, at));
  for (const i of entry.sums.keys()) entry.sums[i]! *= factor;
  entry.at = at;
}

/** @param share what makes a sum of ticks an average per second */
function trafficOf({ sums, at }: Fading, time: bigint, share: number): Traffic {
  const factor = decayOf(secondsBetween(at, time)) * share;
  const rates = (first: number): Rates => ({
    count: sums[first]! * factor,
    seconds: sums[first + 1]! * factor,
    failures: sums[first + 2]! * factor,
  });
  return { now: rates(0), usual: rates(3), lastSeen: at };
}
