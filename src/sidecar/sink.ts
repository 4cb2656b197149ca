/** Stores what workers found: anomalies, incidents, which are formed here, and the statistics of streams. */
import type { AnomalySink, Report } from "../anomaly/report.ts";
import { ServiceGraph } from "../api/service-graph.ts";
import { sums } from "../base/sums.ts";
import type { Config } from "../config/schema.ts";
import { IncidentFormer } from "../incidents/former.ts";
import type { Counts } from "../incidents/tenant.ts";
import type { Finding, Keeper } from "../kafka/index.ts";
import type { Store } from "../store/index.ts";
import type { Logger } from "../telemetry/log.ts";
import type { FormerState } from "./incident-state.ts";
import { type IncidentSink, Incidents } from "./incidents.ts";
import { InstallationBudget, type WithheldAlarms } from "./installation-budget.ts";
import type { Rules } from "./rules.ts";

export type Place = Parameters<Store["positions"]["read"]>[0];

/** Adds the statistics of a partition in the transactions that move its position, so that none is added twice. */
export class StatisticsKeeper implements Keeper {
  readonly #store: Store;
  readonly #place: Place;
  #at: bigint | undefined;

  constructor(store: Store, place: Place) {
    this.#store = store;
    this.#place = place;
  }

  async open(): Promise<bigint | undefined> {
    this.#at = (await this.#store.positions.read(this.#place))?.offset;
    return this.#at;
  }

  async keep(findings: readonly Finding[], offset: bigint): Promise<void> {
    const streams = findings.flatMap((found) => (found.kind === "statistics" ? found.streams : []));
    await this.#store.positions.advance(this.#place, this.#at, { offset, state: new Uint8Array() }, streams);
    this.#at = offset;
  }

  async close(): Promise<void> {}
}

export interface FindingsParts {
  config: Config;
  store: Store;
  rules: Rules;
  sinks: readonly IncidentSink[];
  /** Receive the reports that are not silenced; after a restart, some of them again. */
  notifiers: readonly AnomalySink[];
  /** Called for each report of which nobody is notified because a silence applies. */
  onSilenced(report: Report): void;
  withheld: WithheldAlarms;
  incidents: FormedIncidents;
  log: Logger;
}

const countsOf = ({ begun, minor, ended, merged, leftOut, late }: Counts): Counts => ({
  begun,
  minor,
  ended,
  merged,
  leftOut,
  late,
});

/** The incidents that a process forms, in whichever partitions it has. What those have counted that are gone is kept. */
export class FormedIncidents {
  readonly #formers = new Set<IncidentFormer>();
  #gone: Counts = { begun: 0, minor: 0, ended: 0, merged: 0, leftOut: 0, late: 0 };

  add(former: IncidentFormer): void {
    this.#formers.add(former);
  }

