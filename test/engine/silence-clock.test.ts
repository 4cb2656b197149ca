import { afterEach, expect, test } from "vitest";
import { configSchema } from "../../src/config/schema.ts";
import { Engine, SilenceClock } from "../../src/engine/index.ts";
import { type Anomaly, Channel, State } from "../../src/gen/driftlock/v1/anomaly_pb.js";
import { logsRequest, normalLine, random } from "./requests.ts";

const start = 1_790_000_000n;
const engines: Engine[] = [];

afterEach(async () => {
  for (const engine of engines.splice(0)) await engine.close();
});

/** Two tenants that send every 5 s of event time, for half a day. */
async function speaking() {
  const { detect } = configSchema.parse({ detect: { baseline: { records: 400 }, permutations: 0 } });
  const engine = new Engine(detect, { mode: "all" });
  engines.push(engine);
  const told: Anomaly[] = [];
  const clock = new SilenceClock(engine, ({ anomalies }) => told.push(...anomalies), {
    error(details) {
      throw new Error("a step failed", { cause: details });
    },
  });
  const next = random(7);
  let seconds = 0n;
  const say = async (tenant: string, at = seconds) => {
    clock.touch(tenant);
    const line = { ...normalLine(next, tenant), service: tenant, time: (start + at) * 1_000_000_000n };
    return engine.process("logs", tenant, logsRequest([line]));
  };
  for (; seconds < 43_200n; seconds += 5n) for (const tenant of ["a", "b"]) await say(tenant);
  const steps = async (count: number, before?: () => void) => {
    for (let i = 0; i < count; i++) {
      before?.();
      await clock.step();
    }
  };
  await steps(1);
  told.length = 0;
  return { clock, told, say, steps };
}

test("a tenant that says nothing for long is missed, once, until it comes back", async () => {
  const { clock, told, say, steps } = await speaking();
  await steps(150, () => clock.touch("b"));
  expect(told).toHaveLength(1);
  const [silence] = told;
  expect(silence).toMatchObject({ tenant: "a", channel: Channel.VOLUME, occurrence: 1n, state: State.OPEN });
  expect(silence!.record).toBeUndefined();
  expect(silence!.explanation).toMatch(/^No records for \d+ (s|min); usually one every (4\.9|5|5\.1) s; /);
  expect(silence!.endTimeUnixNano - silence!.startTimeUnixNano).toBeGreaterThanOrEqual(45_000_000_000n);
  await steps(150);
  expect(told.map(({ tenant }) => tenant)).toEqual(["a", "b"]);

  const [report] = (await say("a", 45_000n)).reports;
  const over = report!.message;
  expect(over).toMatchObject({ id: silence!.id, state: State.ENDED });
  expect(over.explanation).toBe("Records come again: the silence is over");
});

test("time counts from the first request on, and not while requests are refused", async () => {
  const { clock, told, steps } = await speaking();
  await steps(200, () => clock.refused());
  expect(told).toEqual([]);

  const idle = new SilenceClock(engines[0]!, ({ anomalies }) => told.push(...anomalies), { error() {} });
  for (let i = 0; i < 200; i++) await idle.step();
  expect(told).toEqual([]);
});

test("only a time that can pass at once is taken", async () => {
  await speaking();
  for (const ms of [0, -1, 60_001, Number.NaN])
    await expect(engines[0]!.advance(ms)).rejects.toThrow(/^ms must be a number from 1 to 60000/);
});
