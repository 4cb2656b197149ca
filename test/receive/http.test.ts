import { connect, type Socket } from "node:net";
import { deflateSync, gzipSync } from "node:zlib";
import { fromBinary } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import { StatusSchema } from "../../src/gen/google/rpc/status_pb.js";
import { ExportLogsServiceResponseSchema } from "../../src/gen/opentelemetry/proto/collector/logs/v1/logs_service_pb.js";
import { native } from "../../src/native.ts";
import { Code, ExportError, httpPath, signals } from "../../src/otlp/protocol.ts";
import {
  afterwards,
  Holding,
  httpExport,
  lz4Frame,
  type Running,
  requests,
  retryInfo,
  start,
  until,
} from "./support.ts";

const snappyFrames =
  "ff060000734e61507059002100000410ee6960146f6e65206c690505306b6520746865206f746865720afe18001118";

const json = { headers: { "content-type": "application/json" } };

function rawSocket({ http }: Running): Socket {
  const [host, port] = http.split(":");
  const socket = connect(Number(port), host);
  socket.on("error", () => {});
  afterwards(() => socket.destroy());
  return socket;
}

/** Resolves to everything that the server sends until it closes. */
function conversation(socket: Socket): Promise<string> {
  let text = "";
  socket.on("data", (chunk) => {
    text += chunk;
  });
  return new Promise((resolve) => socket.on("close", () => resolve(text)));
}

function head(headers: Record<string, string | number>, path = httpPath.logs): string {
  const lines = Object.entries({ host: "x", "content-type": "application/x-protobuf", ...headers });
  return `POST ${path} HTTP/1.1\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join("")}\r\n`;
}

