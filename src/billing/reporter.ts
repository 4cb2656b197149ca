/** Collects usage every hour, and reports it. */
import type { Logger } from "pino";
import type { Billing, Meter, UnsentEvents, UsageEvent } from "../store/index.ts";
import { reasonOf } from "../store/index.ts";
import { type BillingProvider, ReportError } from "./provider.ts";

export interface ReporterParts {
  provider: BillingProvider;
  billing: Pick<Billing, "collect" | "claim" | "settle" | "postpone" | "unsent" | "clean" | "now">;
  meters: readonly Meter[];
  log: Logger;
}

const tickMs = 10_000;
const hourMs = 3_600_000;
const claimed = 100;
/** The number of customers to whom events are reported at once. Stripe takes one event of a customer and meter at a time. */
const parallel = 4;
const leaseMs = 300_000;
const firstRetryMs = 30_000;
const maxRetryMs = hourMs;
/** Providers notice a repeated event for a day: an hour less leaves time for the attempt. */
const repeatableMs = 23 * hourMs;

export class UsageReporter {
  readonly #parts: ReporterParts;
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;
  #collectedHour = -1;
  #closing = false;
  #failing = false;
  #unsent: UnsentEvents | undefined;

  constructor(parts: ReporterParts) {
    this.#parts = parts;
  }

  /** The number of events that were not sent, by state, as of about ten seconds ago. */
  get unsent(): UnsentEvents | undefined {
    return this.#unsent;
  }

  start(): void {
    this.#timer = setInterval(() => void this.tick(), tickMs).unref();
    void this.tick();
  }

  /** Collects what was used if an hour has begun, and reports what is due. It never fails. */
  tick(): Promise<void> {
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  /** What was not reported is reported after the next start. */
  async close(): Promise<void> {
    this.#closing = true;
    clearInterval(this.#timer);
    await this.#running;
  }

  async #run(): Promise<void> {
    const { billing, meters } = this.#parts;
    try {
      const hour = Math.floor(billing.now() / hourMs);
      if (hour !== this.#collectedHour) {
        await billing.collect(meters);
        await billing.clean();
        this.#collectedHour = hour;
      }
      for (let more = true; more && !this.#closing; ) {
        const events = await billing.claim({ limit: claimed, leaseMs });
        await this.#reportAll(events);
        more = events.length === claimed;
      }
      this.#unsent = await billing.unsent();
    } catch (error) {
      this.#failed(reasonOf(error));
    }
  }

  async #reportAll(events: readonly UsageEvent[]): Promise<void> {
    const byCustomer = [...Map.groupBy(events, ({ customer }) => customer).values()];
    const work = async () => {
      for (let own = byCustomer.pop(); own !== undefined; own = byCustomer.pop()) {
        for (const event of own) await this.#report(event);
      }
    };
    await Promise.all(Array.from({ length: parallel }, work));
  }

  async #report(event: UsageEvent): Promise<void> {
    const { provider, billing, log } = this.#parts;
    const now = billing.now();
    if (this.#closing) return billing.postpone(event, { until: now, taken: false });
    const { id, tenant, unclearSince } = event;
    if (unclearSince !== undefined && now - unclearSince > repeatableMs) {
      log.error(
        { event: id, tenant },
        `billing: ${provider.name} may or may not have this event; see driftlock usage`,
      );
      return billing.settle(event, "unclear");
    }
    try {
      await provider.report(event);
    } catch (error) {
      const { message, outcome } =
        error instanceof ReportError ? error : new ReportError(String(error), "unclear");
      if (outcome === "refused") {
        log.error({ event: id, tenant, reason: message }, `billing: ${provider.name} refuses an event`);
        return billing.settle(event, "refused");
      }
      this.#failed(message);
      const until = now + Math.min(firstRetryMs * 2 ** Math.min(event.attempts, 20), maxRetryMs);
      return billing.postpone(event, { until, taken: outcome === "unclear" });
    }
    if (this.#failing) log.info("billing: usage is reported again");
    this.#failing = false;
    return billing.settle(event, "sent");
  }

  #failed(reason: string): void {
    if (!this.#failing) this.#parts.log.warn({ reason }, "billing: usage cannot be reported; it is retried");
    this.#failing = true;
  }
}
