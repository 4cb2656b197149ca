/** What a former holds of one tenant at most, and how many tenants. What exceeds a bound is counted. */
export const bounds = {
  tenants: 1_024,
  openIncidents: 1_000,
  members: 128,
  tracesPerMember: 4,
  anomaliesPerMember: 4,
  /** Traces by which evidence joins an incident. */
  tracesPerIncident: 256,
  /** Observations that have begun no incident yet, per service. */
  pendingPerPlace: 32,
  pending: 8_192,
  places: 4_096,
  nodes: 1_024,
  edges: 8_192,
  operationsPerIncident: 1_024,
  edgesPerIncident: 256,
  changes: 64,
  changesPerIncident: 8,
  candidates: 16,
  expectations: 64,
  rejections: 64,
  fingerprints: 1_024,
  findings: 32,
  earlier: 8,
  /** Of what incidents are computed again from: steps of one and of all open ones, and what one began with. */
  stepsPerIncident: 512,
  steps: 4_096,
  keptObservations: 512,
} as const;

/** Milliseconds. */
export const tickMs = 10_000;
const minuteMs = 60_000;

/** Observations within this time may begin an incident together. */
export const windowMs = 3 * minuteMs;
/** For so long, an incident takes up services that it does not have, and other kinds of evidence keep it open. */
export const growthMs = 15 * minuteMs;
/** An incident ends when nothing unusual has joined it for so long. */
export const quietMs = 15 * minuteMs;
/** A change within this time before an incident may be its cause. */
export const changeMs = 30 * minuteMs;
/** Evidence within this time after a change is the rarer for it. */
export const justBeforeMs = 15 * minuteMs;
/** The own excess of a cause is added up for so long. */
export const excessMs = 10 * minuteMs;

/** Deletes the first entries of a map, which are the oldest ones, until it is small enough. @returns how many */
export function trim(map: Map<unknown, unknown> | Set<unknown>, most: number): number {
  const over = map.size - most;
  if (over <= 0) return 0;
  for (const key of map.keys()) {
    if (map.size <= most) break;
    map.delete(key);
  }
  return over;
}