describe("Export over HTTP", () => {
  test.each(signals)("%s reach the consumer byte for byte", async (signal) => {
    const running = await start();
    const answer = await httpExport(running.http, signal, requests[signal]);
    expect(answer).toMatchObject({ status: 200, body: Buffer.alloc(0) });
    expect(answer.headers["content-type"]).toBe("application/x-protobuf");
    expect(running.taken).toMatchObject([{ signal, tenant: "default" }]);
    expect(running.taken[0]!.body).toEqual(Buffer.from(requests[signal]));
    const bytes = requests[signal].length;
    expect(running.events).toMatchObject([
      { signal, transport: "http", code: Code.OK, bytes, wireBytes: bytes },
    ]);
    expect(running.receivers.inWork()).toEqual({ requests: 0, bytes: 0 });
  });

  test("fetch works, with a charset and a query", async () => {
    const running = await start();
    const body = Buffer.alloc(5_000_000, "abc");
    const answer = await fetch(`http://${running.http}/v1/logs?from=me`, {
      method: "POST",
      headers: { "content-type": "Application/X-Protobuf; charset=utf-8" },
      body,
    });
    expect(answer.status).toBe(200);
    expect(running.taken[0]!.body.equals(body)).toBe(true);
  });

  test("an empty body is an empty request", async () => {
    const running = await start();
    expect((await httpExport(running.http, "logs", "")).status).toBe(200);
    expect(running.taken[0]!.body).toHaveLength(0);
  });

  test.each([
    ["a chunk without a size", "zz\r\n{}", 400],
    ["a chunk that is longer than it says", "2\r\n{}x", 400],
    ["a length as a trailer", "2\r\n{}\r\n0\r\ncontent-length: 2\r\n\r\n", 400],
    ["extensions without end", `2;${"a".repeat(20_000)}`, 413],
  ])("a body with %s is refused, and the sender told so", async (_name, body, status) => {
    const running = await start();
    const socket = rawSocket(running);
    socket.write(head({ "content-type": "application/json", "transfer-encoding": "chunked" }));
    socket.write(body);
    const answer = await conversation(socket);
    expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    expect(answer).toMatch(/connection: close/i);
    expect(answer).toContain("the body is not well-formed: ");
    expect(running.taken).toEqual([]);
    expect(running.receivers.inWork()).toEqual({ requests: 0, bytes: 0 });
  });

  test("a body may come in chunks without a length", async () => {
    const running = await start();
    const answer = await httpExport(running.http, "logs", Buffer.alloc(300_000, 7), {
      headers: { "transfer-encoding": "chunked" },
    });
    expect(answer.status).toBe(200);
    expect(running.taken[0]!.body.equals(Buffer.alloc(300_000, 7))).toBe(true);
  });

  test.each([
    ["gzip", (bytes: Buffer) => gzipSync(bytes)],
    ["GZIP", (bytes: Buffer) => gzipSync(bytes)],
    ["deflate", (bytes: Buffer) => deflateSync(bytes)],
    ["zlib", (bytes: Buffer) => deflateSync(bytes)],
    ["zstd", (bytes: Buffer) => native.compress("zstd", bytes)],
    ["lz4", lz4Frame],
    ["identity", (bytes: Buffer) => bytes],
  ])("content-encoding %s", async (encoding, compress) => {
    const running = await start();
    const body = Buffer.alloc(500_000, "one line like the other\n");
    const sent = compress(body);
    const answer = await httpExport(running.http, "traces", sent, {
      headers: { "content-encoding": encoding },
    });
    expect(answer.status).toBe(200);
    expect(running.taken[0]!.body.equals(body)).toBe(true);
    expect(running.events).toMatchObject([{ bytes: 500_000, wireBytes: sent.length }]);
  });

  test.each([
    ["snappy", "60146f6e65206c690505306b6520746865206f746865720afe18001118"],
    ["snappy", snappyFrames],
    ["x-snappy-framed", snappyFrames],
    [
      "lz4",
      "04224d185440ae20000000616f6e65206c690500df6b6520746865206f746865720a18003050746865720a6514b75c00000000eb7f0f6b",
    ],
  ])("content-encoding %s as others write it", async (encoding, hex) => {
    const running = await start();
    const headers = { "content-encoding": encoding };
    expect((await httpExport(running.http, "logs", Buffer.from(hex, "hex"), { headers })).status).toBe(200);
    expect(String(running.taken[0]!.body)).toBe("one line like the other\n".repeat(4));
    for (const cut of [1, 5]) {
      const torn = Buffer.from(hex, "hex").subarray(0, -cut);
      const answer = await httpExport(running.http, "logs", torn, { headers });
      expect(answer.status).toBe(400);
    }
    expect(running.taken).toHaveLength(1);
    expect(running.receivers.inWork()).toEqual({ requests: 0, bytes: 0 });
  });

  test("gzip of several members is one body", async () => {
    const running = await start();
    const [a, b] = [Buffer.alloc(200_000, "a"), Buffer.from("end")];
    const sent = Buffer.concat([gzipSync(a), gzipSync(b)]);
    expect(
      (await httpExport(running.http, "logs", sent, { headers: { "content-encoding": "gzip" } })).status,
    ).toBe(200);
    expect(running.taken[0]!.body.equals(Buffer.concat([a, b]))).toBe(true);
  });

  test("partial success comes back in the request's type", async () => {
    const running = await start({}, async () => ({ rejected: 2, message: "too old" }));
    const binary = await httpExport(running.http, "logs", requests.logs);
    expect(fromBinary(ExportLogsServiceResponseSchema, binary.body)).toMatchObject({
      partialSuccess: { rejectedLogRecords: 2n, errorMessage: "too old" },
    });
    for (const [signal, key] of [
      ["logs", "rejectedLogRecords"],
      ["traces", "rejectedSpans"],
      ["metrics", "rejectedDataPoints"],
    ] as const) {
      const answer = await httpExport(running.http, signal, "{}", json);
      expect(answer.headers["content-type"]).toBe("application/json");
      expect(JSON.parse(String(answer.body))).toEqual({
        partialSuccess: { [key]: "2", errorMessage: "too old" },
      });
    }
  });

  test("a sender that waits for 100 Continue is told to go on, or not", async () => {
    const running = await start({ limits: { max_request_size: 100 } });
    for (const [size, status] of [
      [101, 413],
      [100, 200],
    ] as const) {
      const socket = rawSocket(running);
      const said = conversation(socket);
      socket.write(head({ expect: "100-continue", "content-length": size, connection: "close" }));
      if (status === 200) {
        await new Promise((resolve) => socket.once("data", resolve));
        socket.write(Buffer.alloc(size));
      }
      const text = await said;
      expect(text.startsWith("HTTP/1.1 100 Continue")).toBe(status === 200);
      expect(text).toContain(`HTTP/1.1 ${status} `);
    }
  });
});

