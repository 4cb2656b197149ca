/** Answers that come before the downstream can have read the request, and answers that are far too large. */
import { constants } from "node:http2";
import type { AddressInfo } from "node:net";
import { createServer, type Server, type Socket } from "node:net";
import { createServer as createTlsServer } from "node:tls";
import { generate } from "selfsigned";
import { beforeAll, describe, expect, it, vi } from "vitest";
import { Forwarder } from "../../src/forward/index.ts";
import { Code, type Signal, signals } from "../../src/otlp/protocol.ts";
import { cleanups } from "./cleanups.ts";
import { forwardConfig, type Protocol, patient, type Watch, watch } from "./downstream.ts";
import { type Call, respond, startRaw, trailersOnly } from "./raw-grpc.ts";

let pair: { cert: string; key: string };
beforeAll(async () => {
  const made = await generate([{ name: "commonName", value: "127.0.0.1" }], { keyType: "ec" });
  pair = { cert: made.cert, key: made.private };
});

function forwarder(
  protocol: Protocol,
  endpoint: string,
  overrides: Parameters<typeof forwardConfig>[2] = {},
): { forward: Forwarder; seen: Watch } {
  const seen = watch();
  const tls = endpoint.startsWith("https:") ? { tls: { insecure_skip_verify: true } } : {};
  const forward = new Forwarder(forwardConfig(protocol, endpoint, { ...tls, ...overrides }), seen);
  cleanups.push(() => forward.close(0));
  return { forward, seen };
}

/** A request larger than the buffers of both ends and of the system between them. */
const large = Buffer.alloc(24 * 2 ** 20, "a request ");
const small = Buffer.from("a request, as it came");

/**
 * Starts a server that speaks HTTP/1.1 by hand; it answers empty requests, which check whether the downstream is
 * available, with success.
 */
