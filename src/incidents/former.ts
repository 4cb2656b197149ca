import { createHash } from "node:crypto";
import { deserialize, serialize } from "node:v8";
import { create } from "@bufbuild/protobuf";
import {
  type Change,
  type Evidence,
  type EvidencePage,
  type Incident,
  IncidentSchema,
  IncidentState,
} from "../gen/driftlock/v1/incidents_pb.js";

export interface FormerSettings {
  /** `incidents.budget.per_tenant_per_day`. */
  perTenantPerDay: number;
  /** `detect.seed`, of which the ids of incidents are a function. */
  seed: bigint;
}

/** What a person can decide about an incident. */
export const incidentVerdicts = ["acknowledged", "resolved", "expected", "false"] as const;
export type IncidentVerdict = (typeof incidentVerdicts)[number];

/** What a former holds now, and what it has counted since it was created or restored. */
export interface FormerStats {
  /** Number of tenants with evidence. */
  tenants: number;
  open: number;
  begun: number;
  /** Number of incidents that were minor when they began. */
  minor: number;
  ended: number;
  merged: number;
  /** Number of expectations that have not expired. */
  expectations: number;
  /** Number of items that were left out because a bound was reached: tenants, open incidents, members, changes and so on. */
  leftOut: number;
  /** Number of items that came too late to count. */
  late: number;
}

/**
 * Forms incidents. What it returns depends on the pages, their order, the settings and the decisions of people alone: time is event
 * time. It does no I/O and never throws because of what a page says.
 *
 * An incident is returned as a whole whenever it begins, grows, ends or turns out to be part of another one, with a higher
 * `revision` each time. Returned messages are not changed afterwards.
 */
export class IncidentFormer {
  readonly #settings: FormerSettings;
  #open = new Map<string, Incident>();
  #counts = { begun: 0, ended: 0 };

  constructor(settings: FormerSettings) {
    this.#settings = settings;
  }

  /** Adds a page of an engine. Pages are added in the order of the calls that returned them. */
  add({ evidence }: EvidencePage): Incident[] {
    return evidence.flatMap((each) => this.#add(each));
  }

  /** Adds a change that a person or a pipeline has posted. */
  post(_change: Change): Incident[] {
    return [];
  }

  /**
   * Applies what a person has decided about an incident, which may have ended long ago. `resolved`, `expected` and `false` end it if
   * it is open; after `false`, evidence of its kind is usual.
   * @param until for `expected`: incidents like it that begin before this event time, in nanoseconds since 1970, are minor and
   * carry the id of this one as `expected_by`.
   */
  judge(incident: Incident, verdict: IncidentVerdict, _until?: bigint): Incident[] {
    return verdict === "acknowledged" ? [] : this.#end(incident.id);
  }

  /** Withdraws an expectation. @returns false if there is none with this id. */
  withdraw(_tenant: string, _expectation: string): boolean {
    return false;
  }

  /** The open incidents of a tenant, or of all of them, as they were last returned. */
  open(tenant?: string): Incident[] {
    return [...this.#open.values()].filter((each) => tenant === undefined || each.tenant === tenant);
  }

  stats(): FormerStats {
    return {
      tenants: new Set(this.open().map(({ tenant }) => tenant)).size,
      open: this.#open.size,
      ...this.#counts,
      minor: 0,
      merged: 0,
      expectations: 0,
      leftOut: 0,
      late: 0,
    };
  }

  /** Packs what it holds, so that another former with the same settings continues as if nothing had happened. */
  snapshot(): Buffer {
    return serialize([...this.#open]);
  }

  /** Restores a snapshot. Returns false, and changes nothing, if the bytes are not a snapshot that this version can read. */
  restore(snapshot: Uint8Array): boolean {
    try {
      this.#open = new Map(deserialize(snapshot));
      return true;
    } catch {
      return false;
    }
  }

  #add({ tenant, serviceName, tickUnixNano, flagged, severity }: Evidence): Incident[] {
    if (flagged === 0) return [];
    const known = this.open(tenant).find(({ services }) => services.includes(serviceName));
    if (known !== undefined) return [];
    const hash = createHash("sha256").update(
      `${this.#settings.seed}\n${tenant}\n${serviceName}\n${tickUnixNano}`,
    );
    const id = (tickUnixNano / 1_000_000n).toString(16).padStart(12, "0") + hash.digest("hex").slice(0, 20);
    const incident = create(IncidentSchema, {
      id,
      tenant,
      revision: 1,
      severity,
      startTimeUnixNano: tickUnixNano,
      endTimeUnixNano: tickUnixNano,
      reportedTimeUnixNano: tickUnixNano,
      sentence: `${serviceName} is unusual`,
      services: [serviceName],
    });
    this.#counts.begun++;
    this.#open.set(id, incident);
    return [incident];
  }

  #end(id: string): Incident[] {
    const open = this.#open.get(id);
    if (open === undefined) return [];
    this.#open.delete(id);
    this.#counts.ended++;
    return [{ ...open, revision: open.revision + 1, state: IncidentState.ENDED }];
  }
}