describe("errors over HTTP", () => {
  test.each([
    ["an unknown path", 404, { path: "/v1/profiles" }, Code.UNIMPLEMENTED],
    ["a path below", 404, { path: "/v1/logs/" }, Code.UNIMPLEMENTED],
    ["another method", 405, { method: "PUT" }, Code.UNIMPLEMENTED],
    [
      "no content type that OTLP has",
      415,
      { headers: { "content-type": "text/plain" } },
      Code.INVALID_ARGUMENT,
    ],
    ["an unknown encoding", 415, { headers: { "content-encoding": "br" } }, Code.INVALID_ARGUMENT],
    ["two encodings", 415, { headers: { "content-encoding": "gzip, gzip" } }, Code.INVALID_ARGUMENT],
    ["what is not gzip", 400, { headers: { "content-encoding": "gzip" } }, Code.INVALID_ARGUMENT],
    ["what is not zstd", 400, { headers: { "content-encoding": "zstd" } }, Code.INVALID_ARGUMENT],
    ["what is not JSON", 400, { headers: { "content-type": "application/json" } }, Code.INVALID_ARGUMENT],
  ])("%s: %i", async (_name, status, options, code) => {
    const running = await start();
    const answer = await httpExport(running.http, "logs", "neither compressed nor JSON", options);
    expect(answer.status).toBe(status);
    if (status === 405) expect(answer.headers.allow).toBe("POST");
    const told =
      answer.headers["content-type"] === "application/x-protobuf"
        ? fromBinary(StatusSchema, answer.body)
        : JSON.parse(String(answer.body));
    expect(told).toMatchObject({ code, message: expect.stringMatching(/.{10}/) });
    expect(running.taken).toEqual([]);
    expect(running.receivers.inWork()).toEqual({ requests: 0, bytes: 0 });
  });

  test("GET is answered in JSON", async () => {
    const running = await start();
    const answer = await fetch(`http://${running.http}/v1/logs`);
    expect(answer.status).toBe(405);
    expect(answer.headers.get("allow")).toBe("POST");
    expect(await answer.json()).toMatchObject({ code: Code.UNIMPLEMENTED });
  });

  test.each([
    [Code.INVALID_ARGUMENT, undefined, 400],
    [Code.FAILED_PRECONDITION, undefined, 400],
    [Code.UNAUTHENTICATED, undefined, 401],
    [Code.PERMISSION_DENIED, undefined, 403],
    [Code.RESOURCE_EXHAUSTED, undefined, 413],
    [Code.RESOURCE_EXHAUSTED, 1_500, 429],
    [Code.INTERNAL, undefined, 500],
    [Code.UNKNOWN, undefined, 500],
    [Code.UNIMPLEMENTED, undefined, 501],
    [Code.UNAVAILABLE, undefined, 503],
    [Code.UNAVAILABLE, 1_500, 503],
    [Code.ABORTED, undefined, 503],
    [Code.OUT_OF_RANGE, undefined, 503],
    [Code.DATA_LOSS, undefined, 503],
    [Code.DEADLINE_EXCEEDED, undefined, 504],
  ])("code %i, again after %j: %i", async (code, retryAfterMs, status) => {
    const running = await start({}, async () => {
      throw new ExportError(code, "as it is", retryAfterMs);
    });
    const binary = await httpExport(running.http, "logs", requests.logs);
    expect(binary.status).toBe(status);
    expect(binary.headers["retry-after"]).toBe(retryAfterMs === undefined ? undefined : "2");
    expect(fromBinary(StatusSchema, binary.body)).toMatchObject({ code, message: "as it is" });
    const delay = retryInfo(binary.body)?.retryDelay;
    if (retryAfterMs === undefined) expect(delay).toBeUndefined();
    else expect(delay).toMatchObject({ seconds: 1n, nanos: 500_000_000 });

    const text = await httpExport(running.http, "logs", "{}", json);
    expect(text.status).toBe(status);
    const details = retryAfterMs && [
      { "@type": "type.googleapis.com/google.rpc.RetryInfo", retryDelay: "1.500s" },
    ];
    expect(JSON.parse(String(text.body))).toEqual({ code, message: "as it is", ...(details && { details }) });
  });

  test("any other error is 500, logged, and not shown", async () => {
    const running = await start({}, async () => {
      throw new TypeError("secret of the house");
    });
    const answer = await httpExport(running.http, "logs", "{}", json);
    expect(answer.status).toBe(500);
    expect(JSON.parse(String(answer.body))).toEqual({ code: Code.INTERNAL, message: "internal error" });
    expect(JSON.stringify(running.logged)).toContain("secret of the house");
  });

  test.each([
    ["with a length", {}],
    ["in chunks", { "transfer-encoding": "chunked" }],
  ])("larger than max_request_size, %s: 413, and the connection lives on", async (_name, headers) => {
    const running = await start({ limits: { max_request_size: 1_000 } });
    const post = (size: number) => httpExport(running.http, "logs", Buffer.alloc(size), { headers });
    const answer = await post(2_000_000);
    expect(answer.status).toBe(413);
    const status = fromBinary(StatusSchema, answer.body);
    expect(status).toMatchObject({ code: Code.RESOURCE_EXHAUSTED, details: [] });
    expect(status.message).toContain("receive.limits.max_request_size");
    expect((await post(1_001)).status).toBe(413);
    expect((await post(1_000)).status).toBe(200);
    expect(running.taken).toHaveLength(1);

    const socket = rawSocket(running);
    const said = conversation(socket);
    socket.write(head({ "content-length": 200_000 }));
    socket.write(Buffer.alloc(200_000));
    socket.write(`${head({ "content-length": 1, connection: "close" })}x`);
    expect((await said).match(/HTTP\/1.1 \d+/g)).toEqual(["HTTP/1.1 413", "HTTP/1.1 200"]);
  });

  test.each([
    ["gzip", (bytes: Buffer) => gzipSync(bytes)],
    ["deflate", (bytes: Buffer) => deflateSync(bytes)],
    ["zstd", (bytes: Buffer) => native.compress("zstd", bytes)],
  ])("max_request_size holds after %s as well", async (encoding, compress) => {
    const running = await start({ limits: { max_request_size: 1_000_000 } });
    const post = (size: number) =>
      httpExport(running.http, "logs", compress(Buffer.alloc(size)), {
        headers: { "content-encoding": encoding },
      });
    expect((await post(1_000_001)).status).toBe(413);
    expect((await post(1_000_000)).status).toBe(200);
    expect(running.taken.map(({ body }) => body.length)).toEqual([1_000_000]);
  });

  test("an unknown sender: 401, before its body is read", async () => {
    const running = await start({}, undefined, async ({ header, peer }) => {
      if (header("authorization") === "Bearer good") return `tenant of ${peer}`;
      throw new ExportError(Code.UNAUTHENTICATED, "who are you?");
    });
    const post = (headers: Record<string, string>) => httpExport(running.http, "logs", "x", { headers });
    const answer = await post({});
    expect(answer.status).toBe(401);
    expect(answer.headers["www-authenticate"]).toBe("Bearer");
    expect(fromBinary(StatusSchema, answer.body).message).toBe("who are you?");
    expect((await post({ authorization: "Bearer good" })).status).toBe(200);
    expect(running.taken.map(({ tenant }) => tenant)).toEqual(["tenant of 127.0.0.1"]);
    expect(running.events.map(({ code, wireBytes }) => [code, wireBytes])).toEqual([
      [Code.UNAUTHENTICATED, 0],
      [Code.OK, 1],
    ]);
  });

  test("headers beyond max_header_size: 431", async () => {
    const running = await start({ limits: { max_header_size: 2_000 } });
    expect(
      (await httpExport(running.http, "logs", "x", { headers: { "x-long": "a".repeat(3_000) } })).status,
    ).toBe(431);
    const many = Object.fromEntries(Array.from({ length: 500 }, (_, i) => [`x-${i}`, "v"]));
    expect((await httpExport(running.http, "logs", "x", { headers: many })).status).toBe(431);
    expect((await httpExport(running.http, "logs", "x")).status).toBe(200);
  });

  test("what is not HTTP: 400", async () => {
    const running = await start();
    const socket = rawSocket(running);
    socket.write("\u0016\u0003\u0001 hello\r\n\r\n");
    expect(await conversation(socket)).toMatch(/^HTTP\/1\.1 400 /);
  });
});

