/** otelload -> Driftlock -> otelload: the same bytes, and none lost whatever happens to either side. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { signals } from "../../src/otlp/protocol.ts";
import { type Driftlock, startDriftlock } from "./driftlock.ts";
import { Relay, stopAll, until } from "./programs.ts";
import { attributeKeys, readDump, recordsOf } from "./telemetry.ts";
import { sendLoad, startSink } from "./tools.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "driftlock-e2e-"));
});
afterEach(async () => {
  await stopAll();
  await rm(folder, { recursive: true, force: true });
});

describe("bytes", () => {
  it.for(signals)("of %s stay as they are, but for attributes of flagged records", async (signal) => {
    const before = join(folder, "sent");
    const after = join(folder, "received");
    const sink = await startSink(["-dump", after]);
    const driftlock = await startDriftlock({
      detect: { baseline: { records: 500 } },
      forward: { endpoint: `http://${sink.address}` },
    });
    // One request at a time, so that requests arrive in the order in which they were sent. A burst of strange records,
    // labelled as such, starts after the baseline.
    const burst = ["-anomaly=0.05", "-anomaly-at=0.6", "-anomaly-density=0.1", "-label"];
    const order = ["-conns=1", "-inflight=1"];
    const amount = ["-requests=60", "-records=100", "-services=3", "-resources=2"];
    const args = [`-signal=${signal}`, ...amount, ...order, ...burst, "-gzip", "-dump", before];
    expect((await sendLoad(driftlock.grpc, args)).errors).toEqual({});
    expect(await driftlock.program.stop()).toBe(0);
    await sink.totals();

    const sent = await readDump(before);
    // Driftlock sends an empty request to check whether the downstream is available.
    const received = (await readDump(after)).filter((request) => request.length > 0);
    expect(received.length).toBe(sent.length);
    let flagged = 0;
    for (const [i, request] of sent.entries()) {
      const original = recordsOf(signal, request);
      const forwarded = recordsOf(signal, received[i]!);
      expect(forwarded.length).toBe(original.length);
      for (const [j, record] of original.entries()) {
        const arrived = forwarded[j]!;
        if (arrived.equals(record)) continue;
        expect(arrived.subarray(0, record.length).equals(record)).toBe(true);
        const keys = attributeKeys(signal, arrived.subarray(record.length));
        expect(keys).toContain("cbad.anomaly");
        expect(keys.filter((key) => !key.startsWith("cbad."))).toEqual([]);
        if (record.includes("otelload.anomaly")) flagged++;
      }
      const changed = original.some((record, j) => !forwarded[j]!.equals(record));
      expect(received[i]!.equals(request)).toBe(!changed);
    }
    // The comparison is only meaningful if something was flagged; bench/quality measures how well.
    if (signal === "logs") expect(flagged).toBeGreaterThan(0);
  });
});

/** Resolves once a metric has reached `value`. */
const reached = (driftlock: Driftlock, metric: string, value: number, labels = {}) =>
  until(`${metric} >= ${value}`, async () =>
    (await driftlock.metric(metric, labels)) >= value ? true : undefined,
  );

/** A log record's first bytes hold its time, which otelload uses only once; cbad attributes come after it. */
const identities = (requests: Buffer[]) =>
  requests.flatMap((request) => recordsOf("logs", request)).map((record) => record.toString("latin1", 0, 60));

describe("delivery under load", () => {
  const load = ["-records=100", "-rate=20000", "-conns=2", "-inflight=8", "-timeout=30s"];

  it("loses nothing when the downstream refuses, dies and comes back", async () => {
    const sent = join(folder, "sent");
    const dumps = [join(folder, "first"), join(folder, "second")];
    const first = await startSink(["-reject=5", "-dump", dumps[0]!]);
    const relay = await Relay.start(first.address);
    const driftlock = await startDriftlock({
      forward: { endpoint: `http://${relay.address}`, retry: { initial_interval: "100ms" } },
    });
    const sending = sendLoad(driftlock.grpc, [...load, "-requests=600", "-dump", sent]);
    await reached(driftlock, "driftlock_forwarded_records_total", 10_000);
    relay.cut();
    await reached(driftlock, "driftlock_forward_attempts_total", 20, { code: "UNAVAILABLE" });
    await first.totals();
    const second = await startSink(["-dump", dumps[1]!]);
    await relay.resume(second.address);
    expect((await sending).errors).toEqual({});
    expect(await driftlock.program.stop()).toBe(0);
    relay.cut();
    await second.totals();

    // A request arrives twice if its answer was lost with the connection: OTLP promises delivery at least once.
    const arrived = new Set<string>();
    for (const dump of dumps) for (const id of identities(await readDump(dump))) arrived.add(id);
    const missing = identities(await readDump(sent)).filter((id) => !arrived.has(id));
    expect(missing).toEqual([]);
  });

  it("refuses with UNAVAILABLE once the downstream is away for long", async () => {
    const sink = await startSink();
    const driftlock = await startDriftlock({
      forward: { endpoint: `http://${sink.address}`, retry: { max_elapsed_time: "500ms" } },
    });
    await sink.totals();
    const { records, errors } = await sendLoad(driftlock.grpc, [...load, "-requests=20"]);
    expect(records).toBe(0);
    expect(errors).toEqual({ Unavailable: 20 });
    expect(await driftlock.metric("driftlock_undelivered_requests_total")).toBe(20);
  });

  it("refuses with UNAVAILABLE what its queue cannot hold", async () => {
    const sink = await startSink(["-delay=300ms"]);
    const driftlock = await startDriftlock({
      receive: { limits: { max_request_size: "256KiB" } },
      forward: { endpoint: `http://${sink.address}`, queue: { max_size: "256KiB", concurrency: 2 } },
    });
    const { requests, records, errors } = await sendLoad(driftlock.grpc, [...load, "-requests=60"]);
    expect(errors).toEqual({ Unavailable: expect.any(Number) });
    expect(requests + errors.Unavailable!).toBe(60);
    expect(await driftlock.program.stop()).toBe(0);
    expect((await sink.totals()).logs?.records).toBe(records);
  });

  it("delivers all that it has accepted on SIGTERM", async () => {
    const sink = await startSink(["-delay=20ms"]);
    const driftlock = await startDriftlock({ forward: { endpoint: `http://${sink.address}` } });
    const sending = sendLoad(driftlock.grpc, [...load, "-seconds=6", "-timeout=5s"]);
    await reached(driftlock, "driftlock_forwarded_records_total", 1_000);
    expect(await driftlock.program.stop()).toBe(0);
    expect(driftlock.program.stdout).toContain("all accepted requests were delivered");
    const { requests, records } = await sending;
    expect(requests).toBeGreaterThan(0);
    const totals = (await sink.totals()).logs!;
    expect(totals.records).toBeGreaterThanOrEqual(records);
  });

  it("reports what it could not deliver by the deadline, and exits with 1", async () => {
    const sink = await startSink(["-delay=60s"]);
    const driftlock = await startDriftlock({
      forward: { endpoint: `http://${sink.address}` },
      shutdown_timeout: "500ms",
    });
    const sending = sendLoad(driftlock.grpc, [...load, "-requests=5"]);
    await reached(driftlock, "driftlock_forward_inflight_requests", 5);
    expect(await driftlock.program.stop()).toBe(1);
    expect(driftlock.program.stdout).toMatch(/"undelivered":\{"requests":5,"records":500,/);
    expect((await sending).errors).toEqual({ Unavailable: 5 });
  });
});
