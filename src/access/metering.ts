/** Counts what tenants send: for their limits now, and for their days in the store. */
import type { Logger } from "pino";
import type { LimitsConfig } from "../config/schema.ts";
import type { Amount, Usage } from "../store/index.ts";
import { Days } from "./days.ts";
import { Limiter } from "./limits.ts";
import { SharedLimits, type SharingState } from "./shared-limits.ts";

export class Metering {
  readonly limiter: Limiter;
  readonly #usage: Pick<Usage, "add">;
  readonly #days: Days;
  readonly #shared: SharedLimits | undefined;

  constructor(limits: LimitsConfig, usage: Pick<Usage, "add" | "list">, log: Logger) {
    const { store } = limits;
    this.#usage = usage;
    this.#days = new Days(usage, log, { shared: store !== undefined });
    this.limiter = new Limiter(limits, (tenant) => this.#days.today(tenant));
    this.#shared = store === undefined ? undefined : new SharedLimits(store, this.limiter, this.#days, log);
  }

  /** Told what a request held, once it has been judged. */
  judged(tenant: string, { records, bytes }: Omit<Amount, "requests">): void {
    this.limiter.charge(tenant, { records, bytes });
  }

  /** Told of what was taken, so that it is not sent again. */
  taken(tenant: string, { records, bytes }: Omit<Amount, "requests">): void {
    this.#usage.add(tenant, { requests: 1, records, bytes });
    this.#days.add(tenant, { records, bytes });
  }

  /** Whether limits are shared with other processes at present; undefined if limits.store is not set. */
  sharing(): SharingState | undefined {
    return this.#shared?.state();
  }

  async close(): Promise<void> {
    await this.#shared?.close();
  }
}
