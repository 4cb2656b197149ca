import { expect, test } from "vitest";
import { channelName, channelNames } from "../../src/anomaly/names.ts";
import { parseConfig } from "../../src/config/load.ts";
import { type Policy, policy } from "../../src/config/schema/policy.ts";
import { Engine } from "../../src/engine/index.ts";
import { begin, lines, points, type Request, second, spans } from "./faults.ts";
import { logsRequest, normalLine, random, strangeLine } from "./requests.ts";

const detect = (policies: object[] = []) =>
  parseConfig({ detect: { policies, baseline: { records: 200 }, threads: 2 } }).detect;

/** Judges requests, and returns what was flagged in the last of them, as channels. */
async function flagged(requests: Request[], policies: object[] = []) {
  const engine = new Engine(detect(policies), { mode: "all" });
  let last: Awaited<ReturnType<Engine["process"]>> | undefined;
  for (const { signal, body } of requests) last = await engine.process(signal, "default", body);
  const { streams } = await engine.statistics(10);
  await engine.close();
  const channels = last!.anomalies.map(({ channel }) => channelName(channel));
  return { ...last!, channels, streams };
}

test("without policies, each of the faults is flagged", async () => {
  expect((await flagged(lines(strangeLine()))).channels).toEqual(["content"]);
  expect((await flagged(points(400))).channels).toEqual(["value"]);
  expect((await flagged(points(-200))).channels).toEqual(["value"]);
  expect((await flagged(spans(900))).channels).toEqual(["value"]);
});

test.each([
  [{ signal: "logs" }],
  [{ service: "sh*" }],
  [{ service: "sho?" }],
  [{ stream: "logs service.name=*" }],
  [{ tenant: "default", stream: "*shop" }],
  [{}],
])("a stream that %j matches passes unjudged, and is counted", async (match) => {
  const { channels, excluded, records, streams } = await flagged(lines(strangeLine()), [
    { match, judge: false },
  ]);
  expect({ channels, excluded, records }).toEqual({ channels: [], excluded: 1, records: 1 });
  expect(streams).toMatchObject([{ state: "excluded", records: 601n }]);
});

test.each([
  [{ signal: "metrics" }],
  [{ service: "Shop" }],
  [{ service: "sho" }],
  [{ metric: "*.*" }],
  [{ tenant: "defaul?s" }],
  [{ signal: "logs", service: "basket" }],
])("a stream that %j does not match is judged", async (match) => {
  const { channels, excluded } = await flagged(lines(strangeLine()), [{ match, judge: false }]);
  expect({ channels, excluded }).toEqual({ channels: ["content"], excluded: 0 });
});

test("the first policy that matches decides", async () => {
  const first = { match: { service: "shop" }, channels: ["content"] };
  const { channels } = await flagged(lines(strangeLine()), [first, { match: {}, judge: false }]);
  expect(channels).toEqual(["content"]);
});

test("channels that are not allowed raise no alarm", async () => {
  const channels = ["volume", "sequence", "fields"];
  expect((await flagged(lines(strangeLine()), [{ match: {}, channels }])).channels).toEqual([]);
  expect((await flagged(points(400), [{ match: {}, channels }])).channels).toEqual([]);
  expect((await flagged(spans(900), [{ match: {}, channels }])).channels).toEqual([]);
  expect((await flagged(points(400), [{ match: {}, channels: ["value"] }])).channels).toEqual(["value"]);
});

test("a direction keeps the other side quiet, in values and durations", async () => {
  const towards = (direction: string, requests: Request[]) =>
    flagged(requests, [{ match: {}, direction }]).then(({ channels }) => channels);
  expect(await towards("up", points(400))).toEqual(["value"]);
  expect(await towards("down", points(400))).toEqual([]);
  expect(await towards("up", points(-200))).toEqual([]);
  expect(await towards("down", points(-200))).toEqual(["value"]);
  expect(await towards("up", spans(900))).toEqual(["value"]);
  expect(await towards("down", spans(900))).toEqual([]);
  expect(await towards("down", lines(strangeLine()))).toEqual(["content"]);
});

