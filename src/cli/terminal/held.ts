import { type Anomaly, State } from "../../gen/driftlock/v1/anomaly_pb.js";

/** Maximum number of anomalies that wait. */
const maxHeld = 1_000;

/** Anomalies that wait for an incident, in the order of their first reports. */
export class HeldAnomalies {
  readonly #held = new Map<string, { anomaly: Anomaly; until: number }>();

  /** Holds an anomaly with news. @returns false if the report is to be shown now, since its anomaly does not wait */
  add(anomaly: Anomaly, until: number): boolean {
    const { id, tenant, state, news } = anomaly;
    const key = `${tenant}\0${id}`;
    const known = this.#held.get(key);
    if (known !== undefined) {
      // Later news replace earlier ones, which they include.
      if (state === State.OPEN && news) known.anomaly = anomaly;
      return true;
    }
    if (state !== State.OPEN || !news || this.#held.size >= maxHeld) return false;
    this.#held.set(key, { anomaly, until });
    return true;
  }

  /** Removes and returns those with the given ids. */
  take(ids: ReadonlySet<string>): Anomaly[] {
    return this.#remove(({ anomaly }) => ids.has(anomaly.id));
  }

  /** Removes and returns those that have waited until now. */
  expired(now: number): Anomaly[] {
    return this.#remove(({ until }) => until <= now);
  }

  #remove(matches: (held: { anomaly: Anomaly; until: number }) => boolean): Anomaly[] {
    const found = [...this.#held].filter(([, held]) => matches(held));
    for (const [key] of found) this.#held.delete(key);
    return found.map(([, { anomaly }]) => anomaly);
  }
}
