import { setImmediate as turn } from "node:timers/promises";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { truncateLine } from "../../src/base/truncate.ts";
import { Circuit, type Verdict } from "../../src/forward/circuit.ts";
import { join } from "../../src/forward/divide.ts";
import { checkForward } from "../../src/forward/index.ts";
import { explainNetwork } from "../../src/forward/remedies.ts";
import { Slots } from "../../src/forward/slots.ts";
import { Replaceable } from "../../src/forward/transport/replaceable.ts";
import { signals } from "../../src/otlp/protocol.ts";
import {
  type ResponseEncoding,
  readPartialSuccess,
  readRetryAfter,
  readStatus,
} from "../../src/otlp/response-decoder.ts";
import { encodeResponse, encodeStatus, responseJson } from "../../src/otlp/response-encoder.ts";
import { forwardConfig, type Protocol, patient, statusBytes } from "./downstream.ts";

describe("answers from the network", () => {
  const bytes = fc.uint8Array({ maxLength: 200 }).map((array) => Buffer.from(array));
  const text = fc.json().map((json) => Buffer.from(json));
  const encoding = fc.constantFrom<ResponseEncoding>("protobuf", "json");

  it("are read or left, whatever they hold", () => {
    fc.assert(
      fc.property(fc.oneof(bytes, text), encoding, fc.constantFrom(...signals), (body, as, signal) => {
        const partial = readPartialSuccess(signal, body, as);
        if (partial) expect(partial.rejected).toBeGreaterThanOrEqual(0);
        const { retryAfterMs } = readStatus(body, as);
        if (retryAfterMs !== undefined) expect(retryAfterMs).toBeGreaterThanOrEqual(0);
      }),
    );
  });

  it("give RetryInfo in milliseconds", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 1e9 }), (milliseconds) => {
        const { retryAfterMs } = readStatus(statusBytes(14, "later", milliseconds), "protobuf");
        expect(retryAfterMs).toBeCloseTo(milliseconds, 3);
      }),
    );
    expect(readStatus(statusBytes(8, "later"), "protobuf")).toEqual({ message: "later" });
  });

  it("give partial success in JSON", () => {
    const json = (value: unknown) => Buffer.from(JSON.stringify(value));
    const partial = { rejectedSpans: "12", errorMessage: "old" };
    expect(readPartialSuccess("traces", json({ partialSuccess: partial, later: 1 }), "json")).toEqual({
      rejected: 12,
      message: "old",
    });
    expect(readPartialSuccess("traces", json({}), "json")).toBeUndefined();
  });

  it.each<[string | undefined, number | undefined]>([
    [undefined, undefined],
    ["0", 0],
    [" 120 ", 120_000],
    ["Thu, 01 Jan 1970 00:02:00 GMT", 60_000],
    ["Thu, 01 Jan 1970 00:00:30 GMT", 0],
    ["soon", undefined],
    ["", undefined],
    ["99999999999999999999999", 2 ** 31 - 1],
    ["9".repeat(400), 2 ** 31 - 1],
    ["Fri, 31 Dec 9999 23:59:59 GMT", 2 ** 31 - 1],
  ])("give Retry-After %j as %j ms", (header, expected) => {
    expect(readRetryAfter(header, 60_000)).toBe(expected);
  });

  it("can be passed on, however large their numbers are", () => {
    const retryInfo = (retryDelay: string) =>
      Buffer.from(
        JSON.stringify({ details: [{ "@type": "type.googleapis.com/google.rpc.RetryInfo", retryDelay }] }),
      );
    const waits = [
      readRetryAfter("9".repeat(400)),
      readStatus(statusBytes(14, "later", 9e18), "protobuf").retryAfterMs,
      readStatus(retryInfo(`${"9".repeat(400)}s`), "json").retryAfterMs,
    ];
    for (const retryAfterMs of waits) {
      expect(retryAfterMs).toBe(2 ** 31 - 1);
      expect(
        readStatus(
          Buffer.from(encodeStatus({ name: "ExportError", code: 14, message: "", retryAfterMs })),
          "protobuf",
        ),
      ).toEqual({ message: undefined, retryAfterMs });
    }
    const most = { partialSuccess: { rejectedLogRecords: String(2n ** 63n - 1n) } };
    const said = readPartialSuccess("logs", Buffer.from(JSON.stringify(most)), "json");
    const both = join(said, said);
    expect(readPartialSuccess("logs", Buffer.from(encodeResponse("logs", both)), "protobuf")).toEqual(said);
    expect(responseJson("logs", both)).toEqual({
      partialSuccess: { rejectedLogRecords: String(2n ** 33n), errorMessage: "" },
    });
  });

  it("that have too many header fields are told from those of another protocol", () => {
    const error = Object.assign(new Error("Parse Error: Header overflow"), { code: "HPE_HEADER_OVERFLOW" });
    expect(explainNetwork(error)).toBe(
      "Parse Error: Header overflow (the answer has more than 16 KiB of header fields: check what answers there)",
    );
  });

  it("are cut and put on one line", () => {
    expect(truncateLine("a\r\nb\u0000c ")).toBe("a b c");
    expect(truncateLine("x".repeat(5_000))).toBe(`${"x".repeat(1_000)}…`);
  });
});

