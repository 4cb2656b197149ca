/** Follows what operators have set through the API: policies, which the engine applies, and silences. */

import { encodeReport, type Report } from "../anomaly/report.ts";
import type { TenantPolicy } from "../config/schema/policy.ts";
import type { ConfiguredSilence } from "../config/schema/silence.ts";
import type { Engine } from "../engine/index.ts";
import type { Incident } from "../gen/driftlock/v1/incidents_pb.js";
import { reasonOf, type Silence, type Store } from "../store/index.ts";
import type { Logger } from "../telemetry/log.ts";
import { Silences } from "./silences.ts";

/** How often changes by other processes are looked for. */
const refreshMs = 10_000;

interface Parts {
  store: Pick<Store, "policies" | "silences">;
  engine: Pick<Engine, "setPolicies"> | undefined;
  /** The silences of the configuration. */
  silences: readonly ConfiguredSilence[];
  log: Logger;
}

export class Rules {
  readonly #store: Pick<Store, "policies" | "silences">;
  readonly #engine: Pick<Engine, "setPolicies"> | undefined;
  readonly #log: Logger;
  readonly #timer: NodeJS.Timeout;
  /** The policies that the engine has, as JSON by tenant. */
  #policies = "";
  readonly #silences: Silences;
  #failing = false;
  #running: Promise<void> = Promise.resolve();

  /** Applies what the store has. While the store is unavailable, what the configuration says applies alone. */
  static async start(parts: Parts): Promise<Rules> {
    const rules = new Rules(parts);
    await rules.refresh();
    return rules;
  }

  private constructor({ store, engine, silences, log }: Parts) {
    this.#store = store;
    this.#engine = engine;
    this.#log = log;
    this.#silences = new Silences(silences, store.silences.now());
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
    const { message } = report;
    const found = this.#silences.find(message.tenant, message, this.#store.silences.now());
    // The recording is no part of the message.
    return found && { ...report, ...encodeReport({ ...report.message, silencedBy: found.id }) };
  }

  /** Returns the silence of an incident, which is silenced if each of its members is: the one of the first. */
  silenceOf({ tenant, members }: Incident): string | undefined {
    const now = this.#store.silences.now();
    const found = members.map((member) => this.#silences.find(tenant, member, now));
    return found.every((silence) => silence !== undefined) ? found[0]?.id : undefined;
  }

  /** Returns the silences of the configuration that are for a tenant. */
  configuredSilences(tenant: string): Silence[] {
    return this.#silences.configured(tenant);
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
    this.#silences.replace(await this.#store.silences.open());
  }
}
