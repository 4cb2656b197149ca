import type { Policy } from "../config/schema/policy.ts";
import type { EnginePolicy } from "../native.ts";

/** Returns a policy as the engine reads it. @param tenant the only tenant whose streams it is for */
export function toEnginePolicy(policy: Policy, tenant?: string): EnginePolicy {
  const { match, judge, budget, channels, ignore_fields, direction, min_deviation, min_count } = policy;
  const pattern = tenant ?? match.tenant;
  return {
    ...(match.signal !== undefined && { signal: match.signal }),
    ...(pattern !== undefined && { tenant: pattern }),
    ...(match.service !== undefined && { service: match.service }),
    ...(match.metric !== undefined && { metric: match.metric }),
    ...(match.stream !== undefined && { stream: match.stream }),
    ...(judge !== undefined && { judge }),
    ...(budget !== undefined && { alarmsPerDay: budget }),
    ...(channels !== undefined && { channels: [...channels] }),
    ...(ignore_fields !== undefined && { ignoreFields: [...ignore_fields] }),
    ...(direction !== undefined && { direction }),
    ...(typeof min_deviation === "number" && { minDeviation: min_deviation }),
    ...(typeof min_deviation === "string" && { minDeviationShare: Number.parseFloat(min_deviation) / 100 }),
    ...(min_count !== undefined && { minCount: min_count }),
  };
}
