import { expect, test } from "vitest";
import { configSchema } from "../../src/config/schema.ts";
import { Engine } from "../../src/engine/index.ts";
import { logsRequest, normalLine, random } from "./requests.ts";

/** Counts the anomalies that the streams of one tenant report, each some time after the one before. */
async function told(clock: (() => number) | undefined, hoursApart: number): Promise<number> {
  const { detect } = configSchema.parse({
    detect: { baseline: { records: 200 }, budget: { per_process_per_day: 2 } },
  });
  const engine = new Engine(detect, { mode: "all", ...(clock ? { clock } : {}) });
  const next = random(7);
  let time = 1_760_000_000_000_000_000n;
  const lines = (service: string, count: number) =>
    Array.from({ length: count }, () => {
      time += 1_000_000n;
      return { ...normalLine(next, service), time };
    });
  const services = Array.from({ length: 8 }, (_, i) => `service-${i}`);
  for (const service of services) await engine.process("logs", "default", logsRequest(lines(service, 400)));
  let count = 0;
  for (const [i, service] of services.entries()) {
    time += BigInt(hoursApart) * 3_600_000_000_000n;
    // Senders determine the time: the requests need enough records for it to be believed.
    const batch = lines(service, 20);
    const letter = String.fromCharCode(0x61 + i);
    const body = `FATAL quorum of ${letter.repeat(12)} lost, giving up on ${letter.repeat(20)} shards now`;
    batch.push({ ...batch.at(-1)!, body, severity: 21 });
    const { reports } = await engine.process("logs", "default", logsRequest(batch));
    count += reports.filter(({ message }) => message.occurrence === 1n).length;
  }
  await engine.close();
  return count;
}

test("the budget of the process runs on the receiver's clock, whatever time senders tell", async () => {
  let ms = 1_000;
  expect(await told(() => ++ms, 24)).toBe(2);
  expect(await told(undefined, 24)).toBeGreaterThan(4);
});
