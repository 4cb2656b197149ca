/** What a newcomer sees in the first five minutes of `make run`, judged without waiting. */
import { expect, it } from "vitest";
import { runDemo } from "../../bench/quality/operator/demo.ts";

it.each(["a", "b"])("the demo with seed %s reports its anomalies, and little else", async (seed) => {
  const { found, falseAlarms } = await runDemo(`test/${seed}`);
  expect([...found.keys()]).toEqual(
    expect.arrayContaining(["new-error", "secret-leak", "latency", "new-field", "silence", "missing-span"]),
  );
  expect(falseAlarms.length).toBeLessThanOrEqual(2);
});
