/** What limits each tenant: the limits of its plan, or those of the configuration. */
import type { Logger } from "pino";
import type { Config, TenantLimits } from "../config/schema.ts";
import { type Billing, reasonOf } from "../store/index.ts";

/** How soon a change that another process has taken is in effect. */
const refreshMs = 10_000;

export class Plans {
  readonly #limits: TenantLimits;
  readonly #byName: ReadonlyMap<string, TenantLimits>;
  readonly #billing: Pick<Billing, "plans">;
  readonly #log: Logger;
  #plans: ReadonlyMap<string, string> = new Map();
  #timer: NodeJS.Timeout | undefined;
  #fails = false;

  private constructor(
    { limits, billing }: Pick<Config, "limits" | "billing">,
    store: Pick<Billing, "plans">,
    log: Logger,
  ) {
    this.#limits = limits;
    this.#byName = new Map(billing.plans.map((plan) => [plan.name, plan.limits]));
    this.#billing = store;
    this.#log = log;
  }

  static async start(
    config: Pick<Config, "limits" | "billing">,
    store: Pick<Billing, "plans">,
    log: Logger,
  ): Promise<Plans> {
    const plans = new Plans(config, store, log);
    if (plans.#byName.size > 0) {
      await plans.refresh();
      plans.#timer = setInterval(() => void plans.refresh(), refreshMs).unref();
    }
    return plans;
  }

  /** The name of the tenant's plan; undefined if it has none, or one that is no longer configured. */
  planOf(tenant: string): string | undefined {
    const name = this.#plans.get(tenant);
    return name !== undefined && this.#byName.has(name) ? name : undefined;
  }

  readonly limitsOf = (tenant: string): TenantLimits =>
    this.#byName.get(this.#plans.get(tenant) ?? "") ?? this.#limits;

  /** Reads the plans of all tenants. While the store is unavailable, those that are known apply. */
  async refresh(): Promise<void> {
    try {
      this.#plans = await this.#billing.plans();
      this.#fails = false;
    } catch (error) {
      if (!this.#fails)
        this.#log.warn({ reason: reasonOf(error) }, "billing: plans cannot be read from the store");
      this.#fails = true;
    }
  }

  close(): void {
    clearInterval(this.#timer);
  }
}
