/** What a tenant has subscribed to, and the messages by which the provider of billing tells of changes. */
import type { ZodTypeProvider } from "fastify-type-provider-zod";
import type { Logger } from "pino";
import { z } from "zod";
import { type BillingProvider, ForgedMessage, type Plans } from "../billing/index.ts";
import type { TenantLimits } from "../config/schema.ts";
import { examples } from "../json/examples.ts";
import { isUnavailable, type Store } from "../store/index.ts";
import type { App } from "./app.ts";
import { guarded, problems } from "./openapi.ts";
import { ApiError } from "./problem.ts";
import { noParameters } from "./query.ts";

export interface BillingOptions {
  store: Store;
  plans: Plans;
  /** Undefined if usage is not billed. */
  billing?: BillingProvider | undefined;
  log: Logger;
}

/** Maximum size of a message. */
const maxMessage = 256 * 2 ** 10;

const limit = z.number().int().positive().optional();

const planSchema = z
  .object({
    plan: z
      .string()
      .nullable()
      .describe("The name of the plan; null if the tenant has the limits of all tenants"),
    subscribed: z
      .boolean()
      .describe("Whether a subscription is in force, so that usage is reported for payment"),
    limits: z
      .object({
        requests_per_second: limit,
        records_per_second: limit,
        bytes_per_second: limit,
        records_per_day: limit,
        bytes_per_day: limit,
      } satisfies Record<keyof TenantLimits, typeof limit>)
      .describe("What limits the tenant. A limit that is missing is not set"),
  })
  .meta({ id: "Plan", description: "The tenant's plan and limits", examples: [examples.plan] });

export function billingRoutes(app: App, { store, plans, billing, log }: BillingOptions): void {
  app.get(
    "/v1/plan",
    {
      config: { scope: "read" },
      schema: {
        tags: ["tenant"],
        security: [{ bearer: [] }],
        operationId: "getPlan",
        summary: "The tenant's plan and limits",
        querystring: noParameters,
        response: { 200: planSchema.describe("The plan and the limits"), ...problems(...guarded, 503) },
      },
    },
    async ({ principal: { tenant } }) => {
      const subscription = await store.billing.subscription(tenant);
      return {
        plan: plans.planOf(tenant) ?? null,
        subscribed: subscription?.active ?? false,
        limits: plans.limitsOf(tenant),
      };
    },
  );
  if (billing === undefined) return;

  // The route has a scope of its own, since the signature is of the body's bytes.
  app.register(async (scope) => {
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser("*", { parseAs: "buffer" }, (_request, body, done) => done(null, body));
    scope.withTypeProvider<ZodTypeProvider>().route({
      method: "POST",
      url: `/v1/billing/${billing.name}`,
      bodyLimit: maxMessage,
      schema: { hide: true },
      handler: async ({ body, headers }) => {
        const message = Buffer.isBuffer(body) ? body : Buffer.alloc(0);
        try {
          const subscription = await billing.received(message, (name) => {
            const value = headers[name];
            return Array.isArray(value) ? value[0] : value;
          });
          if (subscription === undefined) return {};
          const { tenant, id, plan, active } = subscription;
          if (await store.billing.subscribe(subscription, billing.name)) {
            log.info({ tenant, subscription: id, plan, active }, "billing: a subscription has changed");
            await plans.refresh();
          }
          return {};
        } catch (error) {
          if (error instanceof ForgedMessage) {
            throw new ApiError(
              400,
              `the message is not signed by billing.${billing.name}.webhook_secret: ${error.message}`,
            );
          }
          if (isUnavailable(error)) throw error;
          const reason = (error as Error).message;
          log.warn(
            { reason },
            "billing: a message about a subscription cannot be processed; it will be sent again",
          );
          throw new ApiError(503, "the subscription cannot be read or stored now", { "retry-after": "60" });
        }
      },
    });
  });
}