describe("time", () => {
  test("a body that does not arrive within request_timeout: 408", async () => {
    const running = await start({ http: { request_timeout: 200 } });
    const socket = rawSocket(running);
    const said = conversation(socket);
    socket.write(head({ "content-length": 10_000, "content-type": "application/json" }));
    const drip = setInterval(() => socket.write("{"), 20);
    afterwards(() => clearInterval(drip));
    const text = await said;
    expect(text).toMatch(/^HTTP\/1\.1 408 /);
    expect(text).toContain("receive.http.request_timeout");
    expect(running.events).toMatchObject([{ code: Code.DEADLINE_EXCEEDED }]);
    expect(running.taken).toEqual([]);
    expect(running.receivers.inWork()).toEqual({ requests: 0, bytes: 0 });
  });

  test("headers that do not arrive within request_timeout: 408", async () => {
    const running = await start({ http: { request_timeout: 100 } });
    const socket = rawSocket(running);
    socket.write("POST /v1/logs HTTP/1.1\r\n");
    expect(await conversation(socket)).toMatch(/^HTTP\/1\.1 408 /);
  });

  test("a refused body is read past for no longer than request_timeout", async () => {
    const running = await start({ http: { request_timeout: 200 }, limits: { max_request_size: 100 } });
    const socket = rawSocket(running);
    const said = conversation(socket);
    socket.write(head({ "content-length": 1_000_000_000 }));
    const drip = setInterval(() => socket.write("{"), 20);
    afterwards(() => clearInterval(drip));
    expect(await said).toMatch(/^HTTP\/1\.1 413 /);
  });

  test("a sender that goes away aborts the consumer's signal", async () => {
    const holding = new Holding();
    const running = await start({}, holding.consumer);
    const socket = rawSocket(running);
    socket.write(`${head({ "content-length": 1 })}x`);
    await holding.arrived(1);
    const { abort } = holding.requests[0]!;
    expect(abort.aborted).toBe(false);
    socket.destroy();
    await until(() => abort.aborted);
    expect(abort.reason).toMatchObject({ code: Code.CANCELLED });
    holding.releaseAll();
    await until(() => running.events.length === 1);
  });

  test("a sender that goes away within its body is never handed on", async () => {
    const running = await start();
    const socket = rawSocket(running);
    socket.write(`${head({ "content-length": 1_000 })}x`);
    await until(() => running.receivers.inWork().bytes > 0);
    socket.destroy();
    await until(() => running.events.length === 1);
    expect(running.events).toMatchObject([{ code: Code.CANCELLED }]);
    expect(running.taken).toEqual([]);
    expect(running.receivers.inWork()).toEqual({ requests: 0, bytes: 0 });
  });

  test("an answered request's signal is not aborted by the end of its connection", async () => {
    const running = await start();
    await httpExport(running.http, "logs", "x");
    await until(() => running.receivers.inWork().requests === 0);
    expect(running.taken[0]!.abort.aborted).toBe(false);
  });
});