  remove(former: IncidentFormer): void {
    if (this.#formers.delete(former)) this.#gone = sums([this.#gone, countsOf(former.stats())]);
  }

  stats() {
    const all = [...this.#formers].map((former) => former.stats());
    return {
      ...sums([this.#gone, ...all.map(countsOf)]),
      openBySeverity: sums(all.map(({ openBySeverity }) => openBySeverity)),
    };
  }
}

/**
 * Stores the findings of a partition, which has all of its tenants. Its position moves with the state from which incidents go on. What
 * was stored after that is found again and stored again, with the same ids, which changes nothing.
 */
export class FindingsKeeper implements Keeper {
  readonly #parts: FindingsParts;
  readonly #budget: InstallationBudget;
  readonly #state: PartitionState;
  #incidents: Incidents | undefined;

  constructor(parts: FindingsParts, place: Place) {
    this.#parts = parts;
    const { incidents, detect } = parts.config;
    const former = new IncidentFormer({
      perTenantPerDay: incidents.budget.per_tenant_per_day,
      seed: BigInt(detect.seed),
    });
    this.#budget = new InstallationBudget(parts.config, parts.store.alarmBudgets, parts.withheld);
    this.#state = new PartitionState(former, parts.store, place);
  }

  async open(): Promise<bigint | undefined> {
    const { store, rules, sinks, incidents, log } = this.#parts;
    this.#incidents = await Incidents.start({
      former: this.#state.former,
      state: this.#state,
      graph: new ServiceGraph(),
      store,
      sinks,
      silencedBy: (incident) => rules.silenceOf(incident),
      byOwner: true,
      log,
    });
    incidents.add(this.#state.former);
    this.#state.onSave = () => this.#incidents!.handOn();
    return this.#state.saved;
  }

  async keep(findings: readonly Finding[], offset: bigint): Promise<void> {
    const { store, rules, notifiers, onSilenced } = this.#parts;
    const reported = await this.#budget.apply(findings);
    for (const found of reported) {
      if (found.kind === "anomaly") {
        const silenced = rules.silence(found.report);
        if (silenced !== undefined) onSilenced(found.report);
        else for (const notify of notifiers) notify(found.report);
        store.writer.offer(silenced ?? found.report);
      }
      if (found.kind === "notable") store.notable.offer(found.report);
      if (found.kind === "evidence") this.#incidents!.add(found.page);
      if (found.kind === "calls") for (const call of found.page.calls) store.llm.offer(call);
    }
    // Without a pause since the first of them, so that the state never has findings beyond the position.
    await this.#state.reach(offset);
  }

  /** Applies what a person has decided about an incident of one of the partition's tenants. */
  judge(...decision: Parameters<Incidents["judge"]>): void {
    this.#incidents?.judge(...decision);
  }

  async close(): Promise<void> {
    this.#parts.incidents.remove(this.#state.former);
    await this.#incidents?.close();
  }
}

/** How often the position moves at least while there are findings. */
const saveMs = 1_000;

/** The state of the incidents of a partition, in the database. */
class PartitionState implements FormerState {
  readonly former: IncidentFormer;
  readonly #store: Store;
  readonly #place: Place;
  #savedAt = performance.now();
  #saving: Promise<void> = Promise.resolve();
  #failure: unknown;
  /** The offset up to which the former has everything. */
  #reached: bigint | undefined;
  /** The offset that is saved. */
  saved: bigint | undefined;
  packingMs = 0;
  /** Called before a state is saved: whatever was formed must be on its way by then. */
  onSave = () => {};

  constructor(former: IncidentFormer, store: Store, place: Place) {
    this.former = former;
    this.#store = store;
    this.#place = place;
  }

  async load(): Promise<void> {
    const position = await this.#store.positions.read(this.#place);
    if (position === undefined) return;
    this.saved = position.offset;
    this.#reached = position.offset;
    if (position.state.length > 0 && !this.former.restore(position.state)) {
      throw new Error(
        "the state of incidents in the store is damaged, or another version of Driftlock wrote it; delete the table's row in log_positions, and incidents begin anew",
      );
    }
  }

  /**
   * Notes that the former has everything before an offset, and saves that from time to time.
   * @throws {Error} if it could not be saved: whoever goes on must load what is saved.
   */
  async reach(offset: bigint): Promise<void> {
    this.#reached = offset;
    const pause = Math.max(saveMs, 30 * this.packingMs);
    if (this.saved === undefined || performance.now() - this.#savedAt >= pause) await this.save();
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Saves the position with the state once what is on its way is stored. It never fails: `reach` does. */
  save(): Promise<void> {
    this.#saving = this.#saving.then(() =>
      this.#save().catch((error) => {
        this.#failure = error;
      }),
    );
    return this.#saving;
  }

  async #save(): Promise<void> {
    const reached = this.#reached;
    if (reached === undefined || this.#failure !== undefined) return;
    this.#savedAt = performance.now();
    this.onSave();
    const state = this.former.snapshot();
    this.packingMs = performance.now() - this.#savedAt;
    const { writer, incidentWriter, notable, llm, positions } = this.#store;
    await Promise.all([writer.flush(), incidentWriter.flush(), notable.flush(), llm.flush()]);
    await positions.advance(this.#place, this.saved, { offset: reached, state });
    this.saved = reached;
  }
}
