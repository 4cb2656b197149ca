import { connect as connectHttp2 } from "node:http2";
import { connect as connectTcp } from "node:net";
import { deflateSync, gzipSync } from "node:zlib";
import { fromBinary } from "@bufbuild/protobuf";
import { compressionAlgorithms } from "@grpc/grpc-js";
import { describe, expect, test } from "vitest";
import { ExportLogsServiceResponseSchema } from "../../src/gen/opentelemetry/proto/collector/logs/v1/logs_service_pb.js";
import { ExportMetricsServiceResponseSchema } from "../../src/gen/opentelemetry/proto/collector/metrics/v1/metrics_service_pb.js";
import { ExportTraceServiceResponseSchema } from "../../src/gen/opentelemetry/proto/collector/trace/v1/trace_service_pb.js";
import { native } from "../../src/native.ts";
import { Code, ExportError, grpcMethod, signals } from "../../src/otlp/protocol.ts";
import {
  afterwards,
  framed,
  grpcClient,
  grpcExport,
  Holding,
  openCall,
  type Running,
  requests,
  start,
  until,
} from "./support.ts";

/**
 * Sends a message with any prefix, in the given frames, as grpc-js would not send it. Resolves to the answer's headers
 * and trailers.
 */
async function rawCall(
  { grpc }: Running,
  chunks: (Buffer | (() => Promise<void>))[],
  headers: Record<string, string> = {},
): Promise<Record<string, string | number>> {
  const { stream } = openCall(grpc, { te: "trailers", ...headers });
  const answer: Record<string, string | number> = {};
  const add = (received: object) => Object.assign(answer, received);
  stream.on("response", add);
  stream.on("trailers", add);
  stream.on("error", (error) => Object.assign(answer, { error: error.message }));
  const closed = new Promise((resolve) => stream.on("close", resolve));
  stream.resume();
  for (const chunk of chunks) {
    if (stream.destroyed || answer["grpc-status"] !== undefined) break;
    if (typeof chunk === "function") await chunk();
    else await new Promise((resolve) => stream.write(chunk, resolve));
  }
  stream.end();
  await closed;
  return answer;
}

describe("Export over gRPC", () => {
  test.each(signals)("%s reach the consumer byte for byte", async (signal) => {
    const running = await start();
    const answer = await grpcExport(grpcClient(running.grpc), signal, requests[signal]);
    expect(answer).toMatchObject({ code: Code.OK, response: Buffer.alloc(0) });
    expect(running.taken).toHaveLength(1);
    expect(running.taken[0]).toMatchObject({ signal, tenant: "default" });
    expect(running.taken[0]!.body).toEqual(Buffer.from(requests[signal]));
    const bytes = requests[signal].length;
    expect(running.events).toMatchObject([
      { signal, transport: "grpc", code: Code.OK, bytes, wireBytes: bytes },
    ]);
    expect(running.receivers.inWork()).toEqual({ requests: 0, bytes: 0 });
  });

  test("an empty request is a request", async () => {
    const running = await start();
    expect(await grpcExport(grpcClient(running.grpc), "logs", new Uint8Array(0))).toMatchObject({
      code: Code.OK,
    });
    expect(running.taken[0]!.body).toHaveLength(0);
  });

  test("large requests come whole, many on one connection", async () => {
    const running = await start();
    const client = grpcClient(running.grpc);
    const bodies = Array.from({ length: 20 }, (_, i) => Buffer.alloc(3_000_000 + i, i));
    const answers = await Promise.all(bodies.map((body) => grpcExport(client, "traces", body)));
    expect(answers.every(({ code }) => code === Code.OK)).toBe(true);
    const taken = running.taken.map(({ body }) => body).sort((a, b) => a.length - b.length);
    expect(taken.every((body, i) => body.equals(bodies[i]!))).toBe(true);
  });

  test.each([
    ["gzip", compressionAlgorithms.gzip],
    ["deflate", compressionAlgorithms.deflate],
  ])("%s is decompressed", async (_name, algorithm) => {
    const running = await start();
    const client = grpcClient(running.grpc, undefined, { "grpc.default_compression_algorithm": algorithm });
    const body = Buffer.alloc(500_000, "one line like the other\n");
    expect(await grpcExport(client, "logs", body)).toMatchObject({ code: Code.OK });
    expect(running.taken[0]!.body.equals(body)).toBe(true);
    expect(running.events[0]!.wireBytes).toBeLessThan(10_000);
    expect(running.events[0]!.bytes).toBe(500_000);
  });

  test("zstd is decompressed", async () => {
    const running = await start();
    const body = Buffer.alloc(500_000, "one line like the other\n");
    const answer = await rawCall(running, [framed(native.compress("zstd", body), 1)], {
      "grpc-encoding": "zstd",
    });
    expect(answer["grpc-status"]).toBe("0");
    expect(running.taken[0]!.body.equals(body)).toBe(true);
  });

  test.each([
    ["logs", ExportLogsServiceResponseSchema, { rejectedLogRecords: 3n, errorMessage: "three were too old" }],
    ["traces", ExportTraceServiceResponseSchema, { rejectedSpans: 3n, errorMessage: "three were too old" }],
    [
      "metrics",
      ExportMetricsServiceResponseSchema,
      { rejectedDataPoints: 3n, errorMessage: "three were too old" },
    ],
  ] as const)("partial success of %s is passed back", async (signal, schema, partialSuccess) => {
    const running = await start({}, async () => ({ rejected: 3, message: "three were too old" }));
    const answer = await grpcExport(grpcClient(running.grpc), signal, requests[signal]);
    expect(answer.code).toBe(Code.OK);
    expect(fromBinary(schema as never, answer.response!)).toMatchObject({ partialSuccess });
  });
});

