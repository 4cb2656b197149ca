import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import fc from "fast-check";
import { expect, test } from "vitest";
import { type AnomalyEvent, Driftlock, type DriftlockOptions } from "../../src/sdk/index.ts";

const start = Date.parse("2026-01-31T12:00:00Z");
const detect = { baseline: { records: 200 } };

/** Pushes usual records of one service, one per second. */
function pushUsual(driftlock: Driftlock, records: number, from = 0): void {
  for (let i = from; i < from + records; i++) {
    driftlock.logs.push({
      body: `order ${(i * 7919) % 10_007} paid in ${(i * 31) % 97} ms`,
      time: start + i * 1_000,
    });
  }
}

const strange = { body: "ledger refused: fencing token is stale, replay of mandate denied" };
const pushStrange = (driftlock: Driftlock, at: number) =>
  driftlock.logs.push({ ...strange, time: start + at * 1_000 });

/** Collects the events and the errors of an instance. */
function collecting(options: DriftlockOptions = {}) {
  const events: AnomalyEvent[] = [];
  const errors: Error[] = [];
  const driftlock = new Driftlock({
    service: "shop",
    detect,
    onAnomaly: (event) => events.push(event),
    onError: (error) => errors.push(error),
    ...options,
  });
  return { driftlock, events, errors };
}

test("what is strange in pushed log records is reported, and counted", async () => {
  const { driftlock, events, errors } = collecting();
  pushUsual(driftlock, 600);
  pushStrange(driftlock, 600);
  await driftlock.flush();
  expect(events).toHaveLength(1);
  expect(events[0]).toMatchObject({
    stream: "logs service.name=shop",
    service: "shop",
    signal: "logs",
    channel: "content",
    state: "open",
    occurrence: 1,
    text: expect.stringContaining("fencing token"),
    time: BigInt(start + 600_000) * 1_000_000n,
  });
  const { accepted, judged, flagged, reports, dropped, pendingBytes, engine } = driftlock.stats();
  expect({ accepted, judged, flagged, reports, pendingBytes }).toEqual({
    accepted: 601,
    judged: 601,
    flagged: 1,
    reports: 1,
    pendingBytes: 0,
  });
  expect(dropped).toEqual({ full: 0, invalid: 0, closed: 0, failed: 0 });
  expect(engine?.streams).toBe(1);
  await driftlock.close();
  expect(errors).toEqual([]);
});

test("each text, metric and name of spans has its stream", async () => {
  const { driftlock } = collecting();
  driftlock.text("orders", "order 1 paid");
  driftlock.text("payments", "card accepted");
  driftlock.value("queue.length", 3);
  driftlock.value("queue.length", 4, { queue: "mail" });
  driftlock.span({ name: "GET /cart", kind: "server", duration: 12, attributes: { "http.route": "/cart" } });
  await driftlock.flush();
  expect(driftlock.stats()).toMatchObject({ judged: 5, errors: 0, engine: { streams: 5 } });
  await driftlock.close();
});

test("what was learned goes on in another instance", async () => {
  const first = collecting();
  pushUsual(first.driftlock, 600);
  const snapshot = await first.driftlock.snapshot();
  await first.driftlock.close();

  const second = collecting();
  expect(await second.driftlock.restore(snapshot)).toBe(true);
  pushStrange(second.driftlock, 600);
  await second.driftlock.close();
  expect(second.events.map(({ channel }) => channel)).toEqual(["content"]);

  const third = collecting();
  expect(await third.driftlock.restore(Buffer.from("no snapshot"))).toBe(false);
  await third.driftlock.close();
});

test("whatever is pushed, nothing is thrown, and everything is counted", async () => {
  const { driftlock } = collecting();
  let pushed = 0;
  const deep: unknown[] = [];
  deep.push(deep);
  const hostile = fc.oneof(
    fc.anything({ withBigInt: true, withDate: true, withTypedArray: true }),
    fc.constant(deep),
    // What no text can be made of.
    fc.constant({ toString: 0 }),
  );
  fc.assert(
    fc.property(hostile, hostile, hostile, (a, b, c) => {
      driftlock.logs.push(a as never);
      driftlock.logs.push({ body: a, attributes: { b, c }, severity: b, time: c } as never);
      driftlock.text(a as never, b as never);
      driftlock.value(a as never, b as never, c as never);
      driftlock.span(a as never);
      driftlock.span({ name: a, duration: b, attributes: { c }, traceId: a, spanId: c } as never);
      pushed += 6;
    }),
    { numRuns: 200 },
  );
  await driftlock.close();
  const { accepted, judged, dropped } = driftlock.stats();
  expect(dropped).toMatchObject({ full: 0, closed: 0, failed: 0 });
  expect(accepted + dropped.invalid).toBe(pushed);
  expect(judged).toBe(accepted);
});