test("a deviation must be as large as the policy says", async () => {
  const least = (min_deviation: number | string, requests: Request[]) =>
    flagged(requests, [
      { match: { metric: "queue.*" }, min_deviation },
      { match: { signal: "traces" }, min_deviation },
    ]);
  expect((await least(200, points(400))).channels).toEqual(["value"]);
  expect((await least(400, points(400))).channels).toEqual([]);
  expect((await least("100 %", points(400))).channels).toEqual(["value"]);
  expect((await least("900%", points(400))).channels).toEqual([]);
  // Durations are in milliseconds.
  expect((await least(500, spans(900))).channels).toEqual(["value"]);
  expect((await least(1_000, spans(900))).channels).toEqual([]);
});

test("an ignored field is neither judged nor shown", async () => {
  const odd = {
    ...normalLine(random(1)),
    attributes: { "http.response.status_code": 200, "build.id": "zebra-quux-42-omega-flamingo" },
  };
  const seen = await flagged(lines(odd));
  expect(seen.channels).toEqual(["content"]);
  expect(seen.anomalies[0]!.record!.text).toContain("build.id=zebra");
  const ignore = [{ match: { signal: "logs" }, ignore_fields: ["build.id"] }];
  expect((await flagged(lines(odd), ignore)).channels).toEqual([]);
  const other = await flagged(lines({ ...strangeLine(), attributes: { "build.id": "zebra" } }), ignore);
  expect(other.channels).toEqual(["content"]);
  expect(other.anomalies[0]!.record!.text).not.toContain("zebra");
  const body = await flagged(lines(strangeLine()), [
    { match: {}, ignore_fields: ["body"], channels: ["content"] },
  ]);
  expect(body.anomalies.every(({ record }) => !record!.text.includes("Hikari"))).toBe(true);
});

test("a stream with a budget of its own raises as many alarms as that allows", async () => {
  // Each fault is of its own kind, half an hour apart, so that each is an anomaly by itself.
  const next = random(5);
  const requests = lines();
  for (let i = 0; i < 40; i++) {
    const time = begin + BigInt(1_800 * (i + 1)) * second;
    const fault = `${["disk", "mutex", "socket", "page"][i % 4]} fault ${"abcdefghijklmnopqrstuvwxyz".repeat(2).slice(i % 26, (i % 26) + 20)} happened unexpectedly in ring ${i}`;
    requests.push({ signal: "logs", body: logsRequest([{ ...strangeLine(), body: fault, time }]) });
    const usual = Array.from({ length: 20 }, (_, j) => ({
      ...normalLine(next),
      time: time + BigInt(60 * (j + 1)) * second,
    }));
    requests.push({ signal: "logs", body: logsRequest(usual) });
  }
  const alarms = async (policies: object[]) => {
    const engine = new Engine(detect(policies), { mode: "all" });
    const ids = new Set<string>();
    for (const { signal, body } of requests) {
      for (const { id } of (await engine.process(signal, "default", body)).anomalies) ids.add(id);
    }
    await engine.close();
    return ids.size;
  };
  const usual = await alarms([]);
  expect(await alarms([{ match: { signal: "logs" }, budget: 1_000 }])).toBeGreaterThan(2 * usual);
});

test("a burst needs as many records as the policy says", async () => {
  const next = random(6);
  const at = (seconds: number, count: number) =>
    logsRequest(
      Array.from({ length: count }, (_, i) => ({
        ...normalLine(next),
        time: begin + BigInt(seconds) * second + BigInt(i) * 1_000_000n,
      })),
    );
  // Twenty minutes of two lines per second, a burst, and a line by which its tick has ended.
  const bodies = [...Array.from({ length: 1_200 }, (_, i) => at(i, 2)), at(1_201, 500), at(1_211, 1)];
  const requests = bodies.map((body): Request => ({ signal: "logs", body }));
  const of = (decisions: object) =>
    flagged(requests, [{ match: {}, ...decisions }]).then(({ channels }) => channels);
  expect(await of({})).toEqual(["volume"]);
  expect(await of({ min_count: 10 })).toEqual(["volume"]);
  expect(await of({ min_count: 10_000 })).toEqual([]);
  expect(await of({ direction: "down" })).toEqual([]);
});

