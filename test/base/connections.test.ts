import { once } from "node:events";
import { createServer, type RequestListener } from "node:http";
import { type AddressInfo, createConnection, type Socket } from "node:net";
import { expect, it, onTestFinished } from "vitest";
import { limitConnections, maxPipelined } from "../../src/base/connections.ts";
import { peerOf } from "../../src/base/peer.ts";

async function serve(limit: number, listener: RequestListener = (_request, response) => response.end("ok")) {
  const server = createServer(listener);
  const connections = limitConnections(server, limit);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(async () => {
    server.close();
    server.closeAllConnections();
  });
  const { port } = server.address() as AddressInfo;
  const connect = async (localAddress = "127.0.0.1"): Promise<Socket> => {
    const arrived = once(server, "connection");
    const socket = createConnection({ port, host: "127.0.0.1", localAddress });
    socket.on("error", () => {}).on("data", () => {});
    onTestFinished(async () => void socket.destroy());
    await arrived;
    return socket;
  };
  return { connections, connect };
}

const ask = (socket: Socket) => socket.write("GET / HTTP/1.1\r\nhost: x\r\n\r\n");
const closed = (socket: Socket) => socket.closed || once(socket, "close");

it("admits those who ask although others connect and send nothing", async () => {
  const { connections, connect } = await serve(16);
  const silent: Socket[] = [];
  for (let n = 0; n < 60; n++) silent.push(await connect());
  expect(connections.size).toBe(14);
  expect(connections.counts).toEqual({ refused: 0, displaced: 46 });
  // The oldest have been closed.
  await Promise.all(silent.slice(0, 46).map(closed));
  expect(silent.slice(46).some((socket) => socket.closed)).toBe(false);
  for (const peer of ["127.0.0.1", "127.0.0.2"]) {
    const asking = await connect(peer);
    ask(asking);
    expect(String(await once(asking, "data"))).toContain("200 OK");
  }
});

it("counts a connection as idle from its last answer on", async () => {
  const { connect } = await serve(8);
  const first = await connect();
  const second = await connect();
  ask(first);
  await once(first, "data");
  for (let n = 0; n < 6; n++) await connect();
  await closed(second);
  expect(first.closed).toBe(false);
});

it("refuses newcomers of a peer whose connections are all in work, and leaves some to others", async () => {
  let requests = 0;
  const { connections, connect } = await serve(8, () => {
    requests += 1;
  });
  const working: Socket[] = [];
  for (let n = 0; n < 7; n++) {
    working.push(await connect());
    ask(working[n]!);
  }
  await expect.poll(() => requests).toBe(7);
  await closed(await connect());
  expect(connections.counts).toEqual({ refused: 1, displaced: 0 });
  expect(working.some((socket) => socket.closed)).toBe(false);
  const other = await connect("127.0.0.2");
  expect(connections.size).toBe(8);
  expect(other.closed).toBe(false);
});

it("takes the addresses of one host for one peer", () => {
  expect(peerOf("::ffff:127.0.0.1")).toBe("127.0.0.1");
  expect(peerOf("2001:db8:0:1:a::1")).toBe(peerOf("2001:db8::1:b:0:0:2"));
  expect(peerOf("2001:db8:0:2::1")).not.toBe(peerOf("2001:db8:0:1::1"));
  expect(peerOf(undefined)).toBe("");
});

it("closes a connection that has too many requests unanswered", async () => {
  const { connections, connect } = await serve(16, () => {});
  const request = "GET / HTTP/1.1\r\nhost: x\r\n\r\n";
  const patient = await connect();
  patient.write(request.repeat(maxPipelined));
  const flooding = await connect();
  flooding.write(request.repeat(maxPipelined + 1));
  await closed(flooding);
  expect(connections.size).toBe(1);
  expect(patient.closed).toBe(false);
});
