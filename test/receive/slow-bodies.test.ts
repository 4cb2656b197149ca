/** Bodies that hardly arrive, over both protocols; the test advances the time. */
import { connect, type Socket } from "node:net";
import { pino } from "pino";
import { expect, test } from "vitest";
import { Code, httpPath } from "../../src/otlp/protocol.ts";
import { startGrpc } from "../../src/receive/grpc.ts";
import { startHttp } from "../../src/receive/http.ts";
import { Intake } from "../../src/receive/intake.ts";
import { afterwards, openCall, receiveConfig, until } from "./support.ts";

async function serve(limits: Record<string, number> = {}) {
  const config = receiveConfig({ limits });
  const cut: string[] = [];
  const hooks = {
    log: pino({ level: "silent" }),
    onRequest() {},
    onRequestCut: (reason: string) => void cut.push(reason),
    onConnectionRefused() {},
    onConnectionClosed() {},
  };
  const intake = new Intake(
    config,
    async () => "default",
    async () => undefined,
    hooks,
  );
  const http = await startHttp(config, intake, hooks);
  const grpc = await startGrpc(config, intake, hooks);
  afterwards(() => {
    for (const endpoint of [http, grpc]) {
      void endpoint.close();
      endpoint.destroy();
    }
  });
  return { intake, http: http.address, grpc: grpc.address, cut };
}

/** Begins a request that announces a million bytes, and returns the answer. */
function beginHttp(address: string): { socket: Socket; answer: Promise<string> } {
  const [host, port] = address.split(":");
  const socket = connect(Number(port), host);
  afterwards(() => socket.destroy());
  let text = "";
  socket.on("data", (chunk) => {
    text += chunk;
  });
  socket.write(
    `POST ${httpPath.logs} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 1000000\r\n\r\n`,
  );
  return { socket, answer: new Promise((resolve) => socket.once("close", () => resolve(text))) };
}

function beginGrpc(address: string) {
  const { stream } = openCall(address);
  stream.write(Buffer.of(0, 0, 1, 0, 0));
  const status = new Promise((resolve) =>
    stream.once("response", (headers) => resolve(headers["grpc-status"])),
  );
  return { stream, status };
}

test("a body that trickles is cut after some seconds, and its connection closed", async () => {
  const { intake, http, grpc, cut } = await serve();
  const overHttp = beginHttp(http);
  const overGrpc = beginGrpc(grpc);
  await until(() => intake.admission.requests === 2);
  for (let second = 0; second < 11; second += 1) {
    overHttp.socket.write("x");
    overGrpc.stream.write(Buffer.of(1));
    const { bytes } = intake.admission;
    await until(() => intake.admission.bytes > bytes || intake.admission.requests === 0 || second > 0);
    intake.admission.tick();
  }
  expect(await overHttp.answer).toMatch(/^HTTP\/1\.1 408 [\s\S]*connection: close[\s\S]*arrives too slowly/);
  expect(await overGrpc.status).toBe(String(Code.DEADLINE_EXCEEDED));
  expect(cut).toEqual(["slow", "slow"]);
  expect([intake.admission.requests, intake.admission.bytes]).toEqual([0, 0]);
});

test("requests that have stalled give way to one for which there is no room", async () => {
  const { intake, http, grpc, cut } = await serve({ max_concurrent_requests: 2 });
  const overHttp = beginHttp(http);
  await until(() => intake.admission.requests === 1);
  const overGrpc = beginGrpc(grpc);
  await until(() => intake.admission.requests === 2);
  for (let second = 0; second < 3; second += 1) intake.admission.tick();
  const third = beginHttp(http);
  expect(await overHttp.answer).toMatch(/^HTTP\/1\.1 503 [\s\S]*retry-after: 1[\s\S]*had stalled/);
  const fourth = beginHttp(http);
  expect(await overGrpc.status).toBe(String(Code.UNAVAILABLE));
  expect(cut).toEqual(["stalled", "stalled"]);
  for (const { socket } of [third, fourth]) socket.destroy();
  await until(() => intake.admission.requests === 0);
  expect(intake.admission.bytes).toBe(0);
});
