/** Observations that belong to no incident yet, and which of them belong together. */
import { Join } from "../gen/driftlock/v1/incidents_pb.js";
import { bounds, windowMs } from "./bounds.ts";
import { observationKeys, type Sighting } from "./sighting.ts";

/** What was observed once, in however many streams it shows. */
export interface Observation {
  key: string;
  kind: number;
  /** The place where it was seen first, and all of them. */
  place: string;
  places: Set<string>;
  hosts: Set<string>;
  bits: number;
  tick: number;
  /** Whether a trace shows it. */
  traced: boolean;
  sightings: Sighting[];
}

export interface Pending {
  observations: Map<string, Observation>;
  byPlace: Map<string, Set<Observation>>;
  byHost: Map<string, Set<Observation>>;
}

/** Why a place belongs to a group, and the name of what joins it. */
export interface JoinedBy {
  join: Join;
  by: string;
  /** The place that it is related to, if a relation joins it. */
  near?: string;
}

export interface Group {
  observations: Set<Observation>;
  places: Map<string, JoinedBy>;
}

/** A place that is related to another one. */
export type Relation = [place: string, by: JoinedBy];

/** The number of places of a group; evidence of so many is rare enough, however many more there are. */
const mostPlaces = 64;
const sightingsHeld = 8;

export function createPending(): Pending {
  return { observations: new Map(), byPlace: new Map(), byHost: new Map() };
}

function file(index: Map<string, Set<Observation>>, key: string, observation: Observation): void {
  const filed = index.get(key);
  if (filed === undefined) index.set(key, new Set([observation]));
  else filed.add(observation);
}

function unfile(index: Map<string, Set<Observation>>, key: string, observation: Observation): void {
  const filed = index.get(key);
  filed?.delete(observation);
  if (filed?.size === 0) index.delete(key);
}

/** Adds a sighting. @returns its observations, and for how many there was no room */
export function addSighting(
  pending: Pending,
  sighting: Sighting,
): { touched: Observation[]; leftOut: number } {
  const { place, host, kind, bits, tick } = sighting;
  const touched: Observation[] = [];
  let leftOut = 0;
  const latest = () => [...(pending.byPlace.get(place) ?? [])].at(-1)?.key;
  for (const key of observationKeys(sighting) ?? [latest() ?? `${place}\n${kind}`]) {
    let observation = pending.observations.get(key);
    if (observation === undefined) {
      const full =
        (pending.byPlace.get(place)?.size ?? 0) >= bounds.pendingPerPlace ||
        pending.observations.size >= bounds.pending;
      if (full) {
        leftOut++;
        continue;
      }
      observation = {
        key,
        kind,
        place,
        places: new Set(),
        hosts: new Set(),
        bits,
        tick,
        traced: false,
        sightings: [],
      };
      pending.observations.set(key, observation);
    }
    if (sighting.lasts) {
      // It goes on, so that it is the latest.
      observation.tick = tick;
      pending.observations.delete(key);
      pending.observations.set(key, observation);
    }
    observation.places.add(place);
    file(pending.byPlace, place, observation);
    if (host !== "") {
      observation.hosts.add(host);
      file(pending.byHost, host, observation);
    }
    if (kind === observation.kind) observation.bits = Math.max(observation.bits, bits);
    if (observation.sightings.length < sightingsHeld) {
      observation.sightings.push(sighting);
      observation.traced ||= sighting.traces.length > 0;
    }
    touched.push(observation);
  }
  return { touched, leftOut };
}

export function remove(pending: Pending, observation: Observation): void {
  pending.observations.delete(observation.key);
  for (const place of observation.places) unfile(pending.byPlace, place, observation);
  for (const host of observation.hosts) unfile(pending.byHost, host, observation);
}

/** Removes and returns what is too old to begin an incident. */
export function expire(pending: Pending, now: number): Observation[] {
  const expired: Observation[] = [];
  for (const observation of pending.observations.values()) {
    if (observation.tick + windowMs > now) break;
    expired.push(observation);
  }
  for (const observation of expired) remove(pending, observation);
  return expired;
}

/**
 * Returns all observations that are joined with this one, directly or through others: by the same trace, the same place, places
 * that are related, or the same host. That they are close in time is not enough.
 */
export function groupOf(
  { byPlace, byHost }: Pending,
  first: Observation,
  related: (place: string) => Iterable<Relation>,
): Group {
  const group: Group = { observations: new Set(), places: new Map() };
  const reach = (place: string, join: Join, by: string) => {
    if (group.places.size < mostPlaces && !group.places.has(place)) group.places.set(place, { join, by });
  };
  reach(first.place, Join.FIRST, "");
  for (const place of group.places.keys()) {
    for (const observation of byPlace.get(place) ?? []) {
      if (group.observations.has(observation)) continue;
      group.observations.add(observation);
      for (const other of observation.places) reach(other, Join.TRACE, observation.key);
      for (const host of observation.hosts) {
        for (const { places } of byHost.get(host) ?? [])
          for (const other of places) reach(other, Join.HOST, host);
      }
    }
    for (const [other, { join, by }] of related(place)) if (byPlace.has(other)) reach(other, join, by);
  }
  return group;
}
