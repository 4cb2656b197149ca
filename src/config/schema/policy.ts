/** Policies of streams: how operators say what matters. The configuration and the API share their form. */
import { z } from "zod";

/** Names of the channels, as in driftlock.v1. */
export const channelNames = [
  "content",
  "sequence",
  "volume",
  "value",
  "fields",
  "shift",
  "novelty",
  "group",
] as const;

const pattern = z.string().min(1).max(256);

/** Which streams a policy is for: those that match everything that is set. */
export const policyMatch = z.strictObject({
  signal: z.enum(["logs", "traces", "metrics"]).optional().describe("The signal of the stream."),
  service: pattern.optional().describe("A pattern of the resource's `service.name`."),
  metric: pattern.optional().describe("A pattern of the metric's name."),
  stream: pattern
    .optional()
    .describe("A pattern of the stream's whole name, such as `logs service.name=check*`."),
});

const percentage = z
  .string()
  .max(32)
  .regex(/^\d{1,6}(\.\d+)?\s*%$/, "must be a number or a percentage such as 20%");

const decisions = {
  judge: z
    .boolean()
    .optional()
    .describe("If false, the records pass without a verdict and are counted. True by default."),
  budget: z
    .number()
    .positive()
    .max(1e6)
    .optional()
    .describe(
      "The number of alarms per day of each of these streams. They then have no part in the budget of their resource groups.",
    ),
  channels: z
    .array(z.enum(channelNames))
    .min(1)
    .max(channelNames.length)
    .optional()
    .describe("The channels that may raise alarms. All by default."),
  ignore_fields: z
    .array(z.string().min(1).max(256))
    .max(64)
    .optional()
    .describe(
      "Keys of fields that are neither judged nor shown, such as attribute keys; `body` and `name` are the text of a log record and the name of a span.",
    ),
  direction: z
    .enum(["up", "down", "both"])
    .optional()
    .describe(
      "The side of the usual range on which values, durations and numbers of records raise alarms. Both by default.",
    ),
  min_deviation: z
    .union([z.number().positive().max(1e300), percentage])
    .optional()
    .describe(
      "How far values and durations must be beyond their usual range: a number in the unit of the metric, or in milliseconds for spans, or a share of the end of the range, such as `20%`.",
    ),
  min_count: z
    .number()
    .positive()
    .max(1e9)
    .optional()
    .describe("The number of records that a burst must have, or that must be usual where they are missing."),
};

/** A policy that the API takes, for streams of the caller's tenant. */
export const tenantPolicy = z.strictObject({ match: policyMatch, ...decisions });
/** A policy of the configuration. */
export const policy = z.strictObject({
  match: policyMatch.extend({ tenant: pattern.optional().describe("A pattern of the tenant.") }),
  ...decisions,
});

export type TenantPolicy = z.output<typeof tenantPolicy>;
export type Policy = z.output<typeof policy>;

/** The largest number of policies of the configuration, and of each tenant. */
export const maxPolicies = 100;