test("policies of a tenant come before those of the configuration, take effect at once, and survive a snapshot", async () => {
  const engine = new Engine(detect([{ match: {}, channels: ["volume"] }]), { mode: "all" });
  for (const { signal, body } of lines()) await engine.process(signal, "default", body);
  const last = lines(strangeLine()).at(-1)!;
  const learning = () => engine.stats().learning;
  const fresh = logsRequest([{ ...normalLine(random(2), "basket"), time: begin }]);
  await engine.process("logs", "default", fresh);
  expect(learning()).toBe(1);
  await engine.setPolicies(
    new Map([["default", [policy.parse({ match: { service: "basket" }, judge: false })]]]),
  );
  expect(learning()).toBe(0);
  await engine.setPolicies(new Map());
  expect(learning()).toBe(1);
  const judge = async (tenants: Record<string, Policy[]>, from = engine) => {
    await from.setPolicies(new Map(Object.entries(tenants)));
    const { excluded, anomalies } = await from.process("logs", "default", Buffer.from(last.body));
    return { excluded, anomalies: anomalies.length };
  };
  expect(await judge({ default: [policy.parse({ match: {}, judge: false })] })).toEqual({
    excluded: 1,
    anomalies: 0,
  });
  expect(await judge({ other: [policy.parse({ match: {}, judge: false })] })).toEqual({
    excluded: 0,
    anomalies: 0,
  });
  const restored = new Engine(detect(), { mode: "all" });
  expect(await restored.restore(await engine.snapshot())).toBe(true);
  expect(await judge({ default: [policy.parse({ match: {}, judge: false })] }, restored)).toMatchObject({
    excluded: 1,
  });
  await engine.close();
  await restored.close();
});

test("policies change nothing where they decide nothing", async () => {
  const requests = [...lines(strangeLine()), ...points(400), ...spans(900)];
  const run = async (policies: object[], threads: number) => {
    const engine = new Engine({ ...detect(policies), threads }, { mode: "all", scores: true });
    const scores: number[] = [];
    for (const { signal, body } of requests)
      scores.push(...(await engine.process(signal, "default", body)).scores!);
    await engine.close();
    return scores;
  };
  const plain = await run([], 1);
  expect(await run([{ match: {}, direction: "both" }], 4)).toEqual(plain);
  expect(await run([{ match: {}, judge: true, channels: [...channelNames] }], 2)).toEqual(plain);
});

test("a channel that was left out goes on learning, so that nothing is strange when it is judged again", async () => {
  const kinds = [
    ["login", "list", "open", "logout"],
    ["login", "search", "open", "logout"],
    // Sessions of this kind begin while the channel is left out.
    ["login", "import", "check", "store", "logout"],
  ];
  const engine = new Engine(detect(), { mode: "all", scores: true });
  const next = random(5);
  let time = begin;
  const judge = async (session: number, steps: readonly string[]) => {
    const own = steps.map((body) => {
      time += second;
      return { body, attributes: { "session.id": `s${session}` }, time };
    });
    time += 40n * second;
    const { scores } = await engine.process("logs", "default", logsRequest(own));
    return Math.max(...scores!.filter((_, i) => i % 4 === 0));
  };
  for (let session = 0; session < 300; session++) await judge(session, kinds[session % 2]!);
  const leftOut = policy.parse({ match: {}, channels: ["volume"] });
  await engine.setPolicies(new Map([["default", [leftOut]]]));
  for (let session = 300; session < 800; session++) await judge(session, kinds[Math.floor(3 * next())]!);
  await engine.setPolicies(new Map());
  const usual: number[] = [];
  for (let session = 800; session < 900; session++) {
    usual.push(await judge(session, kinds[Math.floor(3 * next())]!));
  }
  const broken = await judge(900, ["login", "logout", "store", "list"]);
  await engine.close();
  expect(Math.max(...usual)).toBeLessThan(1);
  expect(broken).toBeGreaterThan(2);
});
