/** Counts what tenants send, for their limits and for their daily usage in the store. */
import type { Logger } from "pino";
import type { LimitsConfig } from "../config/schema.ts";
import type { Amount, Usage } from "../store/index.ts";
import { Days } from "./days.ts";
import { Limiter, type LimitsOf } from "./limits.ts";
import { SharedLimits, type SharingState } from "./shared-limits.ts";

export class Metering {
  readonly limiter: Limiter;
  readonly #usage: Pick<Usage, "add">;
  readonly #days: Days;
  readonly #shared: SharedLimits | undefined;

  /** @param limitsOf what limits a tenant at present */
  constructor(
    { store }: Pick<LimitsConfig, "store">,
    limitsOf: LimitsOf,
    usage: Pick<Usage, "add" | "list">,
    log: Logger,
  ) {
    const shared = store !== undefined;
    this.#usage = usage;
    this.#days = new Days(usage, log, { shared });
    this.limiter = new Limiter(limitsOf, (tenant) => this.#days.today(tenant), { shared });
    this.#shared = store === undefined ? undefined : new SharedLimits(store, this.limiter, this.#days, log);
  }

  /** Charges the tenant for a request after it has been judged. */
  charge(tenant: string, { records, bytes }: Omit<Amount, "requests">): void {
    this.limiter.charge(tenant, { records, bytes });
  }

  /** Counts a request that was accepted, which its sender does not send again. */
  countAccepted(tenant: string, { records, bytes }: Omit<Amount, "requests">): void {
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