describe("slots", () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] }));
  afterEach(() => void vi.useRealTimers());

  /** Throttles until the downstream seems to accept nothing. */
  function hopeless(slots: Slots, milliseconds: number): void {
    for (let i = 0; i < 40; i++) slots.throttled(milliseconds);
  }

  /** Counts how many are admitted at the same time. */
  async function width(slots: Slots): Promise<number> {
    const leave = new AbortController();
    let inside = 0;
    const asking = Array.from({ length: 20 }, () =>
      slots.acquire(leave.signal).then(
        () => inside++,
        () => {},
      ),
    );
    await turn();
    leave.abort();
    await Promise.all(asking);
    for (let i = 0; i < inside; i++) slots.release();
    return inside;
  }

  it("become fewer with refusals, never none, and more again with successes", async () => {
    const slots = new Slots(10);
    expect(await width(slots)).toBe(10);
    slots.throttled(60_000);
    expect(await width(slots)).toBe(5);
    for (let i = 0; i < 5; i++) slots.throttled(60_000);
    expect(await width(slots)).toBe(1);
    for (let i = 0; i < 100; i++) slots.taken();
    expect(await width(slots)).toBe(10);
  });

  it.each([
    [0.01, 8],
    [0.1, 3],
    [0.5, 1],
  ])("are not paused by a share of refusals of %d", async (share, least) => {
    const slots = new Slots(10);
    let sum = 0;
    const rounds = 500;
    for (let i = 1; i <= rounds; i++) {
      // The throttled ones are evenly spread.
      if (Math.floor(i * share) > Math.floor((i - 1) * share)) slots.throttled(60_000);
      else slots.taken();
      sum += await width(slots);
    }
    expect(sum / rounds).toBeGreaterThanOrEqual(least);
  });

  it("go on after a pause though its timer fires before the clock says so", async () => {
    let now = 1_000;
    const clock = vi.spyOn(performance, "now").mockImplementation(() => now);
    const slots = new Slots(1);
    let entered = false;
    hopeless(slots, 5);
    void slots.acquire(patient()).then(() => {
      entered = true;
    });
    // The first timer fires half a millisecond early.
    now = 1_004.5;
    vi.advanceTimersByTime(5);
    await turn();
    expect(entered).toBe(false);
    now = 1_006;
    vi.advanceTimersByTime(1);
    await turn();
    expect(entered).toBe(true);
    clock.mockRestore();
  });

  it("let nobody in during a pause, and the first come in after it", async () => {
    const slots = new Slots(1);
    const order: number[] = [];
    hopeless(slots, 1_000);
    slots.throttled(10);
    for (const name of [1, 2]) void slots.acquire(patient()).then(() => order.push(name));
    await turn();
    vi.advanceTimersByTime(999);
    await turn();
    expect(order).toEqual([]);
    vi.advanceTimersByTime(1);
    await turn();
    expect(order).toEqual([1]);
    slots.release();
    await turn();
    expect(order).toEqual([1, 2]);
  });

  it("are had at once only while there is room and nobody waits", async () => {
    const slots = new Slots(2);
    expect([slots.tryAcquire(), slots.tryAcquire(), slots.tryAcquire()]).toEqual([true, true, false]);
    const order: string[] = [];
    const first = slots.acquire(patient()).then(() => order.push("first"));
    expect(slots.tryAcquire()).toBe(false);
    slots.release();
    expect(slots.tryAcquire()).toBe(false);
    await first;
    slots.release();
    expect(slots.tryAcquire()).toBe(true);
    expect(order).toEqual(["first"]);
    slots.release();
    hopeless(slots, 1_000);
    expect(slots.tryAcquire()).toBe(false);
    vi.advanceTimersByTime(1_001);
    slots.release();
    expect(slots.tryAcquire()).toBe(true);
  });

  it("pass over those who gave up", async () => {
    const slots = new Slots(1);
    await slots.acquire(patient());
    const leaver = new AbortController();
    const gone = slots.acquire(leaver.signal);
    const stays = slots.acquire(patient());
    leaver.abort(new Error("gone"));
    await expect(gone).rejects.toThrow("gone");
    await expect(slots.acquire(leaver.signal)).rejects.toThrow("gone");
    slots.release();
    await stays;
    slots.release();
    await slots.acquire(patient());
  });
});

