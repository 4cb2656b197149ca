import type { BillingConfig } from "../config/schema.ts";
import type { Subscription, UsageEvent } from "../store/index.ts";

/** A service that takes payment for usage. Another one than Stripe takes its place by this interface. */
export interface BillingProvider {
  /** The name as messages and the audit log show it. */
  readonly name: string;
  /**
   * Reports an event. One that the provider has taken before, by its id, counts as reported.
   * @throws {ReportError}
   */
  report(event: UsageEvent): Promise<void>;
  /**
   * Returns the subscription that a message of the provider is about, as it is now and not as it was when the message was sent, so that
   * messages may arrive in any order and more than once. Undefined if the message is about something else.
   * @throws {ForgedMessage} if the provider has not sent it
   */
  received(body: Buffer, header: (name: string) => string | undefined): Promise<Subscription | undefined>;
}

export class ReportError extends Error {
  /** `refused`: it would never be taken. `not taken`: it may be sent again. `unclear`: it may have been taken. */
  readonly outcome: "refused" | "not taken" | "unclear";

  constructor(message: string, outcome: ReportError["outcome"]) {
    super(message);
    this.outcome = outcome;
  }
}

export class ForgedMessage extends Error {}

/** Returns the name of the plan that has one of the prices, each by its id or lookup key. */
export function planOf(plans: BillingConfig["plans"], prices: readonly string[]): string | undefined {
  return plans.find((plan) => plan.prices.some((price) => prices.includes(price)))?.name;
}
