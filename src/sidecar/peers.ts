/**
 * Shows to listeners of this process what other processes on the same store have found and what people have decided there, and ends the
 * sessions that have ended there.
 */

import type { LiveHub } from "../api/live/hub.ts";
import { publishAnomaly, publishIncident } from "../api/live/publish.ts";
import type { AnomalyJson } from "../json/anomaly-schema.ts";
import type { IncidentJson } from "../json/incident-schema.ts";
import { type Announced, type Announcement, type Hearer, reasonOf, type Store } from "../store/index.ts";
import type { Logger } from "../telemetry/log.ts";

export interface PeerParts {
  store: Pick<Store, "anomalies" | "incidents" | "sessions">;
  hub: LiveHub<AnomalyJson>;
  incidentHub: LiveHub<IncidentJson>;
  /** Called when a person may have decided something. */
  onJudgement(): void;
  /** Called when policies or silences may have changed. */
  onRules(): void;
  log: Logger;
}

/** The most that waits to be read, and what is read at once. More than this in a second is more than anybody reads. */
const maxWaiting = 2_000;
const batch = 100;

export class Peers implements Hearer {
  readonly #parts: PeerParts;
  #waiting: Announcement[] = [];
  #count = 0;
  #running: Promise<void> | undefined;
  #closed = false;

  constructor(parts: PeerParts) {
    this.#parts = parts;
  }

  heard(announcement: Announcement): void {
    const { kind, tenant, ids } = announcement;
    if (kind === "rules") this.#parts.onRules();
    if (kind === "judgements") this.#parts.onJudgement();
    if (kind === "sessions") for (const hash of ids) this.#parts.store.sessions.forget(hash);
    if (!this.#hubs(kind).some((hub) => hub.hears(tenant)) || this.#count >= maxWaiting) return;
    this.#waiting.push(announcement);
    this.#count += ids.length;
    this.#running ??= this.#run();
  }

  missed(since: number): void {
    this.#parts.onRules();
    this.#parts.onJudgement();
    void this.#publishSince(since);
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#waiting = [];
    await this.#running;
  }

  /** The hubs that an announcement may concern. A judgement is of an anomaly or of an incident. */
  #hubs(kind: Announced): readonly Pick<LiveHub<never>, "hears">[] {
    const { hub, incidentHub } = this.#parts;
    const none: readonly Pick<LiveHub<never>, "hears">[] = [];
    return {
      anomalies: [hub],
      incidents: [incidentHub],
      judgements: [hub, incidentHub],
      rules: none,
      sessions: none,
    }[kind];
  }

  async #run(): Promise<void> {
    for (
      let next = this.#waiting.shift();
      next !== undefined && !this.#closed;
      next = this.#waiting.shift()
    ) {
      this.#count -= next.ids.length;
      try {
        await this.#publish(next);
      } catch (error) {
        this.#parts.log.debug(
          { reason: reasonOf(error) },
          "live: a change by another process cannot be read",
        );
      }
    }
    this.#running = undefined;
  }

  async #publish({ kind, tenant, ids }: Announcement): Promise<void> {
    const { store, hub, incidentHub } = this.#parts;
    const name = kind === "judgements" ? "judgement" : undefined;
    if (kind !== "incidents" && hub.hears(tenant)) {
      for (const anomaly of await store.anomalies.some(tenant, ids, batch)) {
        publishAnomaly(hub, name ?? "anomaly", anomaly);
      }
    }
    if (kind !== "anomalies" && incidentHub.hears(tenant)) {
      for (const id of ids.slice(0, batch)) {
        const incident = await store.incidents.get(tenant, id);
        if (incident !== undefined) publishIncident(incidentHub, name ?? "incident", incident);
      }
    }
  }

  /** Publishes what has changed while nothing was heard, also what this process has published before. */
  async #publishSince(since: number): Promise<void> {
    const { store, hub, incidentHub, log } = this.#parts;
    const from = { time: since, id: "" };
    try {
      for (const tenant of hub.tenants()) {
        for (const anomaly of await store.anomalies.changedSince(tenant, from, batch)) {
          publishAnomaly(hub, "anomaly", anomaly);
        }
      }
      for (const tenant of incidentHub.tenants()) {
        for (const incident of await store.incidents.changedSince(tenant, from, batch)) {
          publishIncident(incidentHub, "incident", incident);
        }
      }
    } catch (error) {
      log.debug({ reason: reasonOf(error) }, "live: changes by other processes cannot be read");
    }
  }
}