describe("errors over gRPC", () => {
  test("an ExportError becomes its status; retryAfterMs becomes RetryInfo", async () => {
    const running = await start({}, async () => {
      throw new ExportError(Code.UNAVAILABLE, "downstream is full — 100% of it", 2_500);
    });
    const answer = await grpcExport(grpcClient(running.grpc), "logs", requests.logs);
    expect(answer).toMatchObject({ code: Code.UNAVAILABLE, message: "downstream is full — 100% of it" });
    expect(answer.retryInfo?.retryDelay).toMatchObject({ seconds: 2n, nanos: 500_000_000 });
    expect(running.events).toMatchObject([{ code: Code.UNAVAILABLE, bytes: requests.logs.length }]);
  });

  test("without retryAfterMs there is no RetryInfo", async () => {
    const running = await start({}, async () => {
      throw new ExportError(Code.INVALID_ARGUMENT, "bad");
    });
    const answer = await grpcExport(grpcClient(running.grpc), "logs", requests.logs);
    expect(answer).toMatchObject({ code: Code.INVALID_ARGUMENT, message: "bad", retryInfo: undefined });
  });

  test("any other error is INTERNAL, logged, and not shown", async () => {
    const running = await start({}, async () => {
      throw new TypeError("secret of the house");
    });
    const answer = await grpcExport(grpcClient(running.grpc), "logs", requests.logs);
    expect(answer).toMatchObject({ code: Code.INTERNAL, message: "internal error" });
    expect(JSON.stringify(running.logged)).toContain("secret of the house");
  });

  test("a message too long for headers is cut", async () => {
    const running = await start({}, async () => {
      throw new ExportError(Code.UNAVAILABLE, "é".repeat(100_000), 1);
    });
    const answer = await grpcExport(grpcClient(running.grpc), "logs", requests.logs);
    expect(answer.code).toBe(Code.UNAVAILABLE);
    expect(answer.message).toHaveLength(1_000);
  });

  test("an unknown method is UNIMPLEMENTED", async () => {
    const running = await start();
    const client = grpcClient(running.grpc);
    for (const method of [
      "/opentelemetry.proto.collector.logs.v1.LogsService/Import",
      "/x",
      "/grpc.health.v1.Health/Check",
    ]) {
      expect(await grpcExport(client, method as `/${string}`, requests.logs)).toMatchObject({
        code: Code.UNIMPLEMENTED,
      });
    }
    expect(running.taken).toEqual([]);
  });

  test("larger than max_request_size is RESOURCE_EXHAUSTED without RetryInfo, at once, and the connection lives on", async () => {
    const running = await start({ limits: { max_request_size: 1_000 } });
    const client = grpcClient(running.grpc);
    for (let i = 0; i < 50; i += 1) {
      const answer = await grpcExport(client, "logs", Buffer.alloc(300_000));
      expect(answer).toMatchObject({ code: Code.RESOURCE_EXHAUSTED, retryInfo: undefined });
      expect(answer.message).toContain("receive.limits.max_request_size");
    }
    expect(await grpcExport(client, "logs", Buffer.alloc(1_000))).toMatchObject({ code: Code.OK });
    expect(running.taken).toHaveLength(1);
  });

  test.each([
    ["gzip", (bytes: Buffer) => gzipSync(bytes)],
    ["deflate", (bytes: Buffer) => deflateSync(bytes)],
    ["zstd", (bytes: Buffer) => native.compress("zstd", bytes)],
  ])("max_request_size holds after %s as well", async (encoding, compress) => {
    const running = await start({ limits: { max_request_size: 1_000_000 } });
    for (const [size, status] of [
      [1_000_001, "8"],
      [1_000_000, "0"],
    ] as const) {
      const answer = await rawCall(running, [framed(compress(Buffer.alloc(size)), 1)], {
        "grpc-encoding": encoding,
      });
      expect(answer["grpc-status"]).toBe(status);
      expect(answer["grpc-status-details-bin"]).toBeUndefined();
    }
    expect(running.taken.map(({ body }) => body.length)).toEqual([1_000_000]);
  });

  test.each([
    ["a message marked compressed without an encoding", [framed(gzipSync("x"), 1)], {}, "13"],
    ["an unknown encoding", [framed(Buffer.from("x"), 1)], { "grpc-encoding": "br" }, "12"],
    [
      "bytes that are not gzip",
      [framed(Buffer.from("not gzip at all, no"), 1)],
      { "grpc-encoding": "gzip" },
      "3",
    ],
    ["cut gzip", [framed(gzipSync(Buffer.alloc(1000)).subarray(0, 15), 1)], { "grpc-encoding": "gzip" }, "3"],
    [
      "bytes that are not zstd",
      [framed(Buffer.from("not zstd at all, no"), 1)],
      { "grpc-encoding": "zstd" },
      "3",
    ],
    ["a flag that is neither", [framed(Buffer.from("x"), 2)], {}, "13"],
    ["no message", [], {}, "12"],
    ["two messages", [Buffer.concat([framed(Buffer.from("a")), framed(Buffer.from("b"))])], {}, "12"],
    ["an end within the message", [framed(Buffer.from("abc"), 0, 9)], {}, "13"],
    ["an end within the prefix", [Buffer.from([0, 0, 0])], {}, "13"],
    ["a timeout that is none", [framed(Buffer.from("x"))], { "grpc-timeout": "soon" }, "3"],
  ])("%s", async (_name, chunks, headers, status) => {
    const running = await start();
    expect((await rawCall(running, chunks, headers as Record<string, string>))["grpc-status"]).toBe(status);
    expect(running.taken).toEqual([]);
    expect(running.receivers.inWork()).toEqual({ requests: 0, bytes: 0 });
  });

  test("the prefix may come byte by byte", async () => {
    const running = await start();
    const bytes = framed(requests.logs);
    const chunks = Array.from(bytes.subarray(0, 7), (byte) => Buffer.of(byte));
    const answer = await rawCall(running, [...chunks, bytes.subarray(7)]);
    expect(answer["grpc-status"]).toBe("0");
    expect(running.taken[0]!.body).toEqual(Buffer.from(requests.logs));
  });

  test("what is not gRPC is told so in HTTP", async () => {
    const running = await start();
    expect(await rawCall(running, [], { "content-type": "application/json" })).toMatchObject({
      ":status": 415,
    });
    expect(await rawCall(running, [], { "content-type": "application/grpc+json" })).toMatchObject({
      ":status": 415,
    });
    expect(await rawCall(running, [], { ":method": "PUT" })).toMatchObject({ ":status": 405, allow: "POST" });
  });

  test("headers beyond max_header_size are refused, also before the peer knows of the limit", async () => {
    const running = await start({ limits: { max_header_size: 4_096 } });
    const answer = await rawCall(running, [framed(requests.logs)], { "x-long": "a".repeat(5_000) });
    expect(answer["grpc-status"] ?? answer.error).toMatch(/^8$|ENHANCE_YOUR_CALM/);
    expect(running.taken).toEqual([]);
  });
});

