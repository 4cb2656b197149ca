import { constants } from "node:http2";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { create, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import pino from "pino";
import { describe, expect, it, vi } from "vitest";
import { configSchema } from "../../src/config/schema.ts";
import { Forwarder } from "../../src/forward/index.ts";
import { readAnswer } from "../../src/forward/transport/grpc-answer.ts";
import { ExportLogsServiceResponseSchema } from "../../src/gen/opentelemetry/proto/collector/logs/v1/logs_service_pb.js";
import { formatTimeout, percentDecode } from "../../src/otlp/grpc.ts";
import { Code, type ExportError, type ExportRequest, grpcMethod, signals } from "../../src/otlp/protocol.ts";
import { startReceivers } from "../../src/receive/index.ts";
import { cleanups } from "./cleanups.ts";
import { forwardConfig, patient, statusBytes, type Watch, watch } from "./downstream.ts";
import { type Call, framed, type RawDownstream, respond, startRaw, trailersOnly } from "./raw-grpc.ts";

async function raw(...args: Parameters<typeof startRaw>): Promise<RawDownstream> {
  const server = await startRaw(...args);
  cleanups.push(() => server.close());
  return server;
}

function forwarder(
  endpoint: string,
  overrides?: Parameters<typeof forwardConfig>[2],
): { forward: Forwarder; seen: Watch } {
  const seen = watch();
  const forward = new Forwarder(forwardConfig("grpc", endpoint, overrides), seen);
  cleanups.push(() => forward.close(0));
  return { forward, seen };
}

/** Returns the error that the sender receives for a server's answer to the only attempt. */
async function refusal(answer: (call: Call) => unknown): Promise<ExportError> {
  const server = await raw(answer);
  const { forward } = forwarder(server.endpoint, { retry: { enabled: false } });
  return (await forward.export("logs", body, patient()).then(
    () => expect.unreachable("must reject"),
    (error: unknown) => error,
  )) as ExportError;
}

const body = Buffer.from("a request, as it came \x00\xff", "latin1");
const once = { retry: { enabled: false } };
const partialSuccess = { rejected: 3, message: "three were too old" };
const partialBytes = Buffer.from(
  toBinary(
    ExportLogsServiceResponseSchema,
    create(ExportLogsServiceResponseSchema, {
      partialSuccess: { rejectedLogRecords: 3n, errorMessage: "three were too old" },
    }),
  ),
);

describe("a call on the wire", () => {
  it("has the headers that gRPC asks for, and the message behind its prefix", async () => {
    const server = await raw((call) => respond(call));
    const { forward } = forwarder(server.endpoint, {
      timeout: 9_000,
      headers: { Authorization: "Bearer x", "trace-bin": "AAEC" },
    });
    for (const signal of signals) await forward.export(signal, body, patient());
    expect(server.calls.map(({ headers }) => headers[":path"])).toEqual(
      signals.map((signal) => grpcMethod[signal]),
    );
    for (const { headers, body: sent } of server.calls) {
      expect(headers).toMatchObject({
        ":method": "POST",
        ":scheme": "http",
        ":authority": `127.0.0.1:${server.port}`,
        te: "trailers",
        "content-type": "application/grpc",
        "grpc-accept-encoding": "identity",
        authorization: "Bearer x",
        "trace-bin": "AAEC",
      });
      expect(headers["user-agent"]).toMatch(/^Driftlock-OTLP-Exporter\/\S+ Node\/\d+/);
      expect(headers["grpc-timeout"]).toMatch(/^\d{1,4}m$/);
      expect(Number.parseInt(String(headers["grpc-timeout"]), 10)).toBeLessThanOrEqual(9_000);
      expect(headers["grpc-encoding"]).toBeUndefined();
      expect((await sent).equals(framed(body))).toBe(true);
    }
    expect(server.sessions).toHaveLength(1);
  });

  it.each(["none", "gzip", "zstd"] as const)(
    "is read by Driftlock's own receiver, with %s",
    async (compression) => {
      const taken: ExportRequest[] = [];
      const { receive } = configSchema.parse({
        receive: { grpc: { endpoint: "127.0.0.1:0" }, http: { enabled: false } },
      });
      const receivers = await startReceivers(
        receive,
        async (request) => {
          if (request.body.length > 0) taken.push(request);
          return partialSuccess;
        },
        {
          log: pino({ level: "silent" }),
          onRequest: () => {},
          onRequestCut: () => {},
          onConnectionRefused: () => {},
          onConnectionClosed: () => {},
        },
      );
      cleanups.push(() => receivers.close(0));
      const { forward } = forwarder(`http://${receivers.addresses.grpc}`, { compression });
      const large = Buffer.alloc(5_000_000, "resource_logs of some length ");
      for (const request of [large, body]) {
        expect(await forward.export("logs", request, patient())).toEqual(partialSuccess);
      }
      expect(taken.map((request) => request.body.equals(large) || request.body.equals(body))).toEqual([
        true,
        true,
      ]);
    },
  );

  it("passes windows far smaller than the message", async () => {
    const server = await raw(async (call) => {
      await call.body;
      respond(call);
    });
    const { forward } = forwarder(server.endpoint);
    const large = Buffer.alloc(20 * 2 ** 20, "0123456789abcdef!");
    await forward.export("logs", large, patient());
    expect((await server.calls[0]!.body).subarray(5).equals(large)).toBe(true);
  });

  it("opens no more streams than the peer takes", async () => {
    let now = 0;
    let most = 0;
    const server = await raw(
      async (call) => {
        most = Math.max(most, ++now);
        await new Promise(setImmediate);
        now--;
        respond(call);
      },
      { settings: { maxConcurrentStreams: 2 } },
    );
    const { forward, seen } = forwarder(server.endpoint, { queue: { concurrency: 20 } });
    await Promise.all(Array.from({ length: 40 }, () => forward.export("logs", body, patient())));
    expect(most).toBeLessThanOrEqual(2);
    expect(new Set(seen.attempts)).toEqual(new Set([Code.OK]));
    expect(server.sessions).toHaveLength(1);
  });

  it("is reset with CANCEL when its sender goes, and when its time is over", async () => {
    const server = await raw(() => {});
    const { forward } = forwarder(server.endpoint, { ...once, timeout: 300 });
    const sender = new AbortController();
    const cancelled = forward.export("logs", body, sender.signal).catch((error) => error);
    await vi.waitFor(() => expect(server.calls).toHaveLength(1));
    sender.abort();
    expect(await cancelled).toMatchObject({ code: Code.CANCELLED });
    const late = await forward.export("logs", body, patient()).catch((error) => error);
    expect(late.message).toContain("DEADLINE_EXCEEDED: no answer within 300 ms");
    for (const { stream } of server.calls) {
      await vi.waitFor(() => expect(stream.rstCode).toBe(constants.NGHTTP2_CANCEL));
    }
  });
});

describe("an answer", () => {
  it.each<[string, Buffer]>([
    ["gzip", gzipSync(partialBytes)],
    ["zstd", zstdCompressSync(partialBytes)],
  ])("may come in %s", async (encoding, bytes) => {
    const server = await raw((call) =>
      respond(call, framed(bytes, 1), undefined, { "grpc-encoding": encoding }),
    );
    const { forward } = forwarder(server.endpoint, { compression: encoding as "gzip" | "zstd" });
    expect(await forward.export("logs", body, patient())).toEqual(partialSuccess);
  });

  it.each<[string, Buffer]>([
    ["gzip", gzipSync(Buffer.alloc(64 * 2 ** 20))],
    ["zstd", zstdCompressSync(Buffer.alloc(64 * 2 ** 20))],
  ])("that is a %s bomb is not expanded, and its status stands", async (encoding, bytes) => {
    const server = await raw((call) =>
      respond(call, framed(bytes, 1), undefined, { "grpc-encoding": encoding }),
    );
    const { forward, seen } = forwarder(server.endpoint);
    expect(await forward.export("logs", body, patient())).toBeUndefined();
    expect(seen.attempts).toEqual([Code.OK]);
  });

  it("with trailers alone gives status, text and RetryInfo", async () => {
    const details = statusBytes(Code.UNAVAILABLE, "später", 7_000).toString("base64").replaceAll("=", "");
    const trailers = {
      "grpc-status": "14",
      "grpc-message": "sp%C3%A4ter, 100%25 sicher%zz",
      "grpc-status-details-bin": details,
    };
    for (const answer of [
      (call: Call) => trailersOnly(call, trailers),
      (call: Call) => respond(call, Buffer.alloc(0), trailers),
    ]) {
      const error = await refusal(answer);
      expect(error).toMatchObject({ code: Code.UNAVAILABLE, retryAfterMs: 7_000 });
      expect(error.message).toContain("UNAVAILABLE: später, 100% sicher%zz");
    }
  });

  it.each<[number, Code]>([
    [400, Code.INTERNAL],
    [401, Code.UNAUTHENTICATED],
    [403, Code.PERMISSION_DENIED],
    [404, Code.UNIMPLEMENTED],
    [429, Code.UNAVAILABLE],
    [500, Code.UNKNOWN],
    [502, Code.UNAVAILABLE],
    [503, Code.UNAVAILABLE],
    [504, Code.UNAVAILABLE],
    [200, Code.UNKNOWN],
  ])("of HTTP %i without gRPC is code %i", async (status, code) => {
    const error = await refusal(({ stream }) => {
      stream.respond({ ":status": status, "content-type": "text/html" });
      stream.end("<h1>proxy</h1>");
    });
    expect(error.code).toBe(code);
    expect(error.message).toContain(`HTTP ${status} with content-type text/html, not gRPC`);
  });

  it("before the message has been sent ends the call", async () => {
    const large = Buffer.alloc(8 * 2 ** 20);
    const server = await raw((call) => {
      call.stream.pause();
      trailersOnly(call, { "grpc-status": "3", "grpc-message": "no" });
    });
    const { forward, seen } = forwarder(server.endpoint);
    const error = await forward.export("logs", large, patient()).catch((reason) => reason);
    expect(error).toMatchObject({ code: Code.INVALID_ARGUMENT });
    expect(seen.attempts).toEqual([Code.INVALID_ARGUMENT]);
  });

  it("counts although the stream is reset behind it", async () => {
    const error = await refusal((call) => {
      trailersOnly(call, { "grpc-status": "3", "grpc-message": "no" });
      call.stream.close(constants.NGHTTP2_INTERNAL_ERROR);
    });
    expect(error.code).toBe(Code.INVALID_ARGUMENT);
  });

  it.each<[string, (call: Call) => unknown]>([
    ["ends without a status", (call) => respond(call, undefined, { "x-other": "1" })],
    ["is reset with INTERNAL_ERROR", ({ stream }) => stream.close(constants.NGHTTP2_INTERNAL_ERROR)],
    ["is reset with ENHANCE_YOUR_CALM", ({ stream }) => stream.close(constants.NGHTTP2_ENHANCE_YOUR_CALM)],
    ["is reset with CANCEL", ({ stream }) => stream.close(constants.NGHTTP2_CANCEL)],
    ["loses its connection", ({ session }) => session.destroy()],
    [
      "loses its connection behind a GOAWAY",
      ({ session }) => {
        session.goaway(constants.NGHTTP2_ENHANCE_YOUR_CALM);
        setImmediate(() => session.destroy());
      },
    ],
  ])("that %s says nothing of the request: it is sent again", async (_, fail) => {
    const server = await raw((call, index) => (index === 0 ? fail(call) : respond(call)));
    const { forward, seen } = forwarder(server.endpoint);
    await forward.export("logs", body, patient());
    expect(seen.attempts).toEqual([Code.UNAVAILABLE, Code.OK]);
  });

  it.each<[string, number, (call: Call) => unknown]>([
    ["by REFUSED_STREAM", 3, ({ stream }) => stream.close(constants.NGHTTP2_REFUSED_STREAM)],
    // The last stream that is handled is that of an empty request.
    ["by GOAWAY", 1, ({ session, stream }) => session.goaway(constants.NGHTTP2_NO_ERROR, stream.id! - 2)],
    [
      "by a GOAWAY of error",
      1,
      ({ session, stream }) => session.goaway(constants.NGHTTP2_ENHANCE_YOUR_CALM, stream.id! - 2),
    ],
  ])(
    "that a request was refused unread %s is no failure: it is sent again at once",
    async (_, times, refuse) => {
      const server = await raw((call, index) => (index < times ? refuse(call) : respond(call)));
      const { forward, seen } = forwarder(server.endpoint, once);
      await forward.export("logs", body, patient());
      expect(server.calls).toHaveLength(times + 1);
      expect(seen.attempts).toEqual([Code.OK]);
      expect(forward.state().consecutiveFailures).toBe(0);
    },
  );

  it("that every request is refused unread opens no circuit", async () => {
    let refuse = true;
    const server = await raw((call) => {
      if (refuse) call.stream.close(constants.NGHTTP2_REFUSED_STREAM);
      else respond(call);
    });
    const { forward, seen } = forwarder(server.endpoint, once);
    for (let i = 0; i < 20; i++) {
      const error = await forward.export("logs", body, patient()).catch((reason) => reason);
      expect(error.message).not.toContain("left alone");
    }
    // Each was tried a few times at once, and no more.
    expect(server.calls).toHaveLength(80);
    refuse = false;
    await forward.export("logs", body, patient());
    expect(seen.attempts).toEqual([...Array(20).fill(Code.UNAVAILABLE), Code.OK]);
  });

  it("of any kind is read or left", () => {
    const header = fc.oneof(fc.string(), fc.constantFrom("0", "1", "14", "99", "-1", "1e9"));
    const bytes = fc
      .uint8Array({ maxLength: 100 })
      .chain((array) =>
        fc.constantFrom(Buffer.from(array), framed(Buffer.from(array)), framed(Buffer.from(array), 1)),
      );
    fc.assert(
      fc.property(
        header,
        fc.string(),
        fc.string(),
        header,
        bytes,
        (status, text, details, encoding, answer) => {
          const headers = {
            "grpc-status": status,
            "grpc-message": text,
            "grpc-status-details-bin": details,
            "grpc-encoding": encoding,
          };
          const outcome = readAnswer("logs", headers, undefined, answer);
          expect(Object.values(Code)).toContain(outcome?.code);
          if (status !== "0") expect(outcome?.code).not.toBe(Code.OK);
        },
      ),
    );
  });
});

describe("the connection", () => {
  it("is left at a GOAWAY: what is under way ends on it, what follows has a new one", async () => {
    const held: Call[] = [];
    const server = await raw((call) => {
      if (held.push(call) === 1) call.session.close();
      else respond(call);
    });
    const { forward, seen } = forwarder(server.endpoint);
    const first = forward.export("logs", body, patient());
    await vi.waitFor(() => expect(held).toHaveLength(1));
    await forward.export("logs", body, patient());
    expect(server.sessions.length).toBeGreaterThan(1);
    expect(held[1]!.session).not.toBe(held[0]!.session);
    respond(held[0]!);
    await first;
    expect(new Set(seen.attempts)).toEqual(new Set([Code.OK]));
  });

  it.each([
    constants.NGHTTP2_NO_ERROR,
    constants.NGHTTP2_ENHANCE_YOUR_CALM,
    constants.NGHTTP2_INTERNAL_ERROR,
  ])("that GOAWAY with code %i ends still has the answers up to the last stream named", async (code) => {
    const held: Call[] = [];
    const server = await raw((call) => {
      if (call.session !== server.sessions[0]) return respond(call);
      if (held.push(call) < 4) return;
      const ids = held.map(({ stream }) => stream.id!).sort((a, b) => a - b);
      call.session.goaway(code, ids[1]);
      // Only these are handled.
      for (const each of held) if (each.stream.id! <= ids[1]!) setTimeout(() => respond(each), 50);
    });
    const { forward, seen } = forwarder(server.endpoint);
    const sent = Array.from({ length: 4 }, (_, i) =>
      forward.export("logs", Buffer.from(`request ${i}`), patient()),
    );
    await Promise.all(sent);
    expect(seen.attempts).toEqual(Array(4).fill(Code.OK));
    const again = server.calls.filter(({ session }) => session !== server.sessions[0]);
    expect(again).toHaveLength(2);
    expect(server.sessions).toHaveLength(2);
    await forward.export("logs", body, patient());
    expect(server.sessions).toHaveLength(2);
  });

  it("is given up when it is dead and does not say so", async () => {
    const server = await raw((call) => respond(call));
    const sockets: Socket[] = [];
    let dead = true;
    const relay = createServer((socket) => {
      sockets.push(socket);
      const onward = connect(server.port, "127.0.0.1");
      const mute = dead;
      socket.on("data", (chunk) => {
        // The preface and settings pass, so that a connection exists; then the relay forwards nothing more.
        if (!mute || socket.bytesRead <= chunk.length) onward.write(chunk);
      });
      onward.on("data", (chunk) => socket.write(chunk));
      for (const end of [socket, onward]) {
        end.on("error", () => {});
        end.on("close", () => {
          socket.destroy();
          onward.destroy();
        });
      }
    });
    await new Promise<void>((resolve) => relay.listen(0, "127.0.0.1", resolve));
    cleanups.push(async () => {
      relay.close();
      for (const socket of sockets) socket.destroy();
    });
    const { port } = relay.address() as AddressInfo;
    const { forward, seen } = forwarder(`http://127.0.0.1:${port}`, { timeout: 200 });
    const waiting = forward.export("logs", body, patient());
    await vi.waitFor(() => expect(seen.attempts.length).toBeGreaterThan(1), 10_000);
    expect(new Set(seen.attempts)).toEqual(new Set([Code.DEADLINE_EXCEEDED]));
    dead = false;
    await waiting;
    expect(sockets.length).toBeGreaterThan(1);
    expect(server.calls).toHaveLength(1);
  });

  it("is not tried anew for each request while it fails", async () => {
    let connections = 0;
    const rude = createServer((socket) => {
      connections++;
      socket.on("error", () => {});
      socket.destroy();
    });
    await new Promise<void>((resolve) => rude.listen(0, "127.0.0.1", resolve));
    cleanups.push(async () => rude.close());
    const { port } = rude.address() as AddressInfo;
    const { forward, seen } = forwarder(`http://127.0.0.1:${port}`, once);
    const sends = Array.from({ length: 200 }, () => forward.export("logs", body, patient()).catch(() => {}));
    await Promise.all(sends);
    expect(seen.attempts).toEqual(Array(200).fill(Code.UNAVAILABLE));
    expect(connections).toBeLessThan(50);
  });
});

describe("gRPC's encodings", () => {
  it("decode any percent-encoded text", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), (text) => {
        const encoded = [...Buffer.from(text)]
          .map((byte) =>
            byte < 0x20 || byte > 0x7e || byte === 0x25
              ? `%${byte.toString(16).padStart(2, "0")}`
              : String.fromCharCode(byte),
          )
          .join("");
        expect(percentDecode(encoded)).toBe(text.toWellFormed());
      }),
    );
  });

  it.each<[number, string]>([
    [-5, "1m"],
    [0.2, "1m"],
    [10_000, "10000m"],
    [99_999_999, "99999999m"],
    [100_000_000, "100000S"],
    [2 ** 31 - 1, "2147484S"],
  ])("give %d ms as %s", (milliseconds, header) => {
    expect(formatTimeout(milliseconds)).toBe(header);
  });
});
