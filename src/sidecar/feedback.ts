/**
 * Lets streams learn from what people decide about anomalies and incidents. The decisions are read from the store, whichever process has
 * taken them, and those that a crash has undone are applied again after it.
 */
import type { AnomalySink } from "../anomaly/report.ts";
import type { Engine } from "../engine/index.ts";
import { type IncidentDetail, type Judgement, reasonOf, type Store } from "../store/index.ts";
import type { Logger } from "../telemetry/log.ts";
import type { Incidents } from "./incidents.ts";

export interface FeedbackParts {
  engine: Pick<Engine, "accept" | "reject" | "tolerate">;
  /** Undefined if no incidents are formed. */
  incidents: Pick<Incidents, "judge"> | undefined;
  store: Pick<Store, "judgements" | "incidents">;
  /** Receives the reports of anomalies that have ended. */
  emit: AnomalySink;
  log: Logger;
}

/** How often decisions of other processes are looked for, besides whenever one is announced. */
const refreshMs = 10_000;
/** Clocks of machines differ, and a decision is stored somewhat later than its time says. */
const overlapMs = 10_000;
const page = 1_000;

export class Feedback {
  readonly #parts: FeedbackParts;
  readonly #timer: NodeJS.Timeout;
  /** The time of the latest decision that was read. */
  #latest: number;
  /** Those that were applied since shortly before it, with their times. */
  readonly #applied = new Map<string, number>();
  #running: Promise<void> | undefined;
  #again = false;
  #fails = false;

  /** @param since the time of what the engine has learned, in milliseconds since 1970; decisions after it are applied */
  constructor(parts: FeedbackParts, since: number) {
    this.#parts = parts;
    this.#latest = since;
    this.#timer = setInterval(() => void this.refresh(), refreshMs).unref();
    void this.refresh();
  }

  /** Applies what was decided since the last call. It never fails. */
  async refresh(): Promise<void> {
    if (this.#running !== undefined) {
      // What is read now may be older than what the caller knows of.
      this.#again = true;
      return this.#running;
    }
    this.#running = this.#run().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#running;
  }

  async #run(): Promise<void> {
    do {
      this.#again = false;
      try {
        await this.#readAll();
        this.#fails = false;
      } catch (error) {
        if (!this.#fails) {
          const reason = reasonOf(error);
          this.#parts.log.warn(
            { reason },
            "store: decisions about anomalies cannot be read; they are applied later",
          );
        }
        this.#fails = true;
      }
    } while (this.#again);
  }

  async #readAll(): Promise<void> {
    for (let from = this.#latest - overlapMs; ; ) {
      const found = await this.#parts.store.judgements.since(from, page);
      for (const judgement of found) await this.#applyOnce(judgement);
      const last = found.at(-1)?.time ?? from;
      if (found.length < page || last === from) break;
      from = last;
    }
    for (const [key, time] of this.#applied) {
      if (time < this.#latest - overlapMs) this.#applied.delete(key);
    }
  }

  async #applyOnce(judgement: Judgement): Promise<void> {
    const { about, tenant, id, seq, time } = judgement;
    const key = `${about}\0${tenant}\0${id}\0${seq}`;
    if (this.#applied.has(key)) return;
    this.#applied.set(key, time);
    // A clock that is ahead must not hide what others decide.
    this.#latest = Math.max(this.#latest, Math.min(time, Date.now()));
    if (about === "anomaly") await this.#applyToAnomaly(judgement);
    else await this.#applyToIncident(judgement);
  }

  async #applyToAnomaly({ tenant, id, state }: Judgement): Promise<void> {
    if (state !== "accepted" && state !== "false") return;
    const { engine, emit, log } = this.#parts;
    try {
      const { found, ended } = await (state === "accepted"
        ? engine.accept(tenant, id)
        : engine.reject(tenant, id));
      const fields = { tenant, anomaly: id, state };
      if (!found) log.info(fields, "no stream remembers the anomaly: its limits stay as they are");
      if (ended) emit(ended);
    } catch (err) {
      log.error({ err, tenant, anomaly: id }, "feedback on the anomaly could not be applied");
    }
  }

  async #applyToIncident({ tenant, id, state, author }: Judgement): Promise<void> {
    // Expectations are followed by `Incidents`.
    if (state !== "acknowledged" && state !== "resolved" && state !== "false") return;
    const { engine, incidents, store, emit, log } = this.#parts;
    const incident = await store.incidents.get(tenant, id);
    if (incident === undefined) return;
    incidents?.judge(incident, { state, author });
    if (state === "false") await rejectIncident(engine, incident, emit, log);
  }
}

/** Lets all streams of an incident's evidence learn that it was none, also those whose evidence a budget withheld. */
export async function rejectIncident(
  engine: FeedbackParts["engine"],
  { message: { tenant, id, members }, anomalyIds }: IncidentDetail,
  emit: AnomalySink,
  log: Logger,
): Promise<void> {
  let applied = 0;
  try {
    for (const anomaly of anomalyIds) {
      const { found, ended } = await engine.reject(tenant, anomaly);
      if (found) applied += 1;
      if (ended) emit(ended);
    }
    let withheld = 0;
    for (const { stream, channel, score, anomalyIds: own } of members) {
      if (own.length > 0 || !(score > 0)) continue;
      if (await engine.tolerate(tenant, stream, channel, score)) withheld += 1;
    }
    const fields = { tenant, incident: id, anomalies: anomalyIds.length, applied, withheld };
    log.info(fields, "the limits of the incident's streams were adapted");
  } catch (err) {
    log.error({ err, tenant, incident: id }, "feedback on the incident could not be applied");
  }
}
