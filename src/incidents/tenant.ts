/** The incidents of one tenant: which sightings begin one, which join one, and when it ends. */
import { createHash } from "node:crypto";
import { Signal } from "../gen/driftlock/v1/anomaly_pb.js";
import {
  type Change,
  type GraphTick,
  type Incident,
  IncidentState,
  Join,
} from "../gen/driftlock/v1/incidents_pb.js";
import {
  bounds,
  changeMs,
  excessMs,
  growthMs,
  justBeforeMs,
  quietMs,
  tickMs,
  trim,
  windowMs,
} from "./bounds.ts";
import { mostPerDay, type Notified, takeNotification } from "./budget.ts";
import { changeText } from "./describe.ts";
import { addTick } from "./excess.ts";
import { absorb, createIncident, type Kept, mergeInto, type OpenIncident } from "./incident-state.ts";
import { basisOf, beginningOf, encodeBasis, type Found, stepsOf } from "./kept.ts";
import {
  type Earlier,
  type Expectation,
  fingerprintOf,
  isLike,
  type Rejection,
  recognise,
  traitsOf,
} from "./likeness.ts";
import { toMessage } from "./message.ts";
import { createOwnExcess, type OwnExcess, ownExcess } from "./own-excess.ts";
import {
  addSighting,
  createPending,
  expire,
  type Group,
  groupOf,
  type JoinedBy,
  type Observation,
  type Pending,
  type Relation,
  remove,
} from "./pending.ts";
import { rankingOf } from "./ranking.ts";
import { changeKind, rarityOf, reachOf } from "./rarity.ts";
import { createRates, learn, learnBeginning, ownRate, passTime, type Rates } from "./rates.ts";
import type { Sighting } from "./sighting.ts";
import {
  createTopology,
  neighbours,
  noteReporting,
  noteTargets,
  noteTick,
  surroundings,
  type Topology,
} from "./topology.ts";

/** All that is held of a tenant: plain data, which is the snapshot. */
export interface TenantState {
  /** Event time, in milliseconds since 1970. */
  now: number;
  rates: Rates;
  topology: Topology;
  ownExcess: OwnExcess;
  pending: Pending;
  /** By id, the oldest first. */
  open: Map<string, OpenIncident>;
  /** The open incidents by the places and hosts that they have, and by their traces. */
  byPlace: Map<string, string>;
  byHost: Map<string, string>;
  byTrace: Map<string, string>;
  changes: Change[];
  notified: Notified;
  expectations: Map<string, Expectation>;
  rejections: Rejection[];
  earlier: Earlier;
  /** The number of steps that are kept of all open incidents. */
  steps: number;
}

export interface Counts {
  begun: number;
  minor: number;
  ended: number;
  merged: number;
  leftOut: number;
  late: number;
}

export interface Context {
  name: string;
  seed: bigint;
  perTenantPerDay: number;
  counts: Counts;
}

export function createTenant(): TenantState {
  return {
    now: 0,
    rates: createRates(),
    topology: createTopology(),
    ownExcess: createOwnExcess(),
    pending: createPending(),
    open: new Map(),
    byPlace: new Map(),
    byHost: new Map(),
    byTrace: new Map(),
    changes: [],
    notified: [],
    expectations: new Map(),
    rejections: [],
    earlier: new Map(),
    steps: 0,
  };
}

/** An observation that a place has more often per day than this does not keep an incident open. */
const usualPerDay = 48;
/** A minor incident notifies once it has so many times the services that it began with, or becomes so grave. */
const grownPlaces = 2;
const gravest = 4;

/** Applies pages to the state of one tenant. */
export class Tenant {
  readonly #state: TenantState;
  readonly #context: Context;
  /** The incidents that the current page has changed. */
  readonly #touched = new Set<OpenIncident>();
  #reports: Incident[] = [];

  constructor(state: TenantState, context: Context) {
    this.#state = state;
    this.#context = context;
  }