describe("time", () => {
  test("a request that does not arrive within request_timeout is DEADLINE_EXCEEDED", async () => {
    const running = await start({ grpc: { request_timeout: 100 } });
    const answer = await rawCall(running, [
      framed(requests.logs).subarray(0, 20),
      () => until(() => running.events.length > 0),
    ]);
    expect(answer["grpc-status"]).toBe("4");
    expect(decodeURIComponent(String(answer["grpc-message"]))).toContain("receive.grpc.request_timeout");
    expect(running.receivers.inWork()).toEqual({ requests: 0, bytes: 0 });
  });

  test("a cancelled call aborts the consumer's signal", async () => {
    const holding = new Holding();
    const running = await start({}, holding.consumer);
    let cancel = () => {};
    const answer = grpcExport(grpcClient(running.grpc), "logs", requests.logs, {
      cancel: (it) => (cancel = it),
    });
    await holding.arrived(1);
    const { abort } = holding.requests[0]!;
    expect(abort.aborted).toBe(false);
    cancel();
    await until(() => abort.aborted);
    expect(abort.reason).toMatchObject({ code: Code.CANCELLED });
    expect((await answer).code).toBe(Code.CANCELLED);
    // The consumer still has the bytes: they count until it releases them.
    expect(running.receivers.inWork()).toEqual({ requests: 1, bytes: requests.logs.length });
    holding.releaseAll(new Error("a consequence"));
    await until(() => running.events.length === 1);
    expect(running.events[0]!.code).toBe(Code.CANCELLED);
    expect(running.receivers.inWork()).toEqual({ requests: 0, bytes: 0 });
  });

  test("a connection that breaks aborts the consumer's signal", async () => {
    const holding = new Holding();
    const running = await start({}, holding.consumer);
    const { session, stream } = openCall(running.grpc);
    stream.end(framed(requests.logs));
    await holding.arrived(1);
    session.socket.destroy();
    await until(() => holding.requests[0]!.abort.aborted);
    holding.releaseAll();
  });

  test("a deadline answers at once and aborts", async () => {
    const holding = new Holding();
    const running = await start({}, holding.consumer);
    const answer = await rawCall(running, [framed(requests.logs)], { "grpc-timeout": "50m" });
    expect(answer["grpc-status"]).toBe("4");
    expect(holding.requests[0]!.abort.reason).toMatchObject({ code: Code.DEADLINE_EXCEEDED });
    holding.releaseAll();
  });
});

