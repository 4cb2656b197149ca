import { constants } from "node:http2";
import { describe, expect, it, vi } from "vitest";
import { Forwarder } from "../../src/forward/index.ts";
import { Code, type ExportError } from "../../src/otlp/protocol.ts";
import { cleanups, downstream } from "./cleanups.ts";
import {
  type Downstream,
  forwardConfig,
  gate,
  type Protocol,
  patient,
  startDownstream,
  unavailable,
  type Watch,
  watch,
} from "./downstream.ts";
import { startRaw } from "./raw-grpc.ts";

function forwarder(
  protocol: Protocol,
  [endpoint, ...others]: string[],
  overrides?: Parameters<typeof forwardConfig>[2],
): { forward: Forwarder; seen: Watch } {
  const seen = watch();
  const config = forwardConfig(protocol, endpoint!, { failover_endpoints: others, ...overrides });
  const forward = new Forwarder(config, seen);
  cleanups.push(() => forward.close(0));
  return { forward, seen };
}

const body = Buffer.from("a request");
const bodies = (servers: Downstream[]) =>
  servers.flatMap(({ received }) => received.map(({ body: got }) => got.toString()));
const names = (count: number) => Array.from({ length: count }, (_, i) => `request ${i}`);

function exportAll(forward: Forwarder, texts: string[]): Promise<unknown> {
  return Promise.all(texts.map((text) => forward.export("logs", Buffer.from(text), patient())));
}

async function refusal(promise: Promise<unknown>): Promise<ExportError> {
  return (await promise.then(
    () => expect.unreachable("must reject"),
    (error: unknown) => error,
  )) as ExportError;
}

describe.each<Protocol>(["grpc", "http"])("several endpoints over %s", (protocol) => {
  it("takes the next at once where one is away, and goes back when it is there again", async () => {
    const gone = await startDownstream(protocol);
    await gone.close();
    const second = await downstream(protocol);
    const { forward, seen } = forwarder(protocol, [gone.endpoint, second.endpoint]);
    await exportAll(forward, names(20));
    expect(new Set(seen.attempts)).toEqual(new Set([Code.OK]));
    expect(bodies([second]).sort()).toEqual(names(20).sort());

    const first = await downstream(protocol, undefined, { port: gone.port });
    await vi.waitFor(async () => {
      await forward.export("logs", body, patient());
      expect(first.received.length).toBeGreaterThan(0);
    }, 10_000);
    const before = second.received.length;
    await exportAll(forward, names(20));
    expect(second.received).toHaveLength(before);
  });

  it("asks one that answers nobody for a single request at a time", async () => {
    const { opened, open } = gate();
    cleanups.push(async () => open());
    let now = 0;
    let most = 0;
    const slow = await downstream(protocol, async ({ cancelled }) => {
      most = Math.max(most, ++now);
      cancelled.addEventListener("abort", () => now--);
      await opened;
      return {};
    });
    const second = await downstream(protocol);
    const { forward, seen } = forwarder(protocol, [slow.endpoint, second.endpoint], { timeout: 150 });
    await exportAll(forward, names(5));
    expect(seen.attempts.filter((code) => code === Code.DEADLINE_EXCEEDED).length).toBeGreaterThanOrEqual(5);
    most = 0;
    await exportAll(forward, names(60));
    expect(new Set(bodies([second]))).toEqual(new Set(names(60)));
    expect(most).toBeLessThanOrEqual(1);
  });

  it("loses nothing while both come and go", async () => {
    const flap = (period: number, phase: number) => {
      let calls = phase;
      return () => (Math.floor(calls++ / period) % 2 === 0 ? {} : unavailable(protocol));
    };
    const servers = [await downstream(protocol, flap(7, 0)), await downstream(protocol, flap(5, 5))];
    const { forward, seen } = forwarder(
      protocol,
      servers.map(({ endpoint }) => endpoint),
    );
    await exportAll(forward, names(200));
    expect(new Set(bodies(servers))).toEqual(new Set(names(200)));
    expect(seen.drops).toEqual([]);
  });

  it("leaves a refusal, and a wish to wait, to the one who said it", async () => {
    const first = await downstream(protocol, (_, index) =>
      index === 0
        ? { status: protocol === "grpc" ? Code.INVALID_ARGUMENT : 400, message: "no" }
        : { ...unavailable(protocol), retryAfterMs: 3_600_000 },
    );
    const second = await downstream(protocol);
    const { forward } = forwarder(protocol, [first.endpoint, second.endpoint]);
    const refused = await refusal(forward.export("logs", body, patient()));
    expect(refused.code).toBe(Code.INVALID_ARGUMENT);
    expect(refused.message).toContain(`${first.endpoint}: `);
    expect(await refusal(forward.export("logs", body, patient()))).toMatchObject({ retryAfterMs: 3_600_000 });
    expect(second.received).toHaveLength(0);
  });

  it("names all that it tried where none is there", async () => {
    const gone = await Promise.all([1, 2].map(() => startDownstream(protocol)));
    for (const server of gone) await server.close();
    const endpoints = gone.map(({ endpoint }) => endpoint);
    const { forward } = forwarder(protocol, endpoints, { retry: { max_elapsed_time: 100 } });
    const error = await refusal(forward.export("logs", body, patient()));
    expect(error.code).toBe(Code.UNAVAILABLE);
    expect(error.message).toContain(`downstream ${endpoints.join(", ")}: the request was not taken`);
    expect(error.message).toMatch(/the last: http.*ECONNREFUSED/);
  });

  it("is ready with one of them, also in silence", async () => {
    const gone = await startDownstream(protocol);
    await gone.close();
    const second = await downstream(protocol);
    const { forward } = forwarder(protocol, [gone.endpoint, second.endpoint]);
    await vi.waitFor(() => expect(forward.state().healthy).toBe(true), 10_000);
    await second.close();
    await vi.waitFor(() => expect(forward.state().healthy).toBe(false), 10_000);
  });
});

describe("a single endpoint that fails", () => {
  it("is left alone between single trials, and has all again when it answers", async () => {
    let up = false;
    const server = await downstream("grpc", () =>
      up ? {} : { status: Code.UNAVAILABLE, message: "restarting" },
    );
    const { forward, seen } = forwarder("grpc", [server.endpoint], {
      retry: { initial_interval: 20, max_interval: 50, max_elapsed_time: 60_000 },
    });
    const all = exportAll(forward, names(100));
    await vi.waitFor(() => expect(seen.attempts.length).toBeGreaterThan(300), 20_000);
    expect(server.received.length).toBeLessThan(seen.attempts.length / 2);
    expect(forward.state().lastError?.message).toContain("restarting");
    up = true;
    await all;
    expect(new Set(bodies([server]))).toEqual(new Set(names(100)));
    expect(seen.drops).toEqual([]);
  });
});

it("takes the next endpoint at once where one refuses every request unread", async () => {
  const busy = await startRaw(({ stream }) => stream.close(constants.NGHTTP2_REFUSED_STREAM));
  cleanups.push(() => busy.close());
  const second = await downstream("grpc");
  const { forward, seen } = forwarder("grpc", [busy.endpoint, second.endpoint], {
    retry: { enabled: false },
  });
  await exportAll(forward, names(20));
  expect(new Set(seen.attempts)).toEqual(new Set([Code.OK]));
  expect(bodies([second]).sort()).toEqual(names(20).sort());
});
