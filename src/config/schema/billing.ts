/** Where usage is reported so that it can be paid for, and what tenants have bought. */
import { z } from "zod";
import { tenantLimits } from "./access.ts";
import { type KeyMeta, section, url } from "./values.ts";

/** What usage is measured in. */
export const meters = ["requests", "records", "bytes"] as const;

const maxPlans = 100;

const secret = z
  .string()
  .min(1)
  .meta({ secret: true } satisfies KeyMeta);

const meterName = z.string().min(1).max(100).optional();

const plan = z.strictObject({
  name: z
    .string()
    .regex(/^[A-Za-z0-9_.-]{1,64}$/, "must be 1 to 64 letters, digits, dots, - or _, and unique"),
  prices: z.array(z.string().min(1).max(256)).min(1).max(20),
  limits: z.strictObject(tenantLimits).default({}),
});

export const billing = section({
  stripe: z
    .strictObject({
      api_key: secret.describe(
        "A secret or restricted key, which may write meter events and read subscriptions.",
      ),
      webhook_secret: secret.describe(
        "What messages of Stripe are signed with. They arrive at the address of the API and `/v1/billing/stripe`.",
      ),
      url: url
        .default("https://api.stripe.com")
        .describe("The address of Stripe's API, or of a proxy in front of it."),
    })
    .optional()
    .describe(
      "Reports usage to Stripe, and takes tenants' subscriptions from there. It needs the package `stripe`. The section may be left out; if it is present, `api_key` and `webhook_secret` are required.",
    ),
  meters: section({
    requests: meterName.describe("The name of the meter's events for accepted requests."),
    records: meterName.describe("The name of the meter's events for records of accepted requests."),
    bytes: meterName.describe(
      "The name of the meter's events for bytes of accepted requests, as protobuf, decompressed.",
    ),
  }).describe("What is reported. What has no name is not."),
  plans: z
    .array(plan)
    .max(maxPlans)
    .refine(
      (plans) => new Set(plans.map(({ name }) => name)).size === plans.length,
      "must have a different name each",
    )
    .refine((plans) => {
      const prices = plans.flatMap((each) => each.prices);
      return new Set(prices).size === prices.length;
    }, "must not share prices")
    .default([])
    .meta({
      expected:
        "a list of plans such as [{name: team, prices: [team-monthly], limits: {records_per_day: 100000000}}]",
    })
    .describe(
      "What a tenant gets for a price. `prices` are ids or lookup keys of prices. While a tenant's subscription has one of them, the plan's `limits` take the place of the section `limits`, except for `limits.streams`. A key that they do not set sets no limit. Other tenants have the section `limits`.",
    ),
}).describe("Reports of usage, and plans that tenants subscribe to. Off by default.");