describe("limits over gRPC", () => {
  test("more than max_concurrent_requests are UNAVAILABLE with RetryInfo, before their body is read", async () => {
    const holding = new Holding();
    const running = await start({ limits: { max_concurrent_requests: 2 } }, holding.consumer);
    const client = grpcClient(running.grpc);
    const held = [grpcExport(client, "logs", requests.logs), grpcExport(client, "traces", requests.traces)];
    await holding.arrived(2);
    const answer = await rawCall(running, [
      framed(requests.logs).subarray(0, 3),
      () => until(() => running.events.length > 0),
    ]);
    expect(answer["grpc-status"]).toBe("14");
    expect(answer["grpc-status-details-bin"]).toBeDefined();
    const refused = await grpcExport(client, "logs", Buffer.alloc(1_000_000));
    expect(refused).toMatchObject({ code: Code.UNAVAILABLE });
    expect(refused.message).toContain("receive.limits.max_concurrent_requests");
    expect(refused.retryInfo?.retryDelay?.seconds).toBe(1n);
    holding.releaseAll();
    for (const answer of await Promise.all(held)) expect(answer.code).toBe(Code.OK);
    const after = grpcExport(client, "logs", requests.logs);
    await holding.arrived(3);
    holding.releaseAll();
    expect((await after).code).toBe(Code.OK);
  });

  test("max_inflight_size counts bytes as they arrive", async () => {
    const holding = new Holding();
    const running = await start({ limits: { max_inflight_size: 10_000 } }, holding.consumer);
    const client = grpcClient(running.grpc);
    const held = grpcExport(client, "logs", Buffer.alloc(6_000));
    await holding.arrived(1);
    // A single sender may hold seven times what is free.
    expect(await grpcExport(client, "logs", Buffer.alloc(2_751))).toMatchObject({ code: Code.UNAVAILABLE });
    const never = await grpcExport(client, "logs", Buffer.alloc(10_001));
    expect(never).toMatchObject({ code: Code.RESOURCE_EXHAUSTED, retryInfo: undefined });
    const announced = rawCall(running, [
      framed(Buffer.alloc(0), 0, 9_000),
      () => until(() => running.events.length > 2),
    ]);
    await until(() => running.receivers.inWork().requests === 2);
    expect(running.receivers.inWork().bytes).toBe(6_000);
    const fits = grpcExport(client, "logs", Buffer.alloc(2_750));
    await holding.arrived(2);
    holding.releaseAll();
    for (const answer of await Promise.all([held, fits])) expect(answer.code).toBe(Code.OK);
    expect((await announced)["grpc-status"]).toBe("13");
    expect(running.receivers.inWork()).toEqual({ requests: 0, bytes: 0 });
  });

  test("decompressed bytes count as well", async () => {
    const holding = new Holding();
    const running = await start({ limits: { max_inflight_size: 1_000_000 } }, holding.consumer);
    const client = grpcClient(running.grpc);
    const held = grpcExport(client, "logs", Buffer.alloc(600_000));
    await holding.arrived(1);
    for (const [encoding, bytes] of [
      ["gzip", gzipSync(Buffer.alloc(500_000))],
      ["deflate", deflateSync(Buffer.alloc(500_000))],
      ["zstd", native.compress("zstd", Buffer.alloc(500_000))],
    ] as const) {
      const answer = await rawCall(running, [framed(bytes, 1)], { "grpc-encoding": encoding });
      expect(answer["grpc-status"], encoding).toBe("14");
    }
    expect(running.receivers.inWork()).toEqual({ requests: 1, bytes: 600_000 });
    holding.releaseAll();
    await held;
  });

  test("max_concurrent_streams is announced", async () => {
    const running = await start({ grpc: { max_concurrent_streams: 7 } });
    const session = connectHttp2(`http://${running.grpc}`);
    afterwards(() => session.destroy());
    const settings = await new Promise((resolve) => session.once("remoteSettings", resolve));
    expect(settings).toMatchObject({ maxConcurrentStreams: 7, maxHeaderListSize: 16_384 });
  });

  test("connections beyond max_connections are closed", async () => {
    const running = await start({ limits: { max_connections: 1 } });
    const client = grpcClient(running.grpc);
    await grpcExport(client, "logs", requests.logs);
    const [host, port] = running.grpc.split(":");
    const socket = connectTcp(Number(port), host);
    await new Promise((resolve) => socket.on("close", resolve));
    expect(running.refusedConnections).toEqual(["grpc"]);
    expect((await grpcExport(client, "logs", requests.logs)).code).toBe(Code.OK);
  });

  test("streams that are reset as soon as they are opened do no harm", async () => {
    const running = await start({ grpc: { health: true } });
    const paths = [grpcMethod.logs, grpcMethod.traces, "/unknown", "/grpc.health.v1.Health/Check"];
    const variants: Record<string, string>[] = [{}, { "content-type": "text/plain" }, { ":method": "PUT" }];
    for (let round = 0; round < 10; round += 1) {
      const session = connectHttp2(`http://${running.grpc}`);
      session.on("error", () => {});
      await new Promise((resolve) => session.once("remoteSettings", resolve));
      const closed = paths.flatMap((path) =>
        variants.map((variant) => {
          const stream = session.request({
            ":method": "POST",
            ":path": path,
            "content-type": "application/grpc",
            ...variant,
          });
          stream.on("error", () => {});
          if (round % 2 === 0) stream.write(framed(requests.logs).subarray(0, 10));
          stream.close(8);
          return new Promise((resolve) => stream.on("close", resolve));
        }),
      );
      await Promise.all(closed);
      session.destroy();
    }
    expect((await grpcExport(grpcClient(running.grpc), "logs", requests.logs)).code).toBe(Code.OK);
    await until(() => running.receivers.inWork().requests === 0);
    expect(running.taken).toHaveLength(1);
  });

  test("HTTP/1 on the port does no harm", async () => {
    const running = await start();
    const [host, port] = running.grpc.split(":");
    const socket = connectTcp(Number(port), host);
    socket.on("error", () => {});
    socket.resume();
    socket.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n".repeat(10));
    await new Promise((resolve) => socket.on("close", resolve));
    expect((await grpcExport(grpcClient(running.grpc), "logs", requests.logs)).code).toBe(Code.OK);
  });
});

describe("senders", () => {
  test("are asked who they are", async () => {
    const running = await start({}, undefined, async ({ header, peer }) => {
      const name = header("x-name");
      if (typeof name === "string") return `${name} at ${peer}`;
      throw new ExportError(Code.PERMISSION_DENIED, "nameless");
    });
    const client = grpcClient(running.grpc);
    await grpcExport(client, "logs", requests.logs, { headers: { "x-name": "team-7" } });
    const refused = await grpcExport(client, "logs", requests.logs);
    expect(refused).toMatchObject({ code: Code.PERMISSION_DENIED, message: "nameless" });
    expect(running.taken.map(({ tenant }) => tenant)).toEqual(["team-7 at 127.0.0.1"]);
  });

  test("beyond their limits are told when to come back", async () => {
    const running = await start({}, undefined, async () => {
      throw new ExportError(Code.RESOURCE_EXHAUSTED, "too many", 1_500);
    });
    const answer = await grpcExport(grpcClient(running.grpc), "logs", requests.logs);
    expect(answer.code).toBe(Code.RESOURCE_EXHAUSTED);
    expect(answer.retryInfo?.retryDelay).toMatchObject({ seconds: 1n, nanos: 500_000_000 });
  });
});
