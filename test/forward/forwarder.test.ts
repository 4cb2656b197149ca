import { createServer as createHttpServer } from "node:http";
import { type AddressInfo, connect, createServer } from "node:net";
import { describe, expect, it, vi } from "vitest";
import { Forwarder } from "../../src/forward/index.ts";
import { Code, ExportError, type Signal, signals } from "../../src/otlp/protocol.ts";
import { cleanups, downstream } from "./cleanups.ts";
import {
  forwardConfig,
  gate,
  type Protocol,
  patient,
  type Reply,
  startDownstream,
  unavailable,
  type Watch,
  watch,
} from "./downstream.ts";

function forwarder(
  protocol: Protocol,
  endpoint: string,
  overrides?: Parameters<typeof forwardConfig>[2],
): { forward: Forwarder; seen: Watch } {
  const seen = watch();
  const forward = new Forwarder(forwardConfig(protocol, endpoint, overrides), seen);
  cleanups.push(() => forward.close(0));
  return { forward, seen };
}

/** Starts a relay that counts the bytes sent to a port. */
async function relay(to: number): Promise<{ port: number; bytes: () => number }> {
  let bytes = 0;
  const server = createServer((socket) => {
    const onward = connect(to, "127.0.0.1");
    socket.on("data", (chunk) => {
      bytes += chunk.length;
    });
    socket.pipe(onward).pipe(socket);
    for (const end of [socket, onward]) end.on("error", () => {});
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  cleanups.push(async () => server.close());
  return { port: (server.address() as AddressInfo).port, bytes: () => bytes };
}

/** Returns the port of a server that has been closed. */
async function freePort(protocol: Protocol): Promise<number> {
  const server = await startDownstream(protocol);
  await server.close();
  return server.port;
}

async function failure(promise: Promise<unknown>): Promise<ExportError> {
  const error = await promise.then(
    () => expect.unreachable("must reject"),
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(ExportError);
  return error as ExportError;
}

const body = Buffer.from("the bytes of a request, as they came \x00\xff", "latin1");

describe.each<Protocol>(["grpc", "http"])("over %s", (protocol) => {
  const down = unavailable(protocol);

  it("hands on the very bytes, by signal, with the headers", async () => {
    const server = await downstream(protocol);
    const { forward, seen } = forwarder(protocol, server.endpoint, {
      headers: { authorization: "Bearer x", "x-trace-bin": "AAEC" },
    });
    for (const signal of signals) {
      expect(await forward.export(signal, body, patient())).toBeUndefined();
    }
    expect(server.received.map((request) => request.signal)).toEqual([...signals]);
    for (const { body: arrived, headers } of server.received) {
      expect(arrived.equals(body)).toBe(true);
      expect(headers.authorization).toBe("Bearer x");
      expect(headers["x-trace-bin"]).toBe(protocol === "grpc" ? "\x00\x01\x02" : "AAEC");
      expect(headers["user-agent"]).toMatch(/^Driftlock-OTLP-Exporter\/\S+ Node\/\d+/);
    }
    expect(seen.attempts).toEqual([Code.OK, Code.OK, Code.OK]);
    expect(seen.rejected).toEqual([0, 0, 0]);
  });

  it.each<"gzip" | "zstd">(protocol === "http" ? ["gzip", "zstd"] : ["gzip"])(
    "sends %s that opens to the same bytes",
    async (compression) => {
      const server = await downstream(protocol);
      const wire = await relay(server.port);
      const { forward } = forwarder(protocol, `http://127.0.0.1:${wire.port}`, { compression });
      const large = Buffer.alloc(300_000, "resource_logs ");
      await forward.export("logs", large, patient());
      expect(server.received[0]?.body.equals(large)).toBe(true);
      expect(wire.bytes()).toBeLessThan(large.length / 10);
    },
  );

  it("passes partial success back and sends nothing again", async () => {
    const partialSuccess = { rejected: 7, message: "seven were too old" };
    const server = await downstream(protocol, () => ({ partialSuccess }));
    const { forward, seen } = forwarder(protocol, server.endpoint);
    for (const signal of signals) {
      expect(await forward.export(signal, body, patient())).toEqual(partialSuccess);
    }
    expect(server.received).toHaveLength(3);
    expect(seen.rejected).toEqual([7, 7, 7]);
  });

  it("passes a warning without rejected records back", async () => {
    const partialSuccess = { rejected: 0, message: "deprecated attribute" };
    const server = await downstream(protocol, () => ({ partialSuccess }));
    const { forward } = forwarder(protocol, server.endpoint);
    expect(await forward.export("logs", body, patient())).toEqual(partialSuccess);
  });

  it("takes an answer that cannot be read for a success: the status has said so", async () => {
    const server = await downstream(protocol, () => ({ body: Buffer.from([0x0a, 0xff, 0x01]) }));
    const { forward } = forwarder(protocol, server.endpoint);
    expect(await forward.export("logs", body, patient())).toBeUndefined();
    expect(server.received).toHaveLength(1);
  });

  it("sends again until the downstream takes it", async () => {
    const server = await downstream(protocol, (_, index) => (index < 3 ? down : {}));
    const { forward, seen } = forwarder(protocol, server.endpoint);
    await forward.export("traces", body, patient());
    expect(server.received).toHaveLength(4);
    expect(server.received.every((request) => request.body.equals(body))).toBe(true);
    expect(seen.attempts).toEqual([Code.UNAVAILABLE, Code.UNAVAILABLE, Code.UNAVAILABLE, Code.OK]);
    expect(forward.state()).toMatchObject({ consecutiveFailures: 0, lastError: { code: Code.UNAVAILABLE } });
  });

  it("gives the request back, to be tried again, after retry.max_elapsed_time", async () => {
    const server = await downstream(protocol, () => ({ ...down, message: "upgrading" }));
    const { forward, seen } = forwarder(protocol, server.endpoint, { retry: { max_elapsed_time: 60 } });
    const error = await failure(forward.export("logs", body, patient()));
    expect(error).toMatchObject({ code: Code.UNAVAILABLE, retryAfterMs: 20 });
    expect(error.message).toContain(server.endpoint);
    expect(error.message).toContain("upgrading");
    expect(server.received.length).toBeGreaterThan(1);
    expect(seen.drops).toEqual(["unavailable"]);
    expect(forward.state()).toMatchObject({ inflight: 0, queued: 0, queuedBytes: 0 });
  });

  it("gives back a request whose turn does not come within retry.max_elapsed_time", async () => {
    const { opened, open } = gate();
    const server = await downstream(protocol, async () => {
      await opened;
      return {};
    });
    const { forward, seen } = forwarder(protocol, server.endpoint, {
      queue: { concurrency: 1 },
      retry: { max_elapsed_time: 60 },
    });
    const sent = forward.export("logs", body, patient());
    const error = await failure(forward.export("logs", Buffer.from("next"), patient()));
    expect(error).toMatchObject({ code: Code.UNAVAILABLE, retryAfterMs: 20 });
    expect(error.message).toContain("for its turn");
    // The attempt that is under way is not cut short.
    open();
    await sent;
    expect(server.received).toHaveLength(1);
    expect(seen.drops).toEqual(["unavailable"]);
  });

  it("tries once where retries are off", async () => {
    const server = await downstream(protocol, () => down);
    const { forward } = forwarder(protocol, server.endpoint, { retry: { enabled: false } });
    const error = await failure(forward.export("logs", body, patient()));
    expect(error).toMatchObject({ code: Code.UNAVAILABLE, retryAfterMs: 20 });
    expect(server.received).toHaveLength(1);
  });

  it("passes on how long the downstream wants to be left alone, where that is too long to wait", async () => {
    const server = await downstream(protocol, () => ({ ...down, retryAfterMs: 3_600_000 }));
    const { forward } = forwarder(protocol, server.endpoint);
    const error = await failure(forward.export("logs", body, patient()));
    expect(error).toMatchObject({ code: Code.UNAVAILABLE, retryAfterMs: 3_600_000 });
    expect(server.received).toHaveLength(1);
  });

  it("waits as long as the downstream asks, and then sends again", async () => {
    const arrivals: number[] = [];
    const server = await downstream(protocol, (_, index) => {
      arrivals.push(performance.now());
      return index === 0 ? { ...down, retryAfterMs: protocol === "grpc" ? 80 : 1_000 } : {};
    });
    const { forward } = forwarder(protocol, server.endpoint);
    await forward.export("logs", body, patient());
    expect(server.received).toHaveLength(2);
    // This lower bound holds on any machine: a timer may be late, but never early.
    expect(arrivals[1]! - arrivals[0]!).toBeGreaterThan(protocol === "grpc" ? 75 : 990);
  });

  it("delivers once the downstream is there", async () => {
    const port = await freePort(protocol);
    const { forward, seen } = forwarder(protocol, `http://127.0.0.1:${port}`);
    const requests = Array.from({ length: 30 }, (_, i) => Buffer.from(`request ${i}`));
    const exports = requests.map((request) => forward.export("logs", request, patient()));
    await vi.waitFor(() => expect(seen.attempts.length).toBeGreaterThan(30), 10_000);
    expect(new Set(seen.attempts)).toEqual(new Set([Code.UNAVAILABLE]));
    expect(forward.state().lastError?.message).toMatch(/ECONNREFUSED.*start the downstream/);

    const server = await downstream(protocol, undefined, { port });
    await Promise.all(exports);
    const arrived = server.received.map((request) => request.body.toString()).sort();
    expect(arrived).toEqual(requests.map(String).sort());
    expect(seen.drops).toEqual([]);
  });

  it("goes on when the downstream restarts", async () => {
    const first = await startDownstream(protocol);
    const { forward } = forwarder(protocol, first.endpoint);
    await forward.export("logs", body, patient());
    await first.close();
    const waiting = forward.export("logs", body, patient());
    const second = await downstream(protocol, undefined, { port: first.port });
    await waiting;
    expect(second.received).toHaveLength(1);
  });

  it("pushes back when queue.max_size is reached, and holds no more than that", async () => {
    const { opened, open } = gate();
    const server = await downstream(protocol, async () => {
      await opened;
      return {};
    });
    const size = 1_000;
    const { forward, seen } = forwarder(protocol, server.endpoint, {
      queue: { concurrency: 2, max_size: 3 * size + 999 },
    });
    const request = Buffer.alloc(size, "x");
    const taken = [1, 2, 3].map(() => forward.export("logs", request, patient()));
    const refused = await failure(forward.export("logs", request, patient()));
    expect(refused).toMatchObject({ code: Code.UNAVAILABLE, retryAfterMs: expect.any(Number) });
    expect(refused.message).toContain("forward.queue.max_size");
    expect(forward.state()).toMatchObject({ inflight: 2, queued: 1, queuedBytes: 3 * size });
    open();
    await Promise.all(taken);
    expect(seen.drops).toEqual(["queue_full"]);
    expect(forward.state().queuedBytes).toBe(0);
    await forward.export("logs", request, patient());
  });

  it("refuses for good what could never fit", async () => {
    const server = await downstream(protocol);
    const { forward, seen } = forwarder(protocol, server.endpoint, { queue: { max_size: 100 } });
    const error = await failure(forward.export("logs", Buffer.alloc(101, "x"), patient()));
    expect(error).toMatchObject({ code: Code.RESOURCE_EXHAUSTED, retryAfterMs: undefined });
    expect(seen.drops).toEqual(["too_large"]);
    await forward.export("logs", Buffer.alloc(100, "x"), patient());
  });

  it("sends in the order of arrival", async () => {
    const server = await downstream(protocol);
    const { forward } = forwarder(protocol, server.endpoint, { queue: { concurrency: 1 } });
    const order = Array.from({ length: 40 }, (_, i) => String(i));
    await Promise.all(order.map((name) => forward.export("logs", Buffer.from(name), patient())));
    expect(server.received.map((request) => request.body.toString())).toEqual(order);
  });

  it("lets no request that fails hold up the rest", async () => {
    const server = await downstream(protocol, (request) => (request.body.equals(body) ? down : {}));
    const { forward } = forwarder(protocol, server.endpoint, { queue: { concurrency: 1 } });
    const sender = new AbortController();
    const failing = failure(forward.export("logs", body, sender.signal));
    const others = ["a", "b", "c"].map((name) => forward.export("logs", Buffer.from(name), patient()));
    await Promise.all(others);
    sender.abort();
    expect(await failing).toMatchObject({ code: Code.CANCELLED });
  });

  it("sends no more than queue.concurrency at once", async () => {
    let now = 0;
    let most = 0;
    const server = await downstream(protocol, async () => {
      most = Math.max(most, ++now);
      await new Promise(setImmediate);
      now--;
      return {};
    });
    const { forward } = forwarder(protocol, server.endpoint, { queue: { concurrency: 3 } });
    await Promise.all(Array.from({ length: 30 }, () => forward.export("logs", body, patient())));
    expect(most).toBeLessThanOrEqual(3);
    expect(server.received).toHaveLength(30);
  });

  it("takes a request whose sender has gone out of the queue, or off the wire", async () => {
    const { opened, open } = gate();
    const server = await downstream(protocol, async () => {
      await opened;
      return {};
    });
    const { forward, seen } = forwarder(protocol, server.endpoint, { queue: { concurrency: 1 } });
    const [first, second] = [new AbortController(), new AbortController()];
    const sent = failure(forward.export("logs", Buffer.from("first"), first.signal));
    const queued = failure(forward.export("logs", Buffer.from("second"), second.signal));
    await vi.waitFor(() => expect(server.received).toHaveLength(1));
    second.abort();
    expect(await queued).toMatchObject({ code: Code.CANCELLED });
    first.abort();
    expect(await sent).toMatchObject({ code: Code.CANCELLED });
    await vi.waitFor(() => expect(server.received[0]?.cancelled.aborted).toBe(true));
    open();
    expect(seen.drops).toEqual(["cancelled", "cancelled"]);
    const late = new AbortController();
    late.abort();
    expect(await failure(forward.export("logs", Buffer.from("late"), late.signal))).toMatchObject({
      code: Code.CANCELLED,
    });
    await forward.export("logs", Buffer.from("last"), patient());
    expect(server.received.map((request) => request.body.toString())).toEqual(["first", "last"]);
  });

  it("stops the wait for the next attempt when the sender goes", async () => {
    const server = await downstream(protocol, () => down);
    const { forward } = forwarder(protocol, server.endpoint, {
      retry: { initial_interval: 600_000, max_interval: 600_000, max_elapsed_time: 2_000_000_000 },
    });
    const sender = new AbortController();
    const waiting = failure(forward.export("logs", body, sender.signal));
    await vi.waitFor(() =>
      expect(forward.state()).toMatchObject({
        inflight: 0,
        queued: 1,
        lastError: { code: Code.UNAVAILABLE },
      }),
    );
    sender.abort();
    expect(await waiting).toMatchObject({ code: Code.CANCELLED });
    expect(forward.state()).toMatchObject({ queued: 0, queuedBytes: 0 });
  });

  it("tries again what is not answered within forward.timeout", async () => {
    const { opened, open } = gate<Reply>();
    const server = await downstream(protocol, (_, index) => (index === 0 ? opened : {}));
    const { forward, seen } = forwarder(protocol, server.endpoint, { timeout: 100 });
    await forward.export("logs", body, patient());
    open({});
    expect(seen.attempts).toEqual([Code.DEADLINE_EXCEEDED, Code.OK]);
    expect(server.received).toHaveLength(2);
  });

  it("delivers what it holds before it closes", async () => {
    const { opened, open } = gate();
    const server = await downstream(protocol, async () => {
      await opened;
      return {};
    });
    const { forward } = forwarder(protocol, server.endpoint, { queue: { concurrency: 1 } });
    const held = [1, 2, 3].map(() => forward.export("logs", body, patient()));
    const closed = forward.close(600_000);
    const late = await failure(forward.export("logs", body, patient()));
    expect(late).toMatchObject({ code: Code.UNAVAILABLE, retryAfterMs: 20 });
    expect(forward.state().healthy).toBe(false);
    open();
    expect(await closed).toEqual({ requests: 0, bytes: 0 });
    await Promise.all(held);
    expect(server.received).toHaveLength(3);
  });

  it("gives up what is left at the deadline, and says how much", async () => {
    const server = await downstream(protocol, (request) =>
      request.body.equals(body) ? new Promise<Reply>(() => {}) : {},
    );
    const { forward, seen } = forwarder(protocol, server.endpoint, { queue: { concurrency: 1 } });
    await forward.export("logs", Buffer.from("delivered"), patient());
    const held = [1, 2].map(() => failure(forward.export("logs", body, patient())));
    await vi.waitFor(() => expect(server.received).toHaveLength(2));
    expect(await forward.close(10)).toEqual({ requests: 2, bytes: 2 * body.length });
    for (const error of await Promise.all(held)) {
      expect(error).toMatchObject({ code: Code.UNAVAILABLE, retryAfterMs: 20 });
    }
    expect(seen.drops).toEqual(["shutdown", "shutdown"]);
    expect(await forward.close(10)).toEqual({ requests: 2, bytes: 2 * body.length });
  });

  it("takes a success for a success, however large its answer is", async () => {
    const server = await downstream(protocol, (_, index) => ({
      body: Buffer.alloc([4, 5, 64][index]! * 2 ** 20),
    }));
    const { forward, seen } = forwarder(protocol, server.endpoint);
    for (let i = 0; i < 3; i++) expect(await forward.export("logs", body, patient())).toBeUndefined();
    expect(seen.attempts).toEqual([Code.OK, Code.OK, Code.OK]);
    expect(server.received).toHaveLength(3);
  });

  it("sees the downstream die and come back, without traffic", async () => {
    const first = await startDownstream(protocol);
    const { forward } = forwarder(protocol, first.endpoint);
    await vi.waitFor(() => expect(forward.state().healthy).toBe(true), 10_000);
    await first.close();
    await vi.waitFor(() => expect(forward.state().healthy).toBe(false), 10_000);
    expect(forward.state().consecutiveFailures).toBeGreaterThan(0);
    expect(forward.state().lastError).toMatchObject({ code: Code.UNAVAILABLE, at: expect.any(Date) });
    const second = await downstream(protocol, undefined, { port: first.port });
    await vi.waitFor(() => expect(forward.state().healthy).toBe(true), 10_000);
    expect(second.received).toHaveLength(0);
  });
});

describe("statuses", () => {
  const retryable = [1, 4, 10, 11, 14, 15];
  it.each(Array.from({ length: 16 }, (_, i) => i + 1))("follows OTLP for gRPC code %i", async (status) => {
    const server = await downstream("grpc", (_, index) =>
      index === 0 ? { status, message: "because" } : {},
    );
    const { forward, seen } = forwarder("grpc", server.endpoint);
    if (retryable.includes(status)) {
      await forward.export("logs", body, patient());
      expect(server.received).toHaveLength(2);
    } else {
      const error = await failure(forward.export("logs", body, patient()));
      // NOT_FOUND and ALREADY_EXISTS are not among Driftlock's own codes: the text contains their name.
      expect(error.code).toBe(status === 5 || status === 6 ? Code.UNKNOWN : status);
      expect(error.retryAfterMs).toBeUndefined();
      expect(error.message).toContain(`downstream ${server.endpoint}: `);
      expect(error.message).toContain("because");
      expect(server.received).toHaveLength(1);
      expect(seen.drops).toEqual(["refused"]);
    }
  });

  it("takes RESOURCE_EXHAUSTED for passing where RetryInfo says so", async () => {
    const server = await downstream("grpc", (_, index) =>
      index === 0 ? { status: Code.RESOURCE_EXHAUSTED, retryAfterMs: 0 } : {},
    );
    const { forward } = forwarder("grpc", server.endpoint);
    await forward.export("logs", body, patient());
    expect(server.received).toHaveLength(2);
  });

  it.each([429, 502, 503, 504])("sends again after HTTP %i", async (status) => {
    const server = await downstream("http", (_, index) => (index === 0 ? { status } : {}));
    const { forward } = forwarder("http", server.endpoint);
    await forward.export("metrics", body, patient());
    expect(server.received).toHaveLength(2);
  });

  it.each<[number, Code, RegExp]>([
    [302, Code.FAILED_PRECONDITION, /redirect/],
    [400, Code.INVALID_ARGUMENT, /because/],
    [401, Code.UNAUTHENTICATED, /forward\.headers/],
    [403, Code.PERMISSION_DENIED, /forward\.headers/],
    [404, Code.UNIMPLEMENTED, /path of forward\.endpoint/],
    [408, Code.UNKNOWN, /because/],
    [413, Code.RESOURCE_EXHAUSTED, /smaller requests/],
    [415, Code.UNIMPLEMENTED, /protobuf/],
    [500, Code.INTERNAL, /because/],
    [501, Code.UNIMPLEMENTED, /because/],
    [505, Code.INTERNAL, /because/],
  ])("hands back HTTP %i as gRPC code %i", async (status, code, text) => {
    const server = await downstream("http", () => ({ status, message: "because", retryAfterMs: 1_000 }));
    const { forward } = forwarder("http", server.endpoint);
    const error = await failure(forward.export("logs", body, patient()));
    expect(error).toMatchObject({ code, retryAfterMs: undefined });
    expect(error.message).toMatch(text);
    expect(error.message).toContain(`HTTP ${status}`);
    expect(server.received).toHaveLength(1);
  });

  it("reads errors in JSON and in plain text", async () => {
    const replies: Reply[] = [
      {
        status: 400,
        headers: { "content-type": "application/json" },
        body: Buffer.from(JSON.stringify({ code: 3, message: "from JSON" })),
      },
      {
        status: 400,
        headers: { "content-type": "text/plain; charset=utf-8" },
        body: Buffer.from("from\ntext"),
      },
      { status: 400, headers: { "content-type": "text/html" }, body: Buffer.from("<h1>no</h1>") },
    ];
    const server = await downstream("http", (_, index) => replies[index]!);
    const { forward } = forwarder("http", server.endpoint);
    const texts: string[] = [];
    for (const _ of replies) texts.push((await failure(forward.export("logs", body, patient()))).message);
    expect(texts[0]).toContain("from JSON");
    expect(texts[1]).toContain("from text");
    expect(texts[2]).toContain("Bad Request");
  });

  it("honours RetryInfo in an HTTP body, and Retry-After as a date", async () => {
    const replies: Reply[] = [
      {
        status: 503,
        headers: { "content-type": "application/json" },
        body: Buffer.from(
          JSON.stringify({
            details: [{ "@type": "type.googleapis.com/google.rpc.RetryInfo", retryDelay: "7200s" }],
          }),
        ),
      },
      { status: 429, headers: { "retry-after": new Date(Date.now() + 7.2e6).toUTCString() } },
      // The server's clock is years behind, or ours is ahead.
      {
        status: 429,
        headers: { date: new Date(5e11).toUTCString(), "retry-after": new Date(5e11 + 7.2e6).toUTCString() },
      },
    ];
    const server = await downstream("http", (_, index) => replies[index]!);
    const { forward } = forwarder("http", server.endpoint, { retry: { enabled: false } });
    expect((await failure(forward.export("logs", body, patient()))).retryAfterMs).toBe(7.2e6);
    const byDate = (await failure(forward.export("logs", body, patient()))).retryAfterMs!;
    expect(byDate).toBeGreaterThan(7.1e6);
    expect(byDate).toBeLessThanOrEqual(7.2e6);
    expect((await failure(forward.export("logs", body, patient()))).retryAfterMs).toBe(7.2e6);
  });

  it("keeps the path of forward.endpoint before the signal's own", async () => {
    const server = await downstream("http");
    const { forward } = forwarder("http", `${server.endpoint}/otlp/`);
    await forward.export("traces", body, patient());
    expect(server.received[0]?.headers[":path"]).toBe("/otlp/v1/traces");
  });

  it("keeps what the downstream says within bounds", async () => {
    const server = await downstream("http", () => ({ status: 400, message: "x".repeat(100_000) }));
    const { forward } = forwarder("http", server.endpoint);
    expect((await failure(forward.export("logs", body, patient()))).message.length).toBeLessThan(2_000);
  });

  it.each([401, 503])(
    "is not ready where the downstream answers every real request with %i",
    async (status) => {
      const server = await downstream("http", () => ({ status }));
      const { forward } = forwarder("http", server.endpoint, { retry: { enabled: false } });
      await vi.waitFor(() => expect(forward.state().healthy).toBe(true), 10_000);
      await failure(forward.export("logs", body, patient()));
      await vi.waitFor(() => expect(forward.state().healthy).toBe(false), 10_000);
      expect(forward.state()).toMatchObject({ inflight: 0, queued: 0, consecutiveFailures: 1 });
    },
  );

  it("is ready where the downstream dislikes a request", async () => {
    const server = await downstream("grpc", () => ({ status: Code.INVALID_ARGUMENT }));
    const { forward } = forwarder("grpc", server.endpoint);
    await failure(forward.export("logs", body, patient()));
    expect(forward.state()).toMatchObject({ healthy: true, consecutiveFailures: 0 });
  });

  it("asks with another signal where the downstream does not take the first", async () => {
    const taken: Signal[] = [];
    const http = createHttpServer((request, response) => {
      request.resume();
      if (!request.url?.endsWith("/v1/metrics")) return response.writeHead(404).end();
      taken.push("metrics");
      response.writeHead(200).end();
    });
    await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
    cleanups.push(async () => http.close());
    const { port } = http.address() as AddressInfo;
    const { forward } = forwarder("http", `http://127.0.0.1:${port}`);
    await vi.waitFor(() => expect(forward.state().healthy).toBe(true), 10_000);
    expect(taken.length).toBeGreaterThan(0);
  });

  it("takes a gRPC success for a success although its answer unpacks beyond 4 MiB", async () => {
    const server = await downstream("grpc", () => ({ body: Buffer.alloc(64 * 2 ** 20) }), {
      channel: { "grpc.default_compression_algorithm": 2 },
    });
    const { forward, seen } = forwarder("grpc", server.endpoint);
    expect(await forward.export("logs", body, patient())).toBeUndefined();
    expect(seen.attempts).toEqual([Code.OK]);
  });

  it("does not read an HTTP error beyond 4 MiB", async () => {
    const server = await downstream("http", () => ({ status: 400, body: Buffer.alloc(64 * 2 ** 20) }));
    const { forward } = forwarder("http", server.endpoint);
    const error = await failure(forward.export("logs", body, patient()));
    expect(error.code).toBe(Code.INVALID_ARGUMENT);
    expect(error.message).toContain("HTTP 400, INVALID_ARGUMENT: Bad Request");
  });
});
