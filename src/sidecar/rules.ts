/** Follows what operators have set through the API: policies, which the engine applies, and silences. */

import { channelName, signalName } from "../anomaly/names.ts";
import { encodeReport, type Report } from "../anomaly/report.ts";
import { matcherOf } from "../base/pattern.ts";
import type { TenantPolicy } from "../config/schema/policy.ts";
import type { Engine } from "../engine/index.ts";
import type { Anomaly } from "../gen/driftlock/v1/anomaly_pb.js";
import { reasonOf, type Silence, type Store } from "../store/index.ts";
import type { Logger } from "../telemetry/log.ts";

/** How often changes by other processes are looked for. */
const refreshMs = 10_000;

/** A silence whose patterns are compiled. */
interface ReadySilence {
  silence: Silence;
  matches(anomaly: Anomaly): boolean;
}

export class Rules {
  readonly #store: Pick<Store, "policies" | "silences">;
  readonly #engine: Engine | undefined;
  readonly #log: Logger;
  readonly #timer: NodeJS.Timeout;
  /** The policies that the engine has, as JSON by tenant. */
  #policies = "";
  /** The silences that have not ended, by tenant, oldest first. */
  #silences = new Map<string, ReadySilence[]>();
  #failing = false;
  #running: Promise<void> = Promise.resolve();

  /** Applies what the store has. While the store is unavailable, the policies of the configuration apply alone. */
  static async start(store: Store, engine: Engine | undefined, log: Logger): Promise<Rules> {
    const rules = new Rules(store, engine, log);
    await rules.refresh();
    return rules;
  }

  private constructor(store: Store, engine: Engine | undefined, log: Logger) {
    this.#store = store;
    this.#engine = engine;
    this.#log = log;
    this.#timer = setInterval(() => void this.refresh(), refreshMs).unref();
  }

  /** Applies what the store has now. Calls follow one another. It never fails. */
  refresh(): Promise<void> {
    this.#running = this.#running.then(() => this.#refresh());
    return this.#running;
  }

  close(): void {
    clearInterval(this.#timer);
  }

  /** Marks a report with the silence that applies to it, if there is one. */
  silence(report: Report): Report | undefined {
    const own = this.#silences.get(report.message.tenant);
    if (own === undefined) return undefined;
    const now = this.#store.silences.now();
    const found = own.find(
      ({ silence, matches }) => silence.startsAt <= now && silence.endsAt > now && matches(report.message),
    );
    return found && encodeReport({ ...report.message, silencedBy: found.silence.id });
  }

  async #refresh(): Promise<void> {
    try {
      await this.#refreshPolicies();
      await this.#refreshSilences();
      if (this.#failing) this.#log.info("store: policies and silences are read again");
      this.#failing = false;
    } catch (error) {
      if (!this.#failing) {
        const reason = reasonOf(error);
        this.#log.warn({ reason }, "store: policies and silences cannot be read; they stay as they are");
      }
      this.#failing = true;
    }
  }

  async #refreshPolicies(): Promise<void> {
    if (this.#engine === undefined) return;
    const stored = await this.#store.policies.all();
    const before = this.#policies;
    const now = JSON.stringify([...stored]);
    if (now === before || (before === "" && stored.size === 0)) return;
    const policies = [...stored].map(
      ([tenant, json]) => [tenant, JSON.parse(json) as TenantPolicy[]] as const,
    );
    await this.#engine.setPolicies(new Map(policies));
    this.#policies = now;
  }

  async #refreshSilences(): Promise<void> {
    const open = (await this.#store.silences.open()).map(ready);
    this.#silences = Map.groupBy(open, ({ silence }) => silence.tenant);
  }
}

function ready(silence: Silence): ReadySilence {
  const { signal, service, stream, channels } = silence.match;
  const ofService = service === undefined ? undefined : matcherOf(service);
  const ofStream = stream === undefined ? undefined : matcherOf(stream);
  return {
    silence,
    matches: (anomaly) =>
      (signal === undefined || signalName(anomaly.signal) === signal) &&
      (ofService?.(anomaly.serviceName) ?? true) &&
      (ofStream?.(anomaly.stream) ?? true) &&
      (channels === undefined || channels.includes(channelName(anomaly.channel))),
  };
}
