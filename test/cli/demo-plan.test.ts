/** What a newcomer sees in the first minutes of `make run`, judged without waiting. */
import { expect, it } from "vitest";
import { runDemo } from "../../bench/quality/operator/demo.ts";
import { plan } from "../../scripts/demo-plan.ts";

it.each(["a", "b"])("the demo with seed %s reports its anomalies, and little else", async (seed) => {
  const { found, falseAlarms, incidents } = await runDemo(`test/${seed}`);
  expect([...found.keys()]).toEqual(
    expect.arrayContaining(["new-error", "secret-leak", "latency", "new-field", "silence", "missing-span"]),
  );
  expect(falseAlarms.length).toBeLessThanOrEqual(2);

  // The latency becomes one incident, whose cause is known before anything else goes wrong.
  const [latency, next] = plan;
  const first = incidents.filter(({ at }) => at < next!.start);
  expect(new Set(first.map(({ incident }) => incident.id)).size).toBe(1);
  expect(first[0]!.at).toBeGreaterThanOrEqual(latency!.start);
  expect(first.at(-1)!.incident).toMatchObject({
    minor: false,
    services: expect.arrayContaining(["frontend", "inventory", "stock"]),
    sentence: expect.stringContaining("the cause seems to be stock, which took"),
  });
});
