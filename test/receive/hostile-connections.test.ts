/** Connections that hold what others need: silent, idle, old or unread ones, and those of another protocol. */
import { once } from "node:events";
import { connect as connectHttp2, constants } from "node:http2";
import { connect, type Socket } from "node:net";
import { describe, expect, test } from "vitest";
import { Code, grpcMethod, httpPath } from "../../src/otlp/protocol.ts";
import { callHeaders, hello, http2Frame, preface } from "../http2-frames.ts";
import {
  afterwards,
  grpcClient,
  grpcExport,
  Holding,
  httpExport,
  type Running,
  receiveConfig,
  requests,
  start,
  until,
} from "./support.ts";

async function tcp(
  address: string,
  options: { allowHalfOpen?: boolean; localAddress?: string } = {},
): Promise<Socket> {
  const [host, port] = address.split(":");
  const socket = connect({ host: host!, port: Number(port), ...options });
  socket.on("error", () => {});
  afterwards(() => socket.destroy());
  await once(socket, "connect");
  return socket;
}

/** Resolves to everything that the server sends until it closes. */
async function conversation(socket: Socket): Promise<string> {
  let text = "";
  socket.on("data", (chunk) => {
    text += chunk;
  });
  await once(socket, "close");
  return text;
}

async function serves({ grpc, http }: Running): Promise<void> {
  expect((await grpcExport(grpcClient(grpc), "logs", requests.logs)).code).toBe(Code.OK);
  expect((await httpExport(http, "logs", requests.logs)).status).toBe(200);
}

describe("a table full of connections", () => {
  test.each([
    ["that send nothing", "grpc", Buffer.alloc(0)],
    ["that greet and send nothing more", "grpc", hello],
    ["that stop within the preface", "grpc", preface.subarray(0, 10)],
    ["that send nothing", "http", Buffer.alloc(0)],
    ["that stop within their headers", "http", Buffer.from(`POST ${httpPath.logs} HTTP/1.1\r\nhost: x\r\n`)],
  ] as const)("%s keeps nobody out of %s", async (_name, transport, said) => {
    const running = await start({ limits: { max_connections: 16 } });
    for (let i = 0; i < 40; i += 1) {
      const socket = await tcp(running[transport]);
      socket.write(said);
      socket.resume();
    }
    await serves(running);
    expect(running.closedConnections).toContain(`${transport} displaced`);
    expect(running.refusedConnections).toEqual([]);
  });

  test("is not full for another address", async () => {
    const holding = new Holding();
    const running = await start({ limits: { max_connections: 16 } }, holding.consumer);
    const busy: Promise<unknown>[] = [];
    for (let i = 0; i < 14; i += 1) busy.push(httpExport(running.http, "logs", requests.logs));
    await holding.arrived(14);
    const refused = await tcp(running.http);
    expect(await conversation(refused)).toBe("");
    expect(running.refusedConnections).toEqual(["http"]);
    const other = await tcp(running.http, { localAddress: "127.0.0.2" });
    other.write(`GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`);
    expect(await conversation(other)).toContain("HTTP/1.1 404");
    holding.releaseAll();
    await Promise.all(busy);
  });

  test("a connection that is displaced is told to go elsewhere", async () => {
    const running = await start({ limits: { max_connections: 2 } });
    const session = connectHttp2(`http://${running.grpc}`);
    const told = once(session, "goaway");
    await once(session, "remoteSettings");
    for (let i = 0; i < 2; i += 1) await tcp(running.grpc);
    expect((await told)[0]).toBe(0);
    await once(session, "close");
  });
});

describe("a connection that ends while its calls begin", () => {
  const ids = Array.from({ length: 20 }, (_, i) => 2 * i + 1);
  const calls = ids.map((id) => callHeaders(id, "logs"));

  test.each([
    ["an error of the protocol", [...calls, http2Frame(0, 0, 0, Buffer.alloc(1))]],
    ["GOAWAY", [...calls, http2Frame(7, 0, 0, Buffer.alloc(8))]],
    ["GOAWAY with an error", [...calls, http2Frame(7, 0, 0, Buffer.from([0, 0, 0, 0, 0, 0, 0, 2]))]],
  ])("by %s stops nothing else", async (_name, frames) => {
    const running = await start();
    for (let i = 0; i < 5; i += 1) {
      const socket = await tcp(running.grpc);
      socket.end(Buffer.concat([hello, ...frames]));
      socket.resume();
      await once(socket, "close");
    }
    await serves(running);
  });

  test("by a reset of each call stops nothing else", async () => {
    const running = await start();
    for (let i = 0; i < 20; i += 1) {
      const session = connectHttp2(`http://${running.grpc}`);
      session.on("error", () => {});
      for (let n = 0; n < 100; n += 1) {
        const headers = { ":method": "POST", ":path": grpcMethod.logs, "content-type": "application/grpc" };
        session
          .request(headers)
          .on("error", () => {})
          .close(constants.NGHTTP2_CANCEL);
      }
      // The delays differ, so that connections end at different points of the ongoing work.
      await new Promise((resolve) => setTimeout(resolve, i));
      session.destroy();
    }
    await serves(running);
  });
});