describe("a circuit", () => {
  /** A circuit with its own clock, which has failed until it is open. */
  function opened(): { circuit: Circuit; advance: (ms: number) => void } {
    let now = 0;
    const circuit = new Circuit(100, 300, () => now);
    for (let i = 0; i < 5; i++) circuit.enter()!("dead");
    return {
      circuit,
      advance: (ms) => {
        now += ms;
      },
    };
  }

  it("opens after failures in a row, and by nothing else", () => {
    const circuit = new Circuit(100, 300);
    const verdicts: Verdict[] = [
      "dead",
      "dead",
      "dead",
      "dead",
      "alive",
      "dead",
      "dead",
      "dead",
      "dead",
      "unknown",
    ];
    for (const verdict of verdicts) circuit.enter()!(verdict);
    expect(circuit.open).toBe(false);
    circuit.enter()!("dead");
    expect(circuit.open).toBe(true);
  });

  it("lets nobody out in a pause, then one, and all when that was answered", () => {
    const { circuit, advance } = opened();
    advance(99);
    expect(circuit.enter()).toBeUndefined();
    advance(1);
    const end = circuit.enter()!;
    expect(circuit.enter()).toBeUndefined();
    end("alive");
    expect(circuit.open).toBe(false);
    expect([circuit.enter(), circuit.enter()]).not.toContain(undefined);
  });

  it("doubles its pauses up to the longest, and begins anew after an answer", () => {
    const { circuit, advance } = opened();
    for (const pause of [100, 200, 300, 300]) {
      advance(pause - 1);
      expect(circuit.enter()).toBeUndefined();
      advance(1);
      circuit.enter()!("dead");
    }
    advance(300);
    circuit.enter()!("alive");
    for (let i = 0; i < 5; i++) circuit.enter()!("dead");
    advance(100);
    expect(circuit.enter()).toBeDefined();
  });

  it("is left by a trial that says nothing, and by an attempt from before that is answered", () => {
    const { circuit, advance } = opened();
    advance(100);
    circuit.enter()!("unknown");
    const end = circuit.enter()!;
    end("dead");
    expect(circuit.enter()).toBeUndefined();
    circuit.wake();
    expect(circuit.enter()).toBeDefined();

    const other = new Circuit(100, 300);
    const late = other.enter()!;
    for (let i = 0; i < 5; i++) other.enter()!("dead");
    late("alive");
    expect(other.open).toBe(false);
  });
});

describe("a replaceable connection", () => {
  it("closes the former one when its last user is done", async () => {
    const closed: string[] = [];
    const connection = new Replaceable("first", (name) => closed.push(name));
    let finish = () => {};
    const used = connection.use(
      (name) =>
        new Promise<string>((resolve) => {
          finish = () => resolve(name);
        }),
    );
    connection.replace(() => "second");
    connection.replace(() => "none", "first");
    expect(await connection.use(async (name) => name)).toBe("second");
    expect(closed).toEqual([]);
    finish();
    expect(await used).toBe("first");
    expect(closed).toEqual(["first"]);
    connection.replace(() => "third");
    expect(closed).toEqual(["first", "second"]);
  });
});

describe("checkForward", () => {
  const check = (protocol: Protocol, overrides: Parameters<typeof forwardConfig>[2]) =>
    checkForward(forwardConfig(protocol, "http://127.0.0.1:1", overrides));

  it("finds nothing in what works", () => {
    const headers = { authorization: "Bearer secret", "x-scope-orgid": "a", "trace-bin": "AAEC" };
    expect(check("grpc", { headers })).toEqual([]);
    expect(check("http", { headers, compression: "zstd" })).toEqual([]);
  });

  it.each<[Protocol, string, string]>([
    ["grpc", "content-type", "x"],
    ["http", "Content-Length", "1"],
    ["grpc", "grpc-timeout", "1S"],
    ["grpc", "key-bin", "not base64!"],
    ["grpc", "a!b", "x"],
  ])("over %s names the header %s, and not its value", (protocol, name, value) => {
    const problems = check(protocol, { headers: { [name]: value } });
    expect(problems).toHaveLength(1);
    expect(problems[0]).toContain(`forward.headers.${name}: `);
    expect(problems[0]!.replace(name, "")).not.toContain(` ${value} `);
  });

  it("finds durations that timers cannot keep", () => {
    expect(check("grpc", { timeout: 0, retry: { max_interval: 2 ** 31, initial_interval: 0 } })).toEqual([
      "forward.timeout: must be from 1 ms to 24 d",
      "forward.retry.initial_interval: must be from 1 ms to 24 d",
      "forward.retry.max_interval: must be from 1 ms to 24 d",
    ]);
  });
});