describe("CORS", () => {
  const origin = "https://shop.example.com";
  const ask = (http: string, headers: Record<string, string> = {}, path: string = httpPath.traces) =>
    httpExport(http, "traces", undefined, {
      method: "OPTIONS",
      path,
      headers: { origin, "access-control-request-method": "POST", ...headers },
    });
  const corsOf = (headers: object) =>
    Object.fromEntries(Object.entries(headers).filter(([name]) => name.startsWith("access-control")));

  test("is off by default", async () => {
    const { http } = await start();
    const preflight = await ask(http);
    expect(preflight.status).toBe(405);
    const answer = await httpExport(http, "logs", requests.logs, { headers: { origin } });
    expect(answer.status).toBe(200);
    for (const { headers } of [preflight, answer]) {
      expect(corsOf(headers)).toEqual({});
      expect(headers.vary).toBeUndefined();
    }
  });

  test("a preflight request is answered, and so is what follows", async () => {
    const cors = {
      allowed_origins: [origin],
      allowed_headers: ["Authorization", "x-tenant"],
      max_age: "10m",
    };
    const running = await start({ http: { cors } });
    const asked = "content-type, Authorization,x-tenant";
    const preflight = await ask(running.http, { "access-control-request-headers": asked });
    expect(preflight).toMatchObject({ status: 204, body: Buffer.alloc(0) });
    expect(corsOf(preflight.headers)).toEqual({
      "access-control-allow-origin": origin,
      "access-control-allow-credentials": "true",
      "access-control-allow-methods": "POST",
      "access-control-allow-headers": "content-type, authorization, x-tenant",
      "access-control-max-age": "600",
    });
    expect(preflight.headers.vary).toContain("Origin");
    for (const [status, type, body] of [
      [200, "application/json", "{}"],
      [400, "application/json", "{"],
      [415, "text/plain", "{}"],
    ] as const) {
      const answer = await httpExport(running.http, "traces", body, {
        headers: { origin, "content-type": type },
      });
      expect(answer.status).toBe(status);
      expect(corsOf(answer.headers)).toEqual({
        "access-control-allow-origin": origin,
        "access-control-allow-credentials": "true",
        "access-control-expose-headers": "retry-after",
      });
      expect(answer.headers.vary).toBe("Origin");
    }
    // It is not counted as a request, nor asked for a key.
    expect(running.events).toHaveLength(3);
  });

  test("what is not allowed gets no permission", async () => {
    const { http } = await start({ http: { cors: { allowed_origins: [origin] } } });
    for (const headers of [
      { origin: "https://shop.example.com.evil.test" },
      { origin: "http://shop.example.com" },
      { origin: "null" },
      { "access-control-request-method": "PUT" },
      { "access-control-request-headers": "content-type, authorization" },
    ] as Record<string, string>[]) {
      const preflight = await ask(http, headers);
      expect(preflight.status).toBe(204);
      expect(corsOf(preflight.headers)).toEqual({});
    }
    const answer = await httpExport(http, "logs", requests.logs, {
      headers: { origin: "https://evil.test" },
    });
    expect(corsOf(answer.headers)).toEqual({});
    expect((await ask(http, {}, "/nothing")).status).toBe(404);
  });

  test("asterisks stand for any characters; one alone for any origin, without credentials", async () => {
    const allowed = async (allowed_origins: string[], origin: string) => {
      const { http } = await start({ http: { cors: { allowed_origins, allowed_headers: ["*"] } } });
      const { headers } = await ask(http, { origin, "access-control-request-headers": "x-any" });
      return [headers["access-control-allow-origin"], headers["access-control-allow-credentials"]];
    };
    expect(await allowed(["https://*.example.com"], "https://a.b.example.com")).toEqual([
      "https://a.b.example.com",
      "true",
    ]);
    expect(await allowed(["https://*.example.com"], "https://example.com")).toEqual([undefined, undefined]);
    expect(await allowed(["https://*.example.com"], "https://aXexample.com")).toEqual([undefined, undefined]);
    expect(await allowed(["http://localhost:*"], "http://localhost:5173")).toEqual([
      "http://localhost:5173",
      "true",
    ]);
    expect(await allowed(["*"], "https://evil.test")).toEqual(["*", undefined]);
    expect(await allowed(["*", origin], origin)).toEqual([origin, "true"]);
  });
});