test("records beyond the bound are dropped and counted, and so are those after the end", async () => {
  const { driftlock } = collecting({ maxPendingBytes: 10_000 });
  pushUsual(driftlock, 1_000);
  const { accepted, dropped, pendingBytes } = driftlock.stats();
  expect(accepted + dropped.full).toBe(1_000);
  expect(dropped.full).toBeGreaterThan(0);
  expect(pendingBytes).toBeLessThan(10_200);
  await driftlock.close();
  driftlock.text("orders", "too late");
  expect(driftlock.stats()).toMatchObject({ judged: accepted, dropped: { closed: 1 }, pendingBytes: 0 });
  await driftlock.close();
});

test("options that cannot be used reject `ready`, and drop what is pushed", async () => {
  const { driftlock, errors } = collecting({ detect: { budgt: {} } as never });
  driftlock.text("orders", "order 1 paid");
  await driftlock.flush();
  await expect(driftlock.ready()).rejects.toMatchObject({ code: "ERR_DRIFTLOCK_CONFIG" });
  expect(errors.map(({ message }) => message)).toEqual([expect.stringContaining("budgt")]);
  expect(driftlock.stats().dropped.failed).toBe(1);
  await driftlock.close();
});

test("listeners that fail are errors of theirs", async () => {
  const { driftlock, errors } = collecting({
    onAnomaly: () => {
      throw new Error("at once");
    },
  });
  driftlock.on("anomaly", async () => {
    throw new Error("later");
  });
  const removed = driftlock.on("anomaly", () => expect.unreachable());
  removed();
  pushUsual(driftlock, 600);
  pushStrange(driftlock, 600);
  await driftlock.close();
  expect(errors.map(({ message }) => message)).toEqual(["at once", "later"]);
  expect(driftlock.stats().errors).toBe(2);
});

test("an observed function does what it does, and each call is a span", async () => {
  const { driftlock } = collecting();
  const add = driftlock.observe(function (this: { base: number }, n: number) {
    return this.base + n;
  }, "add");
  expect(add.call({ base: 40 }, 2)).toBe(42);
  const failing = driftlock.observe((text: string) => {
    throw new TypeError(text);
  }, "failing");
  expect(() => failing("no")).toThrow(new TypeError("no"));
  const later = driftlock.observe(async (text: string) => {
    if (text === "no") throw new RangeError(text);
    return text;
  });
  await expect(later("yes")).resolves.toBe("yes");
  await expect(later("no")).rejects.toThrow(new RangeError("no"));
  await driftlock.flush();
  expect(driftlock.stats().judged).toBe(4);
  await driftlock.close();
});

/** Runs a program that uses the package by its sources. */
const program = (text: string) =>
  promisify(execFile)(
    process.execPath,
    ["--disable-warning=ExperimentalWarning", "--input-type=module", "--eval", text],
    { cwd: fileURLToPath(new URL("../..", import.meta.url)) },
  );

const usual = `
  import { Driftlock } from "./src/sdk/index.ts";
  const driftlock = new Driftlock({ detect: { baseline: { records: 200 } }, onAnomaly: ({ text }) => console.log(text) });
  for (let i = 0; i < 600; i++) driftlock.text("orders", \`order \${i * 7919 % 10007} paid in \${i * 31 % 97} ms\`);
  driftlock.text("orders", "ledger refused: fencing token is stale, replay of mandate denied");
`;

test("what waits is judged before the process ends, which nothing else keeps alive", async () => {
  const { stdout } = await program(usual);
  expect(stdout).toContain("ledger refused");
});

test("process.exit ends the process at once, whatever is pending", async () => {
  // The engine's threads may be anywhere at that moment.
  for (let ms = 1; ms <= 12; ms += 1) {
    const { stdout, stderr } = await program(`${usual} setTimeout(() => process.exit(0), ${ms});`);
    expect(stderr).toBe("");
    expect(stdout.length).toBeLessThan(200);
  }
});

test("a worker that is terminated while its calls are pending ends alone", async () => {
  const worker = `${usual}
    import { parentPort } from "node:worker_threads";
    await driftlock.ready();
    const fill = () => { for (let i = 0; i < 5000; i++) driftlock.text("orders", "order " + i + " paid"); setImmediate(fill); };
    fill();
    parentPort.postMessage("busy");`;
  const { stdout, stderr } = await program(`
    import { once } from "node:events";
    import { Worker } from "node:worker_threads";
    const url = new URL("data:text/javascript," + encodeURIComponent(${JSON.stringify(worker)}.replaceAll("./src/", import.meta.url.replace(/[^/]*$/, "") + "src/")));
    ${usual}
    for (let i = 0; i < 3; i++) {
      const busy = new Worker(url);
      await once(busy, "message");
      await new Promise((resolve) => setTimeout(resolve, i * 15));
      await busy.terminate();
    }
    await driftlock.close();
    console.log(driftlock.stats().judged);`);
  expect(stderr).toBe("");
  expect(stdout).toMatch(/ledger refused.*\n601\n$/);
});

test("processes of a cluster have each its own", async () => {
  const file = fileURLToPath(new URL("cluster.ts", import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, [
    "--disable-warning=ExperimentalWarning",
    file,
  ]);
  expect(stdout).toBe("41 41\n");
});
