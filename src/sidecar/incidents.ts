/** Forms incidents from the engine's evidence, keeps them over restarts, and hands them on. */
import { setTimeout as sleep } from "node:timers/promises";
import type { ServiceGraph } from "../api/service-graph.ts";
import type { Change, EvidencePage, Incident } from "../gen/driftlock/v1/incidents_pb.js";
import type { IncidentFormer } from "../incidents/former.ts";
import type { IncidentDetail, IncidentPatch, Store } from "../store/index.ts";
import { reasonOf } from "../store/index.ts";
import type { Logger } from "../telemetry/log.ts";
import type { FormerState } from "./incident-state.ts";

/** Receives each incident that has begun, grown, ended or become part of another one. It returns quickly and never throws. */
export type IncidentSink = (incident: Incident) => void;

interface Expected {
  tenant: string;
  id: string;
  /** In milliseconds since 1970. */
  until: number;
}

interface Parts {
  former: IncidentFormer;
  state: FormerState;
  graph: ServiceGraph;
  store: Pick<Store, "incidents" | "incidentWriter">;
  sinks: readonly IncidentSink[];
  /** Returns the silence that applies to all members of an incident; undefined if there is none. */
  silencedBy(incident: Incident): string | undefined;
  /**
   * Whether the owner calls `handOn` before the state is saved, because what was formed since then is formed again after a crash. By
   * default the state is saved first, and everything is handed on once it is.
   */
  byOwner?: boolean;
  log: Logger;
}

/** The least time between two saves of the state, and as a multiple of the time for which packing it holds the event loop. */
const pauseMs = 1_000;
const pauseShare = 30;
/** How often decisions by other processes are looked for. */
const refreshMs = 10_000;
/** How often the state is saved although no incident has changed: what is usual changes as well. */
const saveMs = 300_000;

const nanosOf = (ms: number) => BigInt(ms) * 1_000_000n;

export class Incidents {
  readonly #parts: Parts;
  /** The latest revisions that are handed on once the state that includes them is saved, by tenant and id. */
  #pending = new Map<string, Incident>();
  #publishing: Promise<void> | undefined;
  readonly #closing = new AbortController();
  /** The expectations that the former has, by tenant and incident, with their ends. */
  readonly #expected = new Map<string, Expected>();
  #refreshing = false;
  #failing = false;
  readonly #timers: NodeJS.Timeout[];

  /** Continues from the state that was saved last. */
  static async start(parts: Parts): Promise<Incidents> {
    await parts.state.load();
    const incidents = new Incidents(parts);
    await incidents.#refresh();
    return incidents;
  }

  private constructor(parts: Parts) {
    this.#parts = parts;
    this.#timers = [
      setInterval(() => void this.#refresh(), refreshMs).unref(),
      setInterval(() => void parts.state.save(), saveMs).unref(),
    ];
  }

  /** Takes the evidence of a call to the engine, in the order of calls. */
  readonly add = (page: EvidencePage): void => {
    const { former, graph, store } = this.#parts;
    for (const tick of page.ticks) graph.add(tick);
    if (page.changes.length > 0) store.incidentWriter.offer({ incidents: [], changes: page.changes });
    this.#take(former.add(page));
  };

  /** Takes a change that was posted and stored. */
  readonly post = (change: Change): void => this.#take(this.#parts.former.post(change));

  /** Applies what a person has decided. */
  judge({ message }: IncidentDetail, patch: IncidentPatch): void {
    const { former } = this.#parts;
    const key = keyOf(message);
    if (patch.state !== "expected" && this.#expected.delete(key)) former.withdraw(message.tenant, message.id);
    if (patch.state === "withdrawn") return;
    const until = patch.state === "expected" ? patch.until : undefined;
    if (until !== undefined) this.#expected.set(key, { tenant: message.tenant, id: message.id, until });
    this.#take(former.judge(message, patch.state, until === undefined ? undefined : nanosOf(until)));
  }

  /** Hands on what was formed, at once. */
  handOn(): void {
    const batch = this.#pending;
    this.#pending = new Map();
    for (const incident of batch.values()) this.#handOn(incident);
  }

  /** Hands on what was formed, and saves the state. */
  async close(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer);
    this.#closing.abort();
    await this.#publishing;
    await this.#parts.state.save();
  }

  #take(incidents: readonly Incident[]): void {
    for (const incident of incidents) this.#pending.set(keyOf(incident), incident);
    if (this.#pending.size > 0 && !this.#parts.byOwner) this.#publishing ??= this.#publish();
  }

  /**
   * Saves the state before anybody learns of an incident in it: after a crash, each incident that somebody knows goes on, and has
   * its end.
   */
  async #publish(): Promise<void> {
    while (this.#pending.size > 0) {
      const batch = this.#pending;
      this.#pending = new Map();
      await this.#parts.state.save();
      for (const incident of batch.values()) this.#handOn(incident);
      const ms = Math.max(pauseMs, pauseShare * this.#parts.state.packingMs);
      await sleep(ms, undefined, { ref: false, signal: this.#closing.signal }).catch(() => {});
    }
    this.#publishing = undefined;
  }

  #handOn(incident: Incident): void {
    const { silencedBy, store, sinks } = this.#parts;
    const silence = silencedBy(incident);
    const marked = silence === undefined ? incident : { ...incident, silencedBy: silence };
    store.incidentWriter.offer({ incidents: [marked], changes: [] });
    for (const sink of sinks) sink(marked);
  }

  /** Follows the expectations in the store, which other processes set as well. It never fails. */
  async #refresh(): Promise<void> {
    if (this.#refreshing) return;
    this.#refreshing = true;
    const { former, store, log } = this.#parts;
    try {
      // What a person decides meanwhile may not be among what is read.
      const before = [...this.#expected];
      const stored = await store.incidents.expectations();
      const now = store.incidents.now();
      const found = new Set(stored.map(({ incident }) => keyOf(incident)));
      for (const [key, { tenant, id, until }] of before) {
        if (found.has(key)) continue;
        this.#expected.delete(key);
        if (until > now) former.withdraw(tenant, id);
      }
      for (const { incident, until } of stored) {
        const { tenant, id } = incident;
        if (this.#expected.get(keyOf(incident))?.until === until) continue;
        this.#expected.set(keyOf(incident), { tenant, id, until });
        this.#take(former.judge(incident, "expected", nanosOf(until)));
      }
      this.#failing = false;
    } catch (error) {
      const reason = reasonOf(error);
      if (!this.#failing) log.warn({ reason }, "store: expectations cannot be read; they stay as they are");
      this.#failing = true;
    } finally {
      this.#refreshing = false;
    }
  }
}

function keyOf({ tenant, id }: { tenant: string; id: string }): string {
  return `${tenant}\0${id}`;
}
