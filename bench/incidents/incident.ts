/** What the benches of incidents ask of whatever forms them. */
import type { Judged } from "../../src/engine/index.ts";
import type { Signal } from "../../src/otlp/protocol.ts";

/** A candidate for the cause of an incident: a service or a host. */
export interface Ranked {
  /** A service, or a peer such as a database by the name under which its callers know it. */
  service?: string;
  host?: string;
}

/** An incident. Times are milliseconds since 1970. */
export interface Incident {
  id: string;
  /** When it was known first. */
  reported: number;
  start: number;
  end: number;
  /** The services of its evidence. */
  services: string[];
  /** The channels of its evidence. */
  channels: string[];
  /** The candidates for its cause, the likeliest first. */
  ranking: Ranked[];
}

/** Forms incidents from requests and what an engine says about them. */
export interface IncidentFormer {
  /** @param time the event time at which the request was complete */
  add(signal: Signal, body: Buffer, outcome: Judged, time: number): void;
  /** All incidents so far. */
  incidents(): Incident[];
  /** What it has learned, for another one that continues. */
  snapshot(): Buffer;
}
