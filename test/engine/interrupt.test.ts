import { expect, test } from "vitest";
import { channelName } from "../../src/anomaly/names.ts";
import { configSchema } from "../../src/config/schema.ts";
import { Engine } from "../../src/engine/index.ts";
import { type Line, logsRequest, normalLine, random } from "./requests.ts";

const second = 1_000_000_000n;
const hour = 3_600n * second;
const begin = 1_790_000_000n * second;

const config = configSchema.parse({
  detect: { baseline: { records: 600 }, budget: { per_stream_per_day: 1_000 } },
});

/** A request per second of ten usual lines, and of three steps of a session each that takes three seconds. */
function* usual(from: bigint, seconds: number, next: () => number): Generator<Buffer> {
  const steps = ["basket opened", "address checked", "order placed"];
  for (let i = 0; i < seconds; i++) {
    const time = from + BigInt(i) * second;
    const lines: Line[] = Array.from({ length: 10 }, () => ({ ...normalLine(next), time }));
    for (const [age, body] of steps.entries()) {
      if (i < age) continue;
      lines.push({ body, time, service: "sessions", attributes: { "session.id": `${from}-${i - age}` } });
    }
    yield logsRequest(lines);
  }
}

/** Lets an engine learn ten minutes, ends them as `pause` says, and returns what it reports of the time a day later. */
async function reportsAfter(pause: (engine: Engine) => Promise<unknown>): Promise<string[]> {
  const engine = new Engine(config.detect, { mode: "all" });
  const next = random(1);
  for (const request of usual(begin, 600, next)) await engine.process("logs", "default", request);
  await pause(engine);
  const reports: string[] = [];
  for (const request of usual(begin + 24n * hour, 120, next)) {
    const judged = await engine.process("logs", "default", request);
    reports.push(...judged.anomalies.map(({ channel, stream }) => `${channelName(channel)} ${stream}`));
  }
  await engine.close();
  return reports;
}

test("a day without Driftlock is neither a silence nor a lot of broken sessions", async () => {
  const missed = await reportsAfter(async () => {});
  expect(missed).toContain("volume logs service.name=shop");
  expect(missed).toContain("sequence logs service.name=sessions");
  expect(await reportsAfter((engine) => engine.interrupt({ resumes: true }))).toEqual([]);
  expect(await reportsAfter((engine) => engine.interrupt({ resumes: false }))).toEqual([]);
});

test("a stream that does not go on is silent only if it was expected to", async () => {
  const silentAfter = async (resumes: boolean) => {
    const engine = new Engine(config.detect, { mode: "all" });
    const next = random(2);
    for (const request of usual(begin, 600, next)) await engine.process("logs", "default", request);
    await engine.interrupt({ resumes });
    const silent: string[] = [];
    for (let i = 0; i < 120; i++) {
      const time = begin + hour + BigInt(i) * 10n * second;
      const lines = Array.from({ length: 100 }, () => ({ ...normalLine(next), time }));
      const { anomalies } = await engine.process("logs", "default", logsRequest(lines));
      silent.push(
        ...anomalies.filter(({ explanation }) => /no records/i.test(explanation)).map(({ stream }) => stream),
      );
    }
    await engine.close();
    return silent;
  };
  expect(await silentAfter(true)).toEqual(["logs service.name=sessions"]);
  expect(await silentAfter(false)).toEqual([]);
});

test("what an interruption dropped is no part of a snapshot", async () => {
  const one = new Engine(config.detect, { mode: "all" });
  const next = random(3);
  for (const request of usual(begin, 100, next)) await one.process("logs", "default", request);
  await one.interrupt({ resumes: true });
  const two = new Engine(config.detect, { mode: "all" });
  expect(await two.restore(await one.snapshot())).toBe(true);
  for (const request of usual(begin + hour, 60, next)) {
    const [first, second] = await Promise.all([
      one.process("logs", "default", request),
      two.process("logs", "default", Buffer.from(request)),
    ]);
    expect(second.anomalies).toEqual(first.anomalies);
  }
  expect(await two.snapshot()).toEqual(await one.snapshot());
  await one.close();
  await two.close();
});
