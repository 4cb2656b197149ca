/** Memory that responses hold until their clients have read them. */
import { once } from "node:events";
import { get, type IncomingMessage } from "node:http";
import { createConnection, type Socket } from "node:net";
import { expect, it } from "vitest";
import { Gate } from "../../src/base/gate.ts";
import { id, report } from "../store/fixtures.ts";
import { afterwards, keyOf, problemOf, type Running, start } from "./support.ts";

const list = "/v1/anomalies?limit=1000";

/** Starts an API whose list of anomalies is larger than socket buffers. */
async function filled(overrides: Parameters<typeof start>[1], ...tenants: string[]): Promise<Running> {
  const running = await start({ auth: { enabled: tenants[0] !== "default" } }, overrides);
  const record = { text: "x".repeat(12_000), novel: [], index: 0 };
  for (const tenant of tenants) {
    const reports = Array.from({ length: 1_000 }, (_, n) => report({ tenant, id: id(n + 1), record }));
    await running.store.anomalies.record(reports);
  }
  return running;
}

function connectTo(running: Running, localAddress = "127.0.0.1"): Socket {
  const { hostname, port } = new URL(running.url("/"));
  const socket = createConnection({ port: Number(port), host: hostname, localAddress });
  socket.on("error", () => {});
  afterwards(() => socket.destroy());
  return socket;
}

async function statusOf(
  running: Running,
  path: string,
  headers: Record<string, string>,
  localAddress: string,
) {
  const request = get(running.url(path), { headers, localAddress, agent: false });
  const [response] = (await once(request, "response")) as [IncomingMessage];
  response.resume();
  await once(response, "close");
  return response.statusCode;
}

function ask(path: string, headers: Record<string, string> = {}): string {
  const more = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  return `GET ${path} HTTP/1.1\r\nhost: localhost\r\n${more.join("")}\r\n`;
}

it("are refused to those who take none, and given to others", { timeout: 60_000 }, async () => {
  const running = await filled({ answerBytes: 40 * 2 ** 20 }, "greedy", "honest");
  const [greedy, honest] = [await keyOf(running, "greedy", "read"), await keyOf(running, "honest", "read")];
  const text = await (await running.get(list, { headers: honest })).text();
  expect(text.length).toBeGreaterThan(10 * 2 ** 20);
  // Several requests are open at once on connections that are not read.
  for (let n = 0; n < 4; n++) {
    const socket = connectTo(running, "127.0.0.2");
    await once(socket, "connect");
    socket.pause();
    socket.write(ask(list, greedy).repeat(2));
  }
  const again = () => statusOf(running, list, greedy, "127.0.0.2");
  await expect.poll(again, { timeout: 30_000 }).toBe(503);
  const answer = await running.get("/v1/anomalies?limit=200", { headers: honest });
  expect(answer.status).toBe(200);
  expect((await answer.text()).length).toBeGreaterThan(2 * 2 ** 20);
  expect((await running.get("/healthz")).status).toBe(200);
});

it("are made for some at a time, in turn", async () => {
  const gate = new Gate(2, 100);
  const gone = new AbortController();
  const order: string[] = [];
  const ask = async (tenant: string, peer: string, n: number) => {
    const leave = await gate.enter({ tenant, peer }, gone.signal);
    order.push(leave === undefined ? "refused" : `${tenant} ${n}`);
    await new Promise(setImmediate);
    leave?.();
  };
  const all = [
    ...Array.from({ length: 95 }, (_, n) => ask("evil", "10.0.0.1", n)),
    ask("good", "10.0.0.1", 1),
    ask("good", "10.0.0.2", 2),
  ];
  await Promise.all(all);
  expect(order.filter((each) => each === "refused").length).toBe(95 - 88);
  const made = order.filter((each) => each !== "refused");
  expect(made.indexOf("good 1")).toBeLessThan(6);
  expect(made.indexOf("good 2")).toBeLessThan(8);
  expect(gate.waiting).toBe(0);

  // Clients that disconnect free their places.
  const leaves = [
    await gate.enter({ tenant: "a", peer: "x" }, gone.signal),
    await gate.enter({ tenant: "a", peer: "x" }, gone.signal),
  ];
  const waiting = Array.from({ length: 20 }, () => gate.enter({ tenant: "a", peer: "x" }, gone.signal));
  gone.abort(new Error("gone"));
  for (const each of waiting) await expect(each).rejects.toThrow("gone");
  expect(gate.waiting).toBe(0);
  for (const leave of leaves) leave!();
  const alive = new AbortController().signal;
  for (let n = 0; n < 10; n++) (await gate.enter({ tenant: "a", peer: "x" }, alive))!();
});

it("that are larger than what is left are a problem, whatever was to be sent", async () => {
  const running = await filled({ answerBytes: 2 ** 20 }, "default");
  const response = await running.get(list);
  expect(response.headers.get("retry-after")).toBe("1");
  expect(await problemOf(response)).toMatchObject({ status: 503 });
  // Nothing is held afterwards.
  for (let n = 0; n < 10; n++) expect((await running.get("/v1/anomalies?limit=2")).status).toBe(200);
});

it("hold nothing of connections that closed meanwhile", async () => {
  const running = await filled({ answerBytes: 2 ** 20 }, "default");
  for (let n = 0; n < 30; n++) {
    const socket = connectTo(running);
    await new Promise<void>((resolve) => socket.write(ask("/v1/anomalies?limit=2"), () => resolve()));
    socket.resetAndDestroy();
  }
  for (let n = 0; n < 10; n++) expect((await running.get("/v1/anomalies?limit=2")).status).toBe(200);
});

it("are not held up by those whose bodies come slowly", async () => {
  const running = await start();
  for (let n = 0; n < 20; n++) {
    const socket = connectTo(running);
    const head = "PATCH /v1/anomalies/1 HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n";
    await new Promise<void>((resolve) => socket.write(`${head}content-length: 99\r\n\r\n{`, () => resolve()));
  }
  expect((await running.get("/v1/anomalies")).status).toBe(200);
});

it("end the connection on which a body goes on that nobody reads", async () => {
  const running = await start();
  const socket = connectTo(running);
  socket.write("GET /healthz HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n");
  const [answer] = (await once(socket, "data")) as [Buffer];
  expect(String(answer)).toContain("200 OK");
  await once(socket, "close");
});
