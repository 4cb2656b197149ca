/** Reports usage to Stripe as meter events, and reads subscriptions from there. */
import type Stripe from "stripe";
import type { BillingConfig } from "../config/schema.ts";
import type { Subscription, UsageEvent } from "../store/index.ts";
import { type BillingProvider, ForgedMessage, planOf, ReportError } from "./provider.ts";

type StripeConfig = NonNullable<BillingConfig["stripe"]>;

const timeoutMs = 20_000;
/** The name of a subscription's metadata that holds the tenant. */
const tenantKey = "driftlock_tenant";
/** Statuses in which a subscription is in force. One that is past due is: Stripe retries the payment. */
const inForce: ReadonlySet<string> = new Set(["active", "trialing", "past_due"]);

/** @throws {Error} that names the key and the remedy. */
export async function createStripe({
  stripe: config,
  ...billing
}: BillingConfig & { stripe: StripeConfig }): Promise<BillingProvider> {
  const { default: Client } = await import("stripe").catch(() => {
    throw new Error("billing.stripe: the package stripe is not installed; run npm install stripe");
  });
  const { protocol, hostname, port } = new URL(config.url);
  const client = new Client(config.api_key, {
    protocol: protocol === "http:" ? "http" : "https",
    host: hostname,
    port: port || (protocol === "http:" ? 80 : 443),
    timeout: timeoutMs,
    // The outbox repeats what fails.
    maxNetworkRetries: 0,
    telemetry: false,
    appInfo: { name: "Driftlock" },
  });
  return new StripeBilling(client, config.webhook_secret, billing, Client.errors);
}

class StripeBilling implements BillingProvider {
  readonly name = "stripe";
  readonly #client: Stripe;
  readonly #secret: string;
  readonly #billing: Omit<BillingConfig, "stripe">;
  readonly #errors: typeof Stripe.errors;

  constructor(
    client: Stripe,
    secret: string,
    billing: Omit<BillingConfig, "stripe">,
    errors: typeof Stripe.errors,
  ) {
    this.#client = client;
    this.#secret = secret;
    this.#billing = billing;
    this.#errors = errors;
  }

  async report({ id, customer, meter, time, value }: UsageEvent): Promise<void> {
    try {
      await this.#client.billing.meterEvents.create({
        event_name: this.#billing.meters[meter]!,
        identifier: id,
        timestamp: Math.floor(time / 1_000),
        payload: { stripe_customer_id: customer, value: String(value) },
      });
    } catch (error) {
      const { message } = error as Error;
      // There is no code for it.
      if (/already exists with identifier/.test(message)) return;
      throw new ReportError(message, this.#outcomeOf(error));
    }
  }

  async received(
    body: Buffer,
    header: (name: string) => string | undefined,
  ): Promise<Subscription | undefined> {
    let event: Stripe.Event;
    try {
      event = await this.#client.webhooks.constructEventAsync(
        body,
        header("stripe-signature") ?? "",
        this.#secret,
      );
    } catch (error) {
      throw new ForgedMessage((error as Error).message.split("\n", 1)[0]);
    }
    if (!event.type.startsWith("customer.subscription.")) return undefined;
    const { id } = event.data.object as Stripe.Subscription;
    const { metadata, customer, items, status } = await this.#client.subscriptions.retrieve(id);
    const tenant = metadata[tenantKey];
    if (tenant === undefined) return undefined;
    const prices = items.data.flatMap(({ price }) => [price.id, price.lookup_key ?? ""]);
    return {
      tenant,
      id,
      customer: typeof customer === "string" ? customer : customer.id,
      plan: planOf(this.#billing.plans, prices),
      active: inForce.has(status),
    };
  }

  #outcomeOf(error: unknown): ReportError["outcome"] {
    const { StripeInvalidRequestError, StripeError } = this.#errors;
    if (error instanceof StripeInvalidRequestError) return "refused";
    // Without permission, or if there are too many requests, nothing was taken, and this may change.
    const status = error instanceof StripeError ? (error.statusCode ?? 500) : 500;
    return status >= 400 && status < 500 ? "not taken" : "unclear";
  }
}