async function startHttp(
  onHead: (socket: Socket, index: number, received: number) => void,
  secure: boolean,
): Promise<string> {
  let index = 0;
  const sockets = new Set<Socket>();
  const serve = (socket: Socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.once("data", (head) => {
      if (head.includes("content-length: 0\r\n")) {
        return socket.end("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
      }
      socket.pause();
      onHead(socket, index++, head.length);
    });
  };
  const server: Server = secure ? createTlsServer(pair, serve) : createServer(serve);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  cleanups.push(async () => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return `${secure ? "https" : "http"}://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const ok = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

describe.each([false, true])("an early success over gRPC, with TLS: %s", (secure) => {
  const options = () => (secure ? { ...pair } : {});

  async function export1(
    signal: Signal,
    body: Buffer,
    first: (call: Call) => unknown,
    overrides?: Parameters<typeof forwardConfig>[2],
  ) {
    const server = await startRaw(async (call, index) => {
      if (index === 0) return first(call);
      await call.body;
      respond(call);
    }, options());
    cleanups.push(() => server.close());
    const { forward, seen } = forwarder("grpc", server.endpoint, overrides);
    await forward.export(signal, body, patient());
    return { server, seen };
  }

  it.each<[string, (call: Call) => unknown]>([
    [
      "and a reset with NO_ERROR",
      (call) => {
        call.stream.pause();
        respond(call);
        call.stream.once("wantTrailers", () =>
          setImmediate(() => call.stream.close(constants.NGHTTP2_NO_ERROR)),
        );
      },
    ],
    [
      "and a reset with CANCEL",
      (call) => {
        call.stream.pause();
        respond(call);
        call.stream.once("wantTrailers", () =>
          setImmediate(() => call.stream.close(constants.NGHTTP2_CANCEL)),
        );
      },
    ],
    [
      "in trailers alone",
      (call) => {
        call.stream.pause();
        trailersOnly(call, { "grpc-status": "0" });
        setImmediate(() => call.stream.close(constants.NGHTTP2_NO_ERROR));
      },
    ],
    [
      "and GOAWAY before the end of the connection",
      (call) => {
        call.stream.pause();
        respond(call);
        call.stream.once("wantTrailers", () =>
          setImmediate(() => {
            call.session.goaway(constants.NGHTTP2_INTERNAL_ERROR);
            setImmediate(() => call.session.destroy());
          }),
        );
      },
    ],
    [
      "and the end of the connection",
      (call) => {
        call.stream.pause();
        respond(call);
        call.stream.once("wantTrailers", () => setImmediate(() => call.session.destroy()));
      },
    ],
  ])("%s is no delivery: the request is sent again", async (_, first) => {
    for (const signal of signals) {
      const { server, seen } = await export1(signal, large, first);
      expect(seen.attempts).toEqual([Code.UNAVAILABLE, Code.OK]);
      expect((await server.calls[1]!.body).subarray(5).equals(large)).toBe(true);
    }
  });

  it("is no delivery while flow control holds the request back", async () => {
    const stall = (call: Call) => {
      call.stream.pause();
      respond(call);
    };
    const { seen } = await export1("logs", large, stall, { timeout: 1_000 });
    expect(seen.attempts).toEqual([Code.DEADLINE_EXCEEDED, Code.OK]);
  });

  it("holds once the rest of the request has been sent", async () => {
    const { server, seen } = await export1("logs", large, async (call) => {
      call.stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
      call.stream.once("wantTrailers", () => call.stream.sendTrailers({ "grpc-status": "0" }));
      call.stream.write(Buffer.alloc(5));
      await call.body;
      call.stream.end();
    });
    expect(seen.attempts).toEqual([Code.OK]);
    expect((await server.calls[0]!.body).length).toBe(5 + large.length);
  });

  it.each([false, true])(
    "and its trailers hold once the rest has been read later, message first: %s",
    async (split) => {
      const { server, seen } = await export1("logs", large, async (call) => {
        call.stream.pause();
        if (split) {
          call.stream.respond(
            { ":status": 200, "content-type": "application/grpc" },
            { waitForTrailers: true },
          );
          call.stream.once("wantTrailers", () => call.stream.sendTrailers({ "grpc-status": "0" }));
          call.stream.write(Buffer.alloc(5));
          setTimeout(() => call.stream.end(), 50);
        } else respond(call);
        setTimeout(() => call.stream.resume(), 200);
      });
      expect(seen.attempts).toEqual([Code.OK]);
      expect(server.calls).toHaveLength(1);
      expect((await server.calls[0]!.body).length).toBe(5 + large.length);
    },
  );

  it("without a message is no delivery, however small the request", async () => {
    const { seen } = await export1("logs", small, (call) => trailersOnly(call, { "grpc-status": "0" }));
    expect(seen.attempts).toEqual([Code.UNAVAILABLE, Code.OK]);
  });

  it("leaves an early refusal as it is", async () => {
    const server = await startRaw((call) => {
      call.stream.pause();
      trailersOnly(call, { "grpc-status": "3", "grpc-message": "no" });
    }, options());
    cleanups.push(() => server.close());
    const { forward, seen } = forwarder("grpc", server.endpoint);
    await expect(forward.export("logs", large, patient())).rejects.toMatchObject({
      code: Code.INVALID_ARGUMENT,
    });
    expect(seen.attempts).toEqual([Code.INVALID_ARGUMENT]);
  });
});

describe.each([false, true])("an early success over HTTP/1.1, with TLS: %s", (secure) => {
  it.each<[string, (socket: Socket) => void]>([
    [
      "and the end of the connection",
      (socket) => socket.write(ok, () => setTimeout(() => socket.destroy(), 20)),
    ],
    [
      "that closes the connection",
      (socket) =>
        socket.write("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", () =>
          socket.destroySoon(),
        ),
    ],
    [
      "cut in its body",
      (socket) => socket.write("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", () => socket.destroySoon()),
    ],
  ])("%s is no delivery: the request is sent again", async (_, first) => {
    const endpoint = await startHttp((socket, index, begun) => {
      if (index === 0) return first(socket);
      let received = begun;
      socket.on("data", (chunk: Buffer) => {
        received += chunk.length;
        if (received >= large.length) socket.write(ok);
      });
      socket.resume();
    }, secure);
    const { forward, seen } = forwarder("http", endpoint);
    await forward.export("logs", large, patient());
    expect(seen.attempts).toEqual([Code.UNAVAILABLE, Code.OK]);
  });

  it("is no delivery while the downstream reads nothing", async () => {
    const endpoint = await startHttp((socket) => socket.write(ok), secure);
    const { forward, seen } = forwarder("http", endpoint, { timeout: 500, retry: { enabled: false } });
    await expect(forward.export("logs", large, patient())).rejects.toMatchObject({ code: Code.UNAVAILABLE });
    expect(seen.attempts).toEqual([Code.DEADLINE_EXCEEDED]);
  });

  it("holds once the rest of the request has been sent", async () => {
    const endpoint = await startHttp((socket) => {
      socket.write(ok);
      socket.resume();
    }, secure);
    const { forward, seen } = forwarder("http", endpoint);
    await forward.export("logs", large, patient());
    expect(seen.attempts).toEqual([Code.OK]);
  });

  it("leaves an early refusal as it is, and ends the connection", async () => {
    let closed = false;
    const endpoint = await startHttp((socket) => {
      socket.on("close", () => {
        closed = true;
      });
      socket.write("HTTP/1.1 400 No\r\nContent-Length: 0\r\n\r\n");
      setTimeout(() => socket.resume(), 50);
    }, secure);
    const { forward, seen } = forwarder("http", endpoint);
    await expect(forward.export("logs", large, patient())).rejects.toMatchObject({
      code: Code.INVALID_ARGUMENT,
    });
    expect(seen.attempts).toEqual([Code.INVALID_ARGUMENT]);
    await vi.waitFor(() => expect(closed).toBe(true));
  });
});