  /** Returns what has been reported since it was last called. */
  take(): Incident[] {
    for (const incident of this.#touched) if (this.#isNews(incident)) this.#report(incident);
    this.#touched.clear();
    const reports = this.#reports;
    this.#reports = [];
    return reports;
  }

  tick(tick: GraphTick): void {
    const { topology, open } = this.#state;
    const at = Number(tick.tickUnixNano / 1_000_000n);
    this.#context.counts.leftOut += noteTick(topology, tick);
    for (const incident of open.values()) {
      this.#addTick(incident, tick);
      this.#touched.add(incident);
    }
    this.#pass(at + tickMs);
    for (const sighting of ownExcess(this.#state.ownExcess, tick)) this.sight(sighting);
  }

  change(change: Change): void {
    const { changes } = this.#state;
    changes.push(change);
    if (changes.length > bounds.changes) changes.shift();
    this.#pass(timeOf(change));
    learn(this.#state.rates, change.serviceName, changeKind, 0, timeOf(change));
  }

  sight(sighting: Sighting): void {
    const { state, counts } = { state: this.#state, counts: this.#context.counts };
    if (sighting.tick + quietMs < state.now) {
      counts.late++;
      return;
    }
    this.#pass(sighting.tick);
    noteReporting(state.topology, sighting.place);
    if (sighting.signal === Signal.METRICS) noteTargets(state.topology, sighting.place, sighting.stream);
    const joined = this.#join(sighting);
    if (joined === undefined || this.#isStale(joined)) this.#observe(sighting);
  }

  /** Ends an incident if it is open. */
  end(id: string): void {
    const incident = this.#state.open.get(id);
    if (incident !== undefined) this.#end(incident, IncidentState.ENDED);
  }

  /** Lets event time pass. */
  #pass(now: number): void {
    const state = this.#state;
    if (now <= state.now) return;
    state.now = now;
    passTime(state.rates, now);
    // What began no incident is what is usual.
    for (const { place, kind, bits, tick } of expire(state.pending, now))
      this.#context.counts.leftOut += learn(state.rates, place, kind, bits, tick);
    for (const incident of state.open.values()) {
      if (incident.end + quietMs <= now) this.#end(incident, IncidentState.ENDED);
    }
    for (const [id, { until }] of state.expectations) if (until <= now) state.expectations.delete(id);
  }

  /** Joins a sighting with open incidents; if there are several, they turn out to be one. */
  #join(sighting: Sighting): OpenIncident | undefined {
    let joined: OpenIncident | undefined;
    for (const [id, by] of [...this.#candidates(sighting)]) {
      const incident = this.#state.open.get(id);
      if (incident === undefined || incident === joined) continue;
      if (this.#isStale(incident) && !incident.places.has(sighting.place)) continue;
      if (joined === undefined) {
        joined = incident;
        this.#absorb(incident, sighting, by);
      } else if (!this.#isStale(incident) && !this.#isStale(joined))
        joined = this.#merge(joined, incident, by);
    }
    return joined;
  }

  *#candidates({ place, host, traces }: Sighting): Generator<[id: string, by: JoinedBy]> {
    const { byPlace, byHost, byTrace } = this.#state;
    for (const trace of traces) {
      const id = byTrace.get(trace);
      if (id !== undefined) yield [id, { join: Join.TRACE, by: trace }];
    }
    const own = byPlace.get(place);
    if (own !== undefined) yield [own, { join: Join.SERVICE, by: place }];
    for (const [other, by] of this.#related(place)) {
      const id = byPlace.get(other);
      if (id !== undefined) yield [id, { ...by, near: other }];
    }
    const same = host === "" ? undefined : byHost.get(host);
    if (same !== undefined) yield [same, { join: Join.HOST, by: host }];
  }

  *#related(place: string): Generator<Relation> {
    const { topology, changes, now } = this.#state;
    for (const [other, via] of neighbours(topology, place)) yield [other, { join: Join.NEIGHBOUR, by: via }];
    const own = changes.filter((change) => change.serviceName === place && isRecent(change, now));
    for (const { attribute, value } of own) {
      for (const other of changes) {
        const same = other.attribute === attribute && other.value === value && other.serviceName !== place;
        if (same && isRecent(other, now))
          yield [other.serviceName, { join: Join.CHANGE, by: `${attribute}=${value}` }];
      }
    }
  }

  #isStale(incident: OpenIncident): boolean {
    return this.#state.now - incident.begun > growthMs;
  }

  #absorb(incident: OpenIncident, sighting: Sighting, by: JoinedBy): void {
    const { rates, byPlace, byHost, byTrace } = this.#state;
    const { place, kind, host, traces } = sighting;
    const isKnown = incident.places.get(place)?.kinds.has(kind) ?? false;
    const lasts = (isKnown || !this.#isStale(incident)) && ownRate(rates, place, kind) < usualPerDay;
    absorb(incident, sighting, by, lasts);
    this.#keep(incident, { ...by, sighting, lasts });
    if (incident.places.has(place)) byPlace.set(place, incident.id);
    if (host !== "") byHost.set(host, incident.id);
    for (const trace of traces) byTrace.set(trace, incident.id);
    this.#context.counts.leftOut +=
      trim(byTrace, bounds.pending) + trim(byHost, bounds.places) + trim(byPlace, bounds.places);
    this.#touched.add(incident);
  }

  /** Keeps a step in the course of an incident, as long as there is room. */
  #keep({ kept }: OpenIncident, step: Kept["steps"][number]): void {
    const full = this.#state.steps >= bounds.steps || kept.steps.length >= bounds.stepsPerIncident;
    if (full || kept.leftOut > 0) {
      kept.leftOut++;
      if ("merged" in step) this.#state.steps -= stepsOf(step.merged);
    } else {
      kept.steps.push(step);
      this.#state.steps++;
    }
  }

  /** Takes up a sighting that is in no incident, or in one that has long been known, and begins one if it is rare. */
  #observe(sighting: Sighting): void {
    const { pending } = this.#state;
    const { counts } = this.#context;
    const { touched, leftOut } = addSighting(pending, sighting);
    counts.leftOut += leftOut;
    const [first] = touched;
    if (first === undefined) return;
    const group = groupOf(pending, first, (place) => this.#related(place));
    const begun = this.#considers(group, first);
    if (begun) this.#begin(begun);
  }

  /** Returns how rare a group is, if that is enough to begin an incident. */
  #considers(group: Group, first: Observation): Begun | undefined {
    const { rates, rejections, topology, changes, now } = this.#state;
    const reached = new Set(group.places.keys());
    for (const place of group.places.keys())
      for (const [other] of neighbours(topology, place)) reached.add(other);
    const changed = changes.filter((change) => follows(change, group, now));
    const found: Found = {
      group,
      first,
      groups: { ...rates.groups },
      reached: reached.size,
      reporting: topology.reporting.size,
      changes: changed.length,
    };
    const rarity = rarityOf(rates, group, { reach: reachOf(found), changes: changed.length, now });
    let least = -Math.log2(mostPerDay(this.#context.perTenantPerDay));
    if (rejections.length > 0) {
      const traits = traitsOf([...group.observations].flatMap(({ sightings }) => sightings));
      for (const rejection of rejections) {
        if (isLike(traits, rejection.traits)) least = Math.max(least, rejection.bits + rejectedBits);
      }
    }
    return rarity.bits >= least ? { ...rarity, found } : undefined;
  }

  #begin({ found, bits, isSingle }: Begun): void {
    const state = this.#state;
    const { group } = found;
    const { counts } = this.#context;
    if (state.open.size >= bounds.openIncidents) {
      counts.leftOut++;
      return;
    }
    const sightings = [...new Set([...group.observations].flatMap((each) => each.sightings))];
    sightings.sort((a, b) => a.tick - b.tick);
    const [first] = sightings;
    if (first === undefined) return;
    const incident = createIncident(this.#idOf(first), state.now, bits);
    incident.kept.beginning = beginningOf(found, state, (place) => this.#related(place));
    incident.kept.begunWith = sightings.length;
    state.open.set(incident.id, incident);
    for (const sighting of sightings) {
      const by = group.places.get(sighting.place)!;
      this.#absorb(incident, sighting, by);
    }
    for (const observation of group.observations) {
      remove(state.pending, observation);
      const { place, kind, bits, tick } = observation;
      // What begins incidents by itself again and again is usual in the end.
      if (isSingle) counts.leftOut += learnBeginning(state.rates, place, kind, bits, tick);
    }
    for (const tick of state.topology.ticks) this.#addTick(incident, tick);
    incident.changes = state.changes
      .filter((change) => isBefore(change, incident) && concerns(change, incident))
      .reverse()
      .slice(0, bounds.changesPerIncident);
    this.#decideNotification(incident);
    counts.begun++;
    if (incident.minor) counts.minor++;
    this.#touched.add(incident);
  }

  #decideNotification(incident: OpenIncident): void {
    const { expectations, notified, now } = this.#state;
    const traits = traitsOf([...incident.members.values()].map(({ sighting }) => sighting));
    const expected = [...expectations].find(([, each]) => isLike(traits, each.traits));
    incident.expectedBy = expected?.[0] ?? "";
    incident.minor =
      expected !== undefined || !takeNotification(notified, this.#context.perTenantPerDay, now);
    incident.atFirst = { places: incident.places.size, severity: incident.severity };
  }

  #addTick(incident: OpenIncident, tick: GraphTick): void {
    const at = Number(tick.tickUnixNano / 1_000_000n);
    if (at + tickMs <= incident.start || at >= incident.start + excessMs) return;
    const services = surroundings(this.#state.topology, incident.places.keys());
    this.#context.counts.leftOut += addTick(incident.excess, tick, services);
  }

  #merge(a: OpenIncident, b: OpenIncident, by: JoinedBy): OpenIncident {
    const state = this.#state;
    const [older, newer] = b.begun < a.begun || (b.begun === a.begun && b.id < a.id) ? [b, a] : [a, b];
    mergeInto(older, newer, by);
    this.#keep(older, { ...by, merged: newer.kept });
    for (const index of [state.byPlace, state.byHost, state.byTrace]) {
      for (const [key, id] of index) if (id === newer.id) index.set(key, older.id);
    }
    state.open.delete(newer.id);
    this.#touched.delete(newer);
    this.#touched.add(older);
    this.#context.counts.merged++;
    this.#report(newer, IncidentState.MERGED, older.id);
    return older;
  }

  #end(incident: OpenIncident, state: IncidentState): void {
    this.#state.open.delete(incident.id);
    for (const index of [this.#state.byPlace, this.#state.byHost, this.#state.byTrace]) {
      for (const [key, id] of index) if (id === incident.id) index.delete(key);
    }
    this.#touched.delete(incident);
    this.#context.counts.ended++;
    this.#report(incident, state);
    this.#state.steps -= stepsOf(incident.kept);
  }

  #isNews(incident: OpenIncident): boolean {
    const { told, places, severity, flagged, excess, revision } = incident;
    if (revision === 0) return true;
    if (incident.minor && incident.expectedBy === "" && hasGrown(incident)) incident.minor = false;
    return (
      told.minor !== incident.minor ||
      places.size > told.places ||
      severity > told.severity ||
      flagged >= 2 * told.flagged ||
      (excess.ticks !== told.ticks && (excess.ticks <= 6 || excess.ticks >= 2 * told.ticks))
    );
  }

  #report(incident: OpenIncident, state = IncidentState.OPEN, mergedInto?: string): void {
    const { name, perTenantPerDay } = this.#context;
    const ranking = rankingOf(
      incident,
      incident.changes.map((change) => ({ service: change.serviceName, text: changeText(change) })),
    );
    const fingerprint = fingerprintOf(incident);
    if (state !== IncidentState.MERGED)
      incident.earlier = recognise(this.#state.earlier, fingerprint, incident.id);
    incident.told = {
      places: incident.places.size,
      severity: incident.severity,
      flagged: incident.flagged,
      ticks: incident.excess.ticks,
      minor: incident.minor,
    };
    this.#reports.push(
      toMessage(incident, {
        tenant: name,
        state,
        ranking,
        fingerprint,
        basis: encodeBasis(basisOf(incident, perTenantPerDay)),
        ...(mergedInto && { mergedInto }),
      }),
    );
  }

  #idOf({ tick, stream, channel, instance }: Sighting): string {
    const text = JSON.stringify([this.#context.name, tick, stream, channel, instance]);
    const hash = createHash("sha256").update(`${this.#context.seed}\n${text}`).digest("hex");
    return tick.toString(16).padStart(12, "0").slice(-12) + hash.slice(0, 20);
  }
}

/** A group that begins an incident. */
interface Begun {
  found: Found;
  bits: number;
  isSingle: boolean;
}

const hasGrown = ({ places, severity, atFirst }: OpenIncident) =>
  places.size >= grownPlaces * atFirst.places || (severity >= gravest && atFirst.severity < gravest);

/** What is like something that a person called false must be so many times rarer, in bits. */
const rejectedBits = 3;

const timeOf = ({ timeUnixNano }: Change) => Number(timeUnixNano / 1_000_000n);
const isRecent = (change: Change, now: number) => timeOf(change) + changeMs >= now;
const isBefore = (change: Change, { start }: OpenIncident) =>
  timeOf(change) >= start - changeMs && timeOf(change) <= start + windowMs;
const concerns = ({ serviceName }: Change, { places }: OpenIncident) =>
  serviceName === "" || places.has(serviceName);
/** Whether a change of one of its places came just before a group. */
const follows = (change: Change, { places }: Group, now: number) =>
  places.has(change.serviceName) && timeOf(change) <= now && timeOf(change) + justBeforeMs >= now;