describe("limits over HTTP", () => {
  test("more than max_concurrent_requests: 503 with Retry-After", async () => {
    const holding = new Holding();
    const running = await start({ limits: { max_concurrent_requests: 1 } }, holding.consumer);
    const held = httpExport(running.http, "logs", requests.logs);
    await holding.arrived(1);
    const refused = await httpExport(running.http, "traces", requests.traces);
    expect(refused.status).toBe(503);
    expect(refused.headers["retry-after"]).toBe("1");
    expect(fromBinary(StatusSchema, refused.body).message).toContain(
      "receive.limits.max_concurrent_requests",
    );
    holding.releaseAll();
    expect((await held).status).toBe(200);
  });

  test("max_inflight_size holds what has arrived of a body, not what is announced", async () => {
    const holding = new Holding();
    const running = await start({ limits: { max_inflight_size: 10_000 } }, holding.consumer);
    const stalled = Array.from({ length: 20 }, () => rawSocket(running));
    for (const socket of stalled) socket.write(head({ "content-length": 9_000 }));
    await until(() => running.receivers.inWork().requests === 20);
    expect(running.receivers.inWork().bytes).toBe(0);
    const held = httpExport(running.http, "logs", Buffer.alloc(8_000));
    await holding.arrived(1);
    expect((await httpExport(running.http, "logs", Buffer.alloc(1_001))).status).toBe(503);
    const chunked = { headers: { "transfer-encoding": "chunked" } };
    expect((await httpExport(running.http, "logs", Buffer.alloc(1_001), chunked)).status).toBe(503);
    expect((await httpExport(running.http, "logs", Buffer.alloc(10_001))).status).toBe(413);
    for (const socket of stalled) socket.destroy();
    holding.releaseAll();
    expect((await held).status).toBe(200);
    await until(() => running.receivers.inWork().requests === 0);
    expect(running.receivers.inWork().bytes).toBe(0);
  });

  test("connections beyond max_connections are closed", async () => {
    const running = await start({ limits: { max_connections: 1 } });
    const first = rawSocket(running);
    first.write(`${head({ "content-length": 1 })}x`);
    await new Promise((resolve) => first.once("data", resolve));
    const second = rawSocket(running);
    expect(await conversation(second)).toBe("");
    expect(running.refusedConnections).toEqual(["http"]);
  });
});
