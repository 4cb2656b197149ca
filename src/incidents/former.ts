import { type IncidentVerdict, severityName, type severityNames } from "../anomaly/names.ts";
import type { Change, EvidencePage, Incident } from "../gen/driftlock/v1/incidents_pb.js";
import { bounds } from "./bounds.ts";
import { traitsOf } from "./likeness.ts";
import { toSighting } from "./sighting.ts";
import { pack, unpack } from "./state.ts";
import { type Counts, createTenant, Tenant, type TenantState } from "./tenant.ts";

export interface FormerSettings {
  /** `incidents.budget.per_tenant_per_day`. */
  perTenantPerDay: number;
  /** `detect.seed`, of which the ids of incidents are a function. */
  seed: bigint;
}

/** What a former holds now, and what it has counted since it was created. */
export interface FormerStats extends Counts {
  /** Number of tenants with evidence. */
  tenants: number;
  open: number;
  /** The open incidents by severity, and the minor ones of any severity. */
  openBySeverity: Record<(typeof severityNames)[number] | "minor", number>;
  /** Number of expectations that have not expired. */
  expectations: number;
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
  /** The least recently active first. */
  #tenants = new Map<string, TenantState>();
  readonly #counts: Counts = { begun: 0, minor: 0, ended: 0, merged: 0, leftOut: 0, late: 0 };

  constructor(settings: FormerSettings) {
    this.#settings = settings;
  }

  /** Adds a page of an engine. Pages are added in the order of the calls that returned them. */
  add({ evidence, ticks, changes }: EvidencePage): Incident[] {
    const tenants = new Map<string, Tenant>();
    const of = (name: string) => {
      const tenant = tenants.get(name) ?? this.#tenant(name);
      tenants.set(name, tenant);
      return tenant;
    };
    for (const change of changes) of(change.tenant).change(change);
    for (const each of evidence) of(each.tenant).sight(toSighting(each));
    for (const tick of ticks) of(tick.tenant).tick(tick);
    return [...tenants.values()].flatMap((tenant) => tenant.take());
  }

  /** Adds a change that a person or a pipeline has posted. */
  post(change: Change): Incident[] {
    const tenant = this.#tenant(change.tenant);
    tenant.change(change);
    return tenant.take();
  }

  /**
   * Applies what a person has decided about an incident, which may have ended long ago. `resolved`, `expected` and `false` end it if
   * it is open; after `false`, evidence of its kind must be rarer than this to begin an incident.
   * @param until for `expected`: incidents like it that begin before this event time, in nanoseconds since 1970, are minor and
   * carry the id of this one as `expectedBy`.
   */
  judge(incident: Incident, verdict: IncidentVerdict, until?: bigint): Incident[] {
    if (verdict === "acknowledged") return [];
    const tenant = this.#tenant(incident.tenant);
    tenant.end(incident.id);
    const { expectations, rejections } = this.#tenants.get(incident.tenant)!;
    const traits = traitsOf(
      incident.members.map(({ serviceName, host, stream, signal, channel }) => ({
        place: serviceName || host || stream,
        signal,
        channel,
      })),
    );
    if (verdict === "expected" && until !== undefined) {
      expectations.set(incident.id, { traits, until: Number(until / 1_000_000n) });
      if (expectations.size > bounds.expectations) this.#dropFirst(expectations);
    }
    if (verdict === "false") {
      rejections.push({ traits, bits: Math.max(0, incident.score / Math.log10(2)) });
      if (rejections.length > bounds.rejections) rejections.shift();
    }
    return tenant.take();
  }

  /** Withdraws an expectation. @returns false if there is none with this id. */
  withdraw(tenant: string, expectation: string): boolean {
    return this.#tenants.get(tenant)?.expectations.delete(expectation) ?? false;
  }

  stats(): FormerStats {
    const sum = (of: (tenant: TenantState) => number) =>
      [...this.#tenants.values()].reduce((total, tenant) => total + of(tenant), 0);
    const openBySeverity: FormerStats["openBySeverity"] = {
      low: 0,
      medium: 0,
      high: 0,
      critical: 0,
      minor: 0,
    };
    for (const { open } of this.#tenants.values()) {
      for (const { minor, severity } of open.values()) {
        const name = severityName(severity);
        openBySeverity[minor ? "minor" : name === "unspecified" ? "low" : name] += 1;
      }
    }
    return {
      tenants: this.#tenants.size,
      open: sum(({ open }) => open.size),
      openBySeverity,
      expectations: sum(({ expectations }) => expectations.size),
      ...this.#counts,
    };
  }

  /** Packs what it holds, so that another former with the same settings continues as if nothing had happened. */
  snapshot(): Buffer {
    return pack(this.#tenants);
  }

  /** Restores a snapshot. Returns false, and changes nothing, if the bytes are not a snapshot that this version can read. */
  restore(snapshot: Uint8Array): boolean {
    const tenants = unpack(snapshot);
    if (tenants === undefined) return false;
    this.#tenants = tenants;
    return true;
  }

  #tenant(name: string): Tenant {
    let state = this.#tenants.get(name);
    if (state === undefined) state = createTenant();
    else this.#tenants.delete(name);
    this.#tenants.set(name, state);
    if (this.#tenants.size > bounds.tenants) this.#dropFirst(this.#tenants);
    const { seed, perTenantPerDay } = this.#settings;
    return new Tenant(state, { name, seed, perTenantPerDay, counts: this.#counts });
  }

  #dropFirst(map: Map<string, unknown>): void {
    map.delete(map.keys().next().value!);
    this.#counts.leftOut++;
  }
}
