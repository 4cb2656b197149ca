/** Routers and API processes that are killed: what they have answered holds. */
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { decodeReport } from "../../src/anomaly/report.ts";
import { State } from "../../src/gen/driftlock/v1/anomaly_pb.js";
import { logsRequest, normalLine, random, strangeLine } from "../engine/requests.ts";
import { Broker } from "../kafka/broker.ts";
import { Installation, type Role } from "../kafka/installation.ts";
import { Postgres } from "../store/postgres.ts";

const kills = 10;
const senders = 8;
const resources = ["a", "b", "c", "d", "e", "f"];

let broker: Broker;
let postgres: Postgres;
let installation: Installation | undefined;
beforeAll(async () => {
  [broker, postgres] = await Promise.all([Broker.start(), Postgres.start()]);
}, 180_000);
afterEach(() => installation?.remove());
afterAll(async () => {
  await broker?.remove();
  await postgres?.remove();
});

const receive = { grpc: { enabled: false }, http: { endpoint: "127.0.0.1:0" } };
const portOf = async (role: Role) => Number((await role.says(/"http":"127.0.0.1:(\d+)"/))[1]);

const post = (port: number, body: Buffer) =>
  fetch(`http://127.0.0.1:${port}/v1/logs`, {
    method: "POST",
    headers: { "content-type": "application/x-protobuf" },
    body: new Uint8Array(body),
  });

/** Sends numbered records to routers that come and go, and notes which of them were accepted. */
class Load {
  readonly accepted: number[] = [];
  refused = 0;
  readonly #ports: readonly (number | undefined)[];
  #next = 0;
  #stopped = false;
  readonly #running: Promise<unknown>;

  constructor(ports: readonly (number | undefined)[]) {
    this.#ports = ports;
    this.#running = Promise.all(Array.from({ length: senders }, (_, i) => this.#send(i)));
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
  }

  async #send(sender: number): Promise<void> {
    for (let turn = sender; !this.#stopped; turn += 1) {
      const port = this.#ports[turn % this.#ports.length];
      if (port === undefined) {
        await sleep(10);
        continue;
      }
      const numbers = resources.map(() => this.#next++);
      const lines = numbers.map((n, i) => ({ body: `number ${n} of all`, service: resources[i]! }));
      const answer = await post(port, logsRequest(lines)).catch(() => undefined);
      if (answer?.status === 200) this.accepted.push(...numbers);
      else this.refused += 1;
    }
  }
}

test("each record that a router has accepted is in the log, although routers are killed", async () => {
  const url = postgres.url(await postgres.createDatabase());
  installation = await Installation.create(broker, { store: { url }, receive });
  const routers = [installation.start("router"), installation.start("router")];
  const ports: (number | undefined)[] = await Promise.all(routers.map(portOf));
  const load = new Load(ports);
  for (let kill = 0; kill < kills; kill += 1) {
    const before = load.accepted.length;
    while (load.accepted.length < before + 500) await sleep(1);
    const which = kill % routers.length;
    await routers[which]!.kill();
    ports[which] = undefined;
    routers[which] = installation.start("router");
    ports[which] = await portOf(routers[which]!);
  }
  await load.stop();
  // Otherwise none was killed in its work.
  expect(load.refused).toBeGreaterThan(0);
  const log = (await installation.read("in")).map(({ value }) => value!.toString("latin1")).join();
  const found = new Set([...log.matchAll(/number (\d+) of all/g)].map(([, n]) => Number(n)));
  expect(load.accepted.filter((n) => !found.has(n))).toEqual([]);
}, 300_000);

interface LiveEvent {
  event: string;
  data: { id: string; state: string };
}

/** Listens to server-sent events. */
async function listen(url: string): Promise<{ events(): LiveEvent[]; stop(): void }> {
  const stopping = new AbortController();
  const answer = await fetch(url, { signal: stopping.signal });
  expect(answer.status).toBe(200);
  let text = "";
  const read = async () => {
    for await (const chunk of answer.body!.pipeThrough(new TextDecoderStream())) text += chunk;
  };
  // It ends when the process does.
  void read().catch(() => {});
  return {
    events: () =>
      [...text.matchAll(/^event: (.*)\ndata: (.*)\n\n/gm)].map(([, event, data]) => ({
        event: event!,
        data: JSON.parse(data!),
      })),
    stop: () => stopping.abort(),
  };
}

test("three API processes show what others find, and a decision survives the one that took it and the owner", async () => {
  const url = postgres.url(await postgres.createDatabase());
  installation = await Installation.create(broker, {
    store: { url },
    receive,
    api: { endpoint: "127.0.0.1:0" },
    detect: { baseline: { records: 128 } },
  });
  const owner = installation.start("router,worker,sink");
  const apis = Array.from({ length: 3 }, () => installation!.start("api"));
  const port = await portOf(owner);
  const urls = await Promise.all(
    apis.map(async (api) => `http://${(await api.says(/"api":"(127.0.0.1:\d+)"/))[1]}/v1`),
  );
  const listeners = await Promise.all(urls.map((each) => listen(`${each}/stream/anomalies`)));
  const next = random(5);
  for (let round = 0; round < 18; round += 1) {
    const lines = Array.from({ length: 20 }, () => normalLine(next));
    if (round > 15) lines.push(strangeLine());
    expect((await post(port, logsRequest(lines))).status).toBe(200);
  }
  const shown = listeners.map(
    ({ events }) =>
      () =>
        events().find(({ event }) => event === "anomaly"),
  );
  for (const first of shown) await expect.poll(first, { timeout: 60_000 }).toBeDefined();
  const ids = new Set(shown.map((first) => first()!.data.id));
  expect(ids.size).toBe(1);
  const [id] = [...ids] as [string];

  const decided = await fetch(`${urls[1]}/anomalies/${id}`, {
    method: "PATCH",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ state: "accepted" }),
  });
  expect(decided.status).toBe(200);
  await Promise.all([apis[1]!.kill(), owner.kill()]);
  installation.start("worker,sink");
  const ended = async () =>
    (await installation!.read("anomalies"))
      .filter(({ key, value }) => key.toString() === id && value !== null)
      .some(({ value }) => decodeReport(value!).message.state === State.ENDED);
  await expect.poll(ended, { timeout: 60_000 }).toBe(true);
  for (const { events } of [listeners[0]!, listeners[2]!]) {
    const isAccepted = () => events().some(({ data }) => data.id === id && data.state === "accepted");
    await expect.poll(isAccepted, { timeout: 60_000 }).toBe(true);
  }
  for (const { stop } of listeners) stop();
}, 180_000);