describe("connections over time", () => {
  test("idle and old connections are closed by default", () => {
    expect(receiveConfig().grpc.keepalive).toMatchObject({
      max_connection_idle: 300_000,
      max_connection_age: 3_600_000,
      max_connection_age_grace: 60_000,
    });
  });

  test("0 turns both off", async () => {
    const keepalive = { max_connection_idle: 0, max_connection_age: 0 };
    const running = await start({ grpc: { keepalive } });
    const client = grpcClient(running.grpc);
    await grpcExport(client, "logs", requests.logs);
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect((await grpcExport(client, "logs", requests.logs)).code).toBe(Code.OK);
    expect(running.closedConnections).toEqual([]);
  });

  test("an idle peer that never closes its end is cut", async () => {
    const running = await start({ grpc: { keepalive: { max_connection_idle: 50 } } });
    const socket = await tcp(running.grpc, { allowHalfOpen: true });
    socket.write(hello);
    socket.resume();
    await until(() => running.closedConnections.length > 0);
    expect(running.closedConnections).toEqual(["grpc idle"]);
    const cut = new Promise((resolve) => socket.once("error", resolve));
    const poke = setInterval(() => socket.write(Buffer.alloc(1)), 50);
    afterwards(() => clearInterval(poke));
    await cut;
  });
});

describe("answers that are not taken", () => {
  test("a stream without a window for its answer ends, and so does its connection", async () => {
    const running = await start({ grpc: { request_timeout: 200 } });
    const session = connectHttp2(`http://${running.grpc}`, { settings: { initialWindowSize: 0 } });
    session.on("error", () => {});
    afterwards(() => session.destroy());
    const streams = Array.from({ length: 20 }, () => {
      const stream = session.request({
        ":method": "POST",
        ":path": grpcMethod.logs,
        "content-type": "application/grpc",
      });
      stream.on("error", () => {});
      stream.end(Buffer.alloc(5));
      return new Promise((resolve) => stream.once("close", () => resolve(stream.rstCode)));
    });
    for (const code of await Promise.all(streams)) expect(code).toBe(8);
    await once(session, "close");
    expect(running.closedConnections).toEqual(["grpc unread"]);
    expect(running.taken).toHaveLength(20);
    await serves(running);
  });

  test("a client that sends one request after another and reads no answer is cut", async () => {
    const running = await start({ http: { request_timeout: 300 } });
    const socket = await tcp(running.http);
    socket.pause();
    const many = Buffer.from("GET /nothing HTTP/1.1\r\nhost: x\r\n\r\n".repeat(1_000));
    const closed = new Promise((resolve) => socket.once("close", resolve));
    const more = () => {
      while (!socket.destroyed && socket.write(many));
    };
    socket.on("drain", more);
    more();
    await until(() => running.closedConnections.length > 0);
    expect(running.closedConnections).toEqual(["http pipelined"]);
    socket.resume();
    await closed;
    await serves(running);
  });
});

