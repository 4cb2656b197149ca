/** Reports usage to a provider of billing, and gives tenants the limits that they pay for. */
export { Plans } from "./plans.ts";
export { type BillingProvider, ForgedMessage } from "./provider.ts";
export { UsageReporter } from "./reporter.ts";
export { createStripe } from "./stripe.ts";
