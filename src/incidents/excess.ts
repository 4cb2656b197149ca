/** What the operations around an incident took of their own beyond what is usual, added up over its ticks. */
import type { EdgeFigures, Figures, GraphTick, OperationFigures } from "../gen/driftlock/v1/incidents_pb.js";
import { bounds } from "./bounds.ts";

interface Sum {
  count: number;
  seconds: number;
  failures: number;
}

export interface OperationSum {
  service: string;
  operation: string;
  host: string;
  instance: string;
  now: Sum;
  usual: Sum;
  /** The variance of the difference in seconds. */
  variance: number;
  /** The most that it has been beyond what is usual: what was too much stays so when the fault is over. */
  most: { seconds: number; failures: number };
}

export interface EdgeSum {
  caller: string;
  operation: string;
  callee: string;
  calleeOperation: string;
  now: Sum;
  usual: Sum;
  /** The most calls beyond the usual number that there have been. */
  extra: number;
}

export interface Excess {
  operations: Map<string, OperationSum>;
  edges: Map<string, EdgeSum>;
  /** The number of ticks. */
  ticks: number;
  /** The latest tick that was added, in milliseconds since 1970. */
  last: number;
}

export function createExcess(): Excess {
  return { operations: new Map(), edges: new Map(), ticks: 0, last: Number.NEGATIVE_INFINITY };
}

const zero = (): Sum => ({ count: 0, seconds: 0, failures: 0 });

function addTo(sum: Sum, figures: Figures | undefined): void {
  if (figures === undefined) return;
  sum.count += figures.count || 0;
  sum.seconds += figures.seconds || 0;
  sum.failures += figures.failures || 0;
}

/** Whether the graph knows already what is usual: in the first minutes of a tenant it does not, and all would be excess. */
const hasLearned = ({ operations }: GraphTick) => operations.some(({ usual }) => (usual?.count ?? 0) > 0);

/** Adds a tick of the operations and calls of these services. @returns what was left out */
export function addTick(excess: Excess, tick: GraphTick, services: ReadonlySet<string>): number {
  const at = Number(tick.tickUnixNano / 1_000_000n);
  if (at <= excess.last || !hasLearned(tick)) return 0;
  excess.last = at;
  excess.ticks++;
  let leftOut = 0;
  for (const figures of tick.operations) {
    if (services.has(figures.service)) leftOut += addOperation(excess, figures);
  }
  for (const figures of tick.edges) {
    if (services.has(figures.caller)) leftOut += addEdge(excess, figures);
  }
  return leftOut;
}

function addOperation({ operations }: Excess, figures: OperationFigures): number {
  const { service, operation, host, instance, now, usual, variance } = figures;
  // Without a past there is nothing that it could exceed.
  if (!(usual && usual.count > 0)) return 0;
  const key = `${service}\n${operation}\n${host}\n${instance}`;
  let sum = operations.get(key);
  if (sum === undefined) {
    if (operations.size >= bounds.operationsPerIncident) return 1;
    sum = {
      service,
      operation,
      host,
      instance,
      now: zero(),
      usual: zero(),
      variance: 0,
      most: { seconds: 0, failures: 0 },
    };
    operations.set(key, sum);
  }
  addTo(sum.now, now);
  addTo(sum.usual, usual);
  sum.variance += Math.max(0, variance || 0) * (now?.count || 0);
  const { most } = sum;
  most.seconds = Math.max(most.seconds, beyond(sum.now.seconds - sum.usual.seconds, sum.variance));
  most.failures = Math.max(
    most.failures,
    beyond(sum.now.failures - sum.usual.failures, sum.usual.failures + 1),
  );
  return 0;
}

function addEdge({ edges }: Excess, figures: EdgeFigures): number {
  const { caller, operation, callee, calleeOperation, now, usual } = figures;
  const key = `${caller}\n${operation}\n${callee}\n${calleeOperation}`;
  let sum = edges.get(key);
  if (sum === undefined) {
    if (edges.size >= bounds.operationsPerIncident) return 1;
    sum = { caller, operation, callee, calleeOperation, now: zero(), usual: zero(), extra: 0 };
    edges.set(key, sum);
  }
  // What came before anything was usual cannot be compared.
  if (sum.usual.count === 0 && usual && usual.count > 0) sum.now = zero();
  addTo(sum.now, now);
  addTo(sum.usual, usual);
  if (sum.usual.count > 0)
    sum.extra = Math.max(sum.extra, beyond(sum.now.count - sum.usual.count, sum.usual.count + 1));
  return 0;
}

/**
 * What a number exceeds the usual one by, less two standard deviations, which is what chance would; nothing below three, since one of
 * the many operations around an incident exceeds two by chance.
 */
function beyond(excess: number, variance: number): number {
  const deviation = Math.sqrt(variance);
  return excess < 3 * deviation ? 0 : excess - 2 * deviation;
}

/** A part of the own excess of a service. */
export interface Part {
  service: string;
  operation: string;
  host: string;
  instance: string;
  seconds: number;
  failures: number;
  /** The calls beyond the usual number, and the callee; or the callee that was never called before. */
  calls?: { callee: string; extra: number; isNew: boolean };
}

/**
 * Divides the own excess into parts. Calls that are usual neither in number nor for the number of the caller's spans are the
 * caller's, and so is what a callee takes that was never seen before.
 */
export function partsOf({ operations, edges }: Excess): Part[] {
  const parts: Part[] = [];
  const known = new Set<string>();
  for (const { service, operation, host, instance, most } of operations.values()) {
    known.add(service);
    const { seconds, failures } = most;
    if (seconds > 0 || failures > 0) parts.push({ service, operation, host, instance, seconds, failures });
  }
  for (const { caller, operation, callee, now, usual, extra } of edges.values()) {
    const part = { service: caller, operation, host: "", instance: "", failures: 0 };
    if (usual.count > 0) {
      if (extra > 0)
        parts.push({
          ...part,
          seconds: (extra * usual.seconds) / usual.count,
          calls: { callee, extra, isNew: false },
        });
    } else if (now.count > 0 && known.has(caller) && !known.has(callee)) {
      const { count, seconds, failures } = now;
      parts.push({ ...part, seconds, failures, calls: { callee, extra: count, isNew: true } });
    }
  }
  return parts;
}