describe("what is not HTTP behind whole requests", () => {
  const post = (body: Buffer | Uint8Array) =>
    Buffer.concat([
      Buffer.from(
        `POST ${httpPath.logs} HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\ncontent-length: ${body.length}\r\n\r\n`,
      ),
      body,
    ]);
  const nowhere = Buffer.from("GET /nothing HTTP/1.1\r\nhost: x\r\n\r\n");
  const garbage = Buffer.from("\0\x01 this is no request\r\n\r\n");
  const badBody = Buffer.from(
    `POST ${httpPath.logs} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n`,
  );
  const badHeaders = Buffer.from(`POST ${httpPath.logs} HTTP/1.1\r\nhost : x\r\n\r\n`);
  const lateHeaders = Buffer.from(`POST ${httpPath.logs} HTTP/1.1\r\nhost: x\r\n`);

  test.each<[string, Buffer[], number[]]>([
    ["garbage", [post(requests.logs), garbage], [200]],
    ["garbage in several pieces", [post(requests.logs), garbage, garbage, garbage], [200]],
    [
      "garbage behind a second request that is answered sooner",
      [post(requests.logs), nowhere, garbage],
      [200, 404],
    ],
    ["garbage behind two requests", [post(requests.logs), post(requests.logs), garbage], [200, 200]],
    ["a malformed body", [post(requests.logs), badBody], [200, 400]],
    ["malformed headers", [post(requests.logs), badHeaders], [200]],
    ["headers that do not come to an end", [post(requests.logs), lateHeaders], [200]],
  ])("%s loses none of their answers", async (_name, parts, statuses) => {
    const holding = new Holding();
    const running = await start({ http: { request_timeout: 200 } }, holding.consumer);
    const socket = await tcp(running.http);
    const said = conversation(socket);
    for (const part of parts) {
      socket.write(part);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    const posts = parts.filter((part) => part.includes(Buffer.from(requests.logs))).length;
    await holding.arrived(posts);
    // This is longer than it takes to notice the fault.
    await new Promise((resolve) => setTimeout(resolve, 500));
    holding.releaseAll();
    const answers = [...(await said).matchAll(/HTTP\/1\.1 (\d+) /g)].map(([, status]) => Number(status));
    expect(answers).toEqual(statuses);
    expect(running.events.filter(({ code }) => code === Code.OK)).toHaveLength(posts);
    await serves({ ...running, ...(await start()) });
  });
});

describe("another protocol", () => {
  test("HTTP/1.1 at the port of OTLP/gRPC is told where to go, counted, and logged once", async () => {
    const running = await start();
    for (let i = 0; i < 3; i += 1) {
      const answer = await httpExport(running.grpc, "logs", requests.logs);
      expect(answer.status).toBe(505);
      expect(String(answer.body)).toContain("OTLP/HTTP is at 127.0.0.1:0 (receive.http.endpoint)");
    }
    expect(running.closedConnections).toEqual(Array(3).fill("grpc protocol"));
    const warnings = running.logged.filter(({ msg }) => String(msg).includes("HTTP/1.1 arrived at the port"));
    expect(warnings).toHaveLength(1);
  });

  test("its first letter may come by itself, and be the one that HTTP/2 begins with", async () => {
    const running = await start();
    const socket = await tcp(running.grpc);
    socket.setNoDelay(true).write("P");
    await new Promise((resolve) => setTimeout(resolve, 20));
    socket.write("OST /v1/logs HTTP/1.1\r\nhost: localhost\r\n\r\n");
    expect(await conversation(socket)).toMatch(/^HTTP\/1\.1 505 /);
    expect(running.closedConnections).toEqual(["grpc protocol"]);
  });

  test("a large request is answered as well", async () => {
    const running = await start();
    const answer = await httpExport(running.grpc, "logs", Buffer.alloc(1_000_000));
    expect(answer.status).toBe(505);
  });

  test("HTTP/2 at the port of OTLP/HTTP is told so, counted, and logged once", async () => {
    const running = await start();
    for (let i = 0; i < 3; i += 1) {
      const socket = await tcp(running.http);
      socket.write(hello);
      expect(await conversation(socket)).toContain("OTLP/gRPC is at 127.0.0.1:0 (receive.grpc.endpoint)");
    }
    expect(running.closedConnections).toEqual(Array(3).fill("http protocol"));
    const warnings = running.logged.filter(({ msg }) => String(msg).includes("HTTP/2 arrived at the port"));
    expect(warnings).toHaveLength(1);
  });

  test("TLS at a port that has none is counted and logged once", async () => {
    const running = await start();
    for (let i = 0; i < 2; i += 1) {
      const socket = await tcp(running.grpc);
      socket.write(Buffer.from("160301007b01000077030300", "hex"));
      expect(await conversation(socket)).toBe("");
    }
    expect(running.closedConnections).toEqual(["grpc protocol", "grpc protocol"]);
    const warnings = running.logged.filter(({ msg }) => String(msg).includes("set receive.grpc.tls"));
    expect(warnings).toHaveLength(1);
  });

  test("a preface that comes byte by byte is HTTP/2", async () => {
    const running = await start();
    const socket = await tcp(running.grpc);
    socket.setNoDelay(true);
    for (const byte of hello) {
      socket.write(Buffer.of(byte));
      await new Promise(setImmediate);
    }
    const [settings] = (await once(socket, "data")) as [Buffer];
    expect(settings[3]).toBe(4);
    expect(running.closedConnections).toEqual([]);
  });
});
