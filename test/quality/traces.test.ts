/** The guard of what the bench measures in full: are rare altered traces found at the default budget? */
import { expect, test } from "vitest";
import { faults } from "../../bench/quality/orders.ts";
import { rareIncidents } from "../../bench/quality/spans.ts";

test.each(faults)("finds rare traces with an altered %s", { timeout: 120_000 }, async (fault) => {
  const { incidents, found, falseAlarms, streamDays } = await rareIncidents(fault);
  expect(incidents).toBe(33);
  expect(found / incidents).toBeGreaterThanOrEqual(0.95);
  expect(falseAlarms).toBeLessThanOrEqual(streamDays / 2);
});
