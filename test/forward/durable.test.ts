import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { createReadStream } from "node:fs";
import { appendFile, readdir, rm, stat, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import pino from "pino";
import { describe, expect, it, vi } from "vitest";
import { readRequests } from "../../src/cli/recording/requests.ts";
import { type Exporter, startForwarder } from "../../src/forward/index.ts";
import { Code, type ExportError, type Signal } from "../../src/otlp/protocol.ts";
import { cleanups, downstream, newFolder } from "./cleanups.ts";
import {
  type Downstream,
  forwardConfig,
  gate,
  type Protocol,
  patient,
  startDownstream,
  type Watch,
  watch,
} from "./downstream.ts";

interface Settings {
  protocol?: Protocol;
  concurrency?: number;
  maxSize?: number;
  disk?: { sync?: string; max_size?: number; max_dead_letter_size?: number };
  retry?: object;
}

async function durable(
  folder: string,
  endpoint: string,
  { protocol = "grpc", concurrency = 10, maxSize = 128 * 2 ** 20, disk = {}, retry = {} }: Settings = {},
): Promise<{ forward: Exporter; seen: Watch }> {
  const config = forwardConfig(protocol, endpoint, {
    queue: { concurrency, max_size: maxSize, storage: "disk", disk } as never,
    retry,
  });
  const seen = watch();
  const forward = await startForwarder(config, seen, folder);
  cleanups.push(() => forward.close(0));
  return { forward, seen };
}

const bodies = ({ received }: Pick<Downstream, "received">) => received.map(({ body }) => body.toString());
const names = (count: number, from = 0) => Array.from({ length: count }, (_, i) => `request ${from + i}`);

async function exportAll(forward: Exporter, texts: string[], signal: Signal = "logs"): Promise<void> {
  await Promise.all(texts.map((text) => forward.export(signal, Buffer.from(text), patient())));
}

async function refusal(promise: Promise<unknown>): Promise<ExportError> {
  return (await promise.then(
    () => expect.unreachable("must reject"),
    (error: unknown) => error,
  )) as ExportError;
}

/** Resolves when every request has been delivered or has become a dead letter. */
function empty(forward: Exporter): Promise<unknown> {
  return vi.waitFor(() => expect(forward.state().storedBytes).toBe(0), 20_000);
}

/** Reads the requests of a dead-letter file as replay does. */
async function letters(folder: string, signal: Signal): Promise<string[]> {
  const name = join(folder, "dead-letters", `${signal}.otlp`);
  const read: string[] = [];
  for await (const input of readRequests(createReadStream(name), { name } as never, signal, 2 ** 20)) {
    read.push((input as { body: Buffer }).body.toString());
  }
  return read;
}

const canMount = process.getuid?.() === 0 && spawnSync("sh", ["-c", "unshare -m true"]).status === 0;

describe("a forwarder with its queue on disk", () => {
  it("answers when a request is kept, before the downstream has it", async () => {
    const { opened, open } = gate();
    const server = await downstream("grpc", async () => {
      await opened;
      return {};
    });
    const { forward, seen } = await durable(await newFolder(), server.endpoint);
    await exportAll(forward, names(30));
    expect(seen.attempts).toEqual([]);
    expect(forward.state().storedBytes).toBeGreaterThan(30 * "request 0".length);
    open();
    await empty(forward);
    expect(bodies(server).sort()).toEqual(names(30).sort());
    expect(seen.drops).toEqual([]);
  });

  it("delivers in order, through failures and restarts of both", async () => {
    let calls = 0;
    const handler = () => (calls++ % 3 === 1 ? { status: Code.UNAVAILABLE } : {});
    const taken: string[] = [];
    const first = await startDownstream("grpc", (request) => {
      const reply = handler();
      if (!("status" in reply)) taken.push(request.body.toString());
      return reply;
    });
    const folder = await newFolder();
    const { forward } = await durable(folder, first.endpoint, { concurrency: 1 });
    for (const name of names(40)) await forward.export("logs", Buffer.from(name), patient());
    await vi.waitFor(() => expect(taken.length).toBeGreaterThan(5), 10_000);
    await first.close();
    for (const name of names(40, 40)) await forward.export("logs", Buffer.from(name), patient());
    expect(await forward.close(5_000)).toEqual({ requests: 0, bytes: 0 });

    const second = await downstream(
      "grpc",
      (request) => {
        const reply = handler();
        if (!("status" in reply)) taken.push(request.body.toString());
        return reply;
      },
      { port: first.port },
    );
    const { forward: again } = await durable(folder, second.endpoint, { concurrency: 1 });
    await empty(again);
    // Each arrives once, except the one whose answer was lost with the first downstream.
    expect(taken.filter((name, i) => taken.indexOf(name) === i)).toEqual(names(80));
    expect(taken.length).toBeLessThanOrEqual(81);
  });

  it("turns what is refused for good into a dead letter, and goes on", async () => {
    const server = await downstream("grpc", ({ body }) =>
      body.toString().startsWith("bad") ? { status: Code.INVALID_ARGUMENT, message: "malformed" } : {},
    );
    const folder = await newFolder();
    const { forward, seen } = await durable(folder, server.endpoint, { concurrency: 1 });
    await exportAll(forward, ["good 1", "bad 1", "good 2", "bad 2", "good 3"]);
    await exportAll(forward, ["bad 3", "good 4"], "traces");
    await empty(forward);
    expect(bodies(server).filter((body) => body.startsWith("good"))).toEqual([
      "good 1",
      "good 2",
      "good 3",
      "good 4",
    ]);
    expect(bodies(server).filter((body) => body.startsWith("bad"))).toHaveLength(3);
    expect(await letters(folder, "logs")).toEqual(["bad 1", "bad 2"]);
    expect(await letters(folder, "traces")).toEqual(["bad 3"]);
    expect(seen.letters).toEqual([true, true, true]);
    expect(seen.drops).toEqual([]);
  });

  it("bounds the dead letters, counts what they cannot hold, and cuts off one that was torn", async () => {
    const server = await downstream("grpc", () => ({ status: Code.INVALID_ARGUMENT }));
    const folder = await newFolder();
    const settings = { concurrency: 1, disk: { max_dead_letter_size: 50 } };
    const { forward, seen } = await durable(folder, server.endpoint, settings);
    await exportAll(forward, names(3));
    await empty(forward);
    await appendFile(join(folder, "dead-letters", "logs.otlp"), "\x00\x00\x00\x09reque");
    await exportAll(forward, names(3, 3));
    await empty(forward);
    expect(seen.letters).toEqual([true, true, true, false, false, false]);
    await forward.close(1_000);

    const { forward: again, seen: later } = await durable(folder, server.endpoint, {
      ...settings,
      disk: { max_dead_letter_size: 55 },
    });
    await exportAll(again, names(2, 6));
    await empty(again);
    expect(later.letters).toEqual([true, false]);
    expect(await letters(folder, "logs")).toEqual(["request 0", "request 1", "request 2", "request 6"]);
    expect((await stat(join(folder, "dead-letters", "logs.otlp"))).size).toBeLessThanOrEqual(55);
  });

  it("keeps what comes while the downstream refuses the credentials", async () => {
    let valid = false;
    const server = await downstream("grpc", () => (valid ? {} : { status: Code.UNAUTHENTICATED }));
    const { forward, seen } = await durable(await newFolder(), server.endpoint, { concurrency: 2 });
    await exportAll(forward, names(5));
    await vi.waitFor(() => expect(seen.attempts.length).toBeGreaterThan(6), 10_000);
    valid = true;
    await empty(forward);
    expect(new Set(bodies(server))).toEqual(new Set(names(5)));
    expect(seen.letters).toEqual([]);
  });

  it.each([307, 403, 404, 500])(
    "keeps what comes while HTTP %i answers an empty request too",
    async (status) => {
      let broken = true;
      const taken: string[] = [];
      const server = createServer(async (request, response) => {
        const body = Buffer.concat(await request.toArray()).toString();
        if (broken) return response.writeHead(status, { location: "/" }).end();
        if (body === "bad") return response.writeHead(404).end();
        if (body) taken.push(body);
        response.end();
      }).listen(0, "127.0.0.1");
      await once(server, "listening");
      cleanups.push(async () => server.close().closeAllConnections());
      const folder = await newFolder();
      const { port } = server.address() as AddressInfo;
      const endpoint = `http://127.0.0.1:${port}`;
      const { forward, seen } = await durable(folder, endpoint, { protocol: "http", concurrency: 2 });
      await exportAll(forward, [...names(5), "bad", ...names(5, 5)]);
      await vi.waitFor(() => expect(seen.attempts.length).toBeGreaterThan(6), 10_000);
      expect(seen.letters).toEqual([]);
      broken = false;
      await empty(forward);
      expect(new Set(taken)).toEqual(new Set(names(10)));
      expect(seen.letters).toEqual([true]);
      expect(await letters(folder, "logs")).toEqual(["bad"]);
    },
  );

  it("lets requests for which the downstream asks to wait hold up no others", async () => {
    const taken: string[] = [];
    const server = await downstream("http", ({ body }) => {
      const text = body.toString();
      if (text.startsWith("refused")) return { status: 503, retryAfterMs: 3_600_000 };
      taken.push(text);
      return {};
    });
    const settings = { protocol: "http", concurrency: 2, retry: { max_elapsed_time: 7_200_000 } } as const;
    const { forward } = await durable(await newFolder(), server.endpoint, settings);
    const texts = Array.from({ length: 200 }, (_, i) => (i % 10 === 3 ? `refused ${i}` : `taken ${i}`));
    await exportAll(forward, texts);
    await vi.waitFor(() => expect(taken).toHaveLength(180), 10_000);
    expect(server.received.filter(({ body }) => body.toString().startsWith("refused"))).toHaveLength(20);
  });

  it("keeps the order strictly with a concurrency of 1, also while it is asked to wait", async () => {
    const taken: string[] = [];
    const server = await downstream("http", ({ body }, index) => {
      if (index === 2) return { status: 503, retryAfterMs: 1_000 };
      taken.push(body.toString());
      return {};
    });
    const { forward } = await durable(await newFolder(), server.endpoint, {
      protocol: "http",
      concurrency: 1,
    });
    for (const name of names(10)) await forward.export("logs", Buffer.from(name), patient());
    await vi.waitFor(() => expect(taken).toHaveLength(10), 10_000);
    expect(taken).toEqual(names(10));
  });

  it("lets no signal hold up another", async () => {
    let metricsTaken = false;
    const server = await downstream("grpc", ({ signal }) =>
      signal === "metrics" && !metricsTaken ? { status: Code.UNAVAILABLE } : {},
    );
    const { forward, seen } = await durable(await newFolder(), server.endpoint, { concurrency: 2 });
    await exportAll(forward, names(50), "metrics");
    await vi.waitFor(() => expect(seen.attempts.length).toBeGreaterThan(6), 10_000);
    const of = (signal: Signal) =>
      bodies({ received: server.received.filter((one) => one.signal === signal) });
    await exportAll(forward, names(50), "logs");
    await exportAll(forward, names(50), "traces");
    await vi.waitFor(() => {
      expect(of("logs").sort()).toEqual(names(50).sort());
      expect(of("traces").sort()).toEqual(names(50).sort());
    }, 10_000);
    metricsTaken = true;
    await empty(forward);
    expect(new Set(of("metrics"))).toEqual(new Set(names(50)));
    expect([...seen.letters, ...seen.drops]).toEqual([]);
  });

  it("loses no dead letter that cannot be written, and goes on with the rest", async () => {
    const server = await downstream("grpc", ({ body }) =>
      body.toString().startsWith("bad") ? { status: Code.INVALID_ARGUMENT } : {},
    );
    const folder = await newFolder();
    const inTheWay = join(folder, "dead-letters");
    await writeFile(inTheWay, "");
    const { forward } = await durable(folder, server.endpoint, { concurrency: 1 });
    await exportAll(forward, ["bad 1", "bad 2", ...names(20)]);
    await vi.waitFor(() => expect(bodies(server)).toHaveLength(22), 10_000);
    await forward.close(1_000);
    expect(forward.state().storedBytes).toBeGreaterThan(0);
    const { forward: again, seen } = await durable(folder, server.endpoint, { concurrency: 1 });
    await vi.waitFor(() => expect(bodies(server)).toHaveLength(44), 10_000);
    expect(seen.letters).toEqual([]);
    await rm(inTheWay);
    await empty(again);
    expect(seen.letters).toEqual([true, true]);
    expect(await letters(folder, "logs")).toEqual(["bad 1", "bad 2"]);
  });

  it("delivers what an earlier process kept under larger limits", async () => {
    const gone = await startDownstream("grpc");
    await gone.close();
    const folder = await newFolder();
    const { forward } = await durable(folder, gone.endpoint);
    const large = Array.from({ length: 4 }, (_, i) => `${i} `.padEnd(300_000, "x"));
    for (const text of large) await forward.export("logs", Buffer.from(text), patient());
    await forward.close(0);
    const server = await downstream("grpc");
    const settings = { concurrency: 1, maxSize: 100_000, disk: { max_size: 200_000 } };
    const { forward: again, seen } = await durable(folder, server.endpoint, settings);
    await empty(again);
    expect(bodies(server)).toEqual(large);
    expect([...seen.letters, ...seen.drops]).toEqual([]);
    await again.export("logs", Buffer.from("small"), patient());
    await empty(again);
  });

  it("is missed by a forwarder without one, where it holds something", async () => {
    const gone = await startDownstream("grpc");
    await gone.close();
    const folder = await newFolder();
    const lines: string[] = [];
    const memory = async () => {
      const log = pino({}, { write: (line: string) => lines.push(line) });
      const config = forwardConfig("grpc", gone.endpoint);
      const forward = await startForwarder(config, { ...watch(), log }, folder);
      await forward.close(0);
      return lines.splice(0).filter((line) => line.includes("forward.queue"));
    };
    expect(await memory()).toEqual([]);
    const { forward } = await durable(folder, gone.endpoint);
    await exportAll(forward, names(3));
    await exportAll(forward, names(1), "traces");
    const { storedBytes } = forward.state();
    await forward.close(0);
    const [line] = await memory();
    expect(JSON.parse(line!)).toMatchObject({
      level: 40,
      bytes: storedBytes,
      msg: expect.stringContaining("set forward.queue.storage to disk once more"),
    });
    const server = await downstream("grpc", undefined, { port: gone.port });
    const { forward: again } = await durable(folder, server.endpoint);
    await empty(again);
    await again.close(1_000);
    expect(await memory()).toEqual([]);
  });

  it("moves a request that alone is not taken behind the others", async () => {
    let patientDownstream = false;
    const server = await downstream("grpc", ({ body }) =>
      body.toString() === "poison" && !patientDownstream ? { status: Code.UNAVAILABLE } : {},
    );
    const { forward, seen } = await durable(await newFolder(), server.endpoint, {
      concurrency: 2,
      retry: { max_elapsed_time: 50 },
    });
    await exportAll(forward, ["poison", ...names(100)]);
    await vi.waitFor(() => expect(new Set(bodies(server)).size).toBe(101), 10_000);
    expect(forward.state().storedBytes).toBeGreaterThan(0);
    patientDownstream = true;
    await empty(forward);
    expect(bodies(server).at(-1)).toBe("poison");
    expect([...seen.letters, ...seen.drops]).toEqual([]);
  });

  it("pushes back when queue.disk.max_size is reached, and takes more when there is room", async () => {
    const { opened, open } = gate();
    const server = await downstream("grpc", async () => {
      await opened;
      return {};
    });
    const { forward, seen } = await durable(await newFolder(), server.endpoint, {
      disk: { max_size: 10_000 },
    });
    const request = Buffer.alloc(3_000, "x");
    for (let i = 0; i < 3; i++) await forward.export("logs", request, patient());
    expect(forward.state().keeping).toMatchObject({
      kept: true,
      reason: expect.stringMatching(/^9\d+ of 10000 bytes of logs$/),
    });
    const refused = await refusal(forward.export("logs", request, patient()));
    expect(refused).toMatchObject({ code: Code.UNAVAILABLE, retryAfterMs: 20 });
    expect(refused.message).toContain("forward.queue.disk.max_size (10000) leaves no room for 3000 more");
    const never = await refusal(forward.export("logs", Buffer.alloc(10_000), patient()));
    expect(never).toMatchObject({ code: Code.RESOURCE_EXHAUSTED, retryAfterMs: undefined });
    expect(seen.drops).toEqual(["queue_full", "too_large"]);
    expect(forward.state().keeping).toEqual({ kept: false, reason: refused.message });
    open();
    await empty(forward);
    expect(forward.state().keeping).toEqual({ kept: true, reason: "0 of 10000 bytes of logs" });
    await forward.export("logs", request, patient());
    await empty(forward);
    expect(server.received).toHaveLength(4);
  });

  it.skipIf(!canMount)("pushes back when the device is full, and takes more when there is room", async () => {
    const folder = await newFolder();
    expect(spawnSync("mount", ["-t", "tmpfs", "-o", "size=512k", "tmpfs", folder]).status).toBe(0);
    cleanups.push(async () => spawnSync("umount", ["-l", folder]));
    const { opened, open } = gate();
    const server = await downstream("grpc", async () => {
      await opened;
      return {};
    });
    const { forward, seen } = await durable(folder, server.endpoint, { concurrency: 1 });
    const kept: string[] = [];
    const fill = async (from: number) => {
      for (let i = from; ; i++) {
        const text = `${i} `.padEnd(20_000, "x");
        try {
          await forward.export("logs", Buffer.from(text), patient());
          kept.push(text);
        } catch (error) {
          return error as ExportError;
        }
      }
    };
    const refused = await fill(0);
    expect(refused).toMatchObject({ code: Code.UNAVAILABLE, retryAfterMs: 20 });
    expect(refused.message).toContain("data_dir is full (ENOSPC)");
    expect(seen.drops).toEqual(["disk_full"]);
    expect(forward.state().keeping).toEqual({ kept: false, reason: refused.message });
    expect(kept.length).toBeGreaterThan(10);
    open();
    await empty(forward);
    // Space is freed once the file of delivered requests has been removed.
    await vi.waitFor(async () => {
      await fill(1_000 + kept.length);
      expect(kept.at(-1)).toMatch(/^1\d\d\d /);
    }, 10_000);
    await empty(forward);
    expect(bodies(server)).toEqual(kept);
    expect(seen.damage).toEqual([]);
  });

  it("closes at once while the downstream is away, and keeps all", async () => {
    const gone = await startDownstream("grpc");
    await gone.close();
    const folder = await newFolder();
    const { forward, seen } = await durable(folder, gone.endpoint, {
      retry: { initial_interval: 1e6, max_interval: 1e6 },
    });
    await exportAll(forward, names(20));
    await vi.waitFor(() => expect(seen.attempts.length).toBeGreaterThanOrEqual(10), 10_000);
    expect(await forward.close(600_000)).toEqual({ requests: 0, bytes: 0 });
    const late = await refusal(forward.export("logs", Buffer.from("late"), patient()));
    expect(late).toMatchObject({ code: Code.UNAVAILABLE, retryAfterMs: 1e6 });
    const server = await downstream("grpc", undefined, { port: gone.port });
    const { forward: again } = await durable(folder, server.endpoint);
    await empty(again);
    expect(bodies(server).sort()).toEqual(names(20).sort());
  });

  it("lets what is on its way arrive before it closes", async () => {
    const { opened, open } = gate();
    const server = await downstream("grpc", async () => {
      await opened;
      return {};
    });
    const folder = await newFolder();
    const { forward } = await durable(folder, server.endpoint);
    await exportAll(forward, names(3));
    await vi.waitFor(() => expect(server.received).toHaveLength(3));
    const closed = forward.close(600_000);
    open();
    await closed;
    expect(forward.state().storedBytes).toBe(0);
    expect(await readdir(join(folder, "queue", "logs"))).toContain("cursor");
  });

  it("refuses a sender that has gone, and a folder that is a file", async () => {
    const server = await downstream("grpc");
    const folder = await newFolder();
    const { forward, seen } = await durable(folder, server.endpoint);
    const gone = new AbortController();
    gone.abort();
    expect(await refusal(forward.export("logs", Buffer.from("x"), gone.signal))).toMatchObject({
      code: Code.CANCELLED,
    });
    expect(seen.drops).toEqual(["cancelled"]);
    const file = fileURLToPath(import.meta.url);
    await expect(durable(file, server.endpoint)).rejects.toThrow(
      /^data_dir: cannot keep the queue there: ENOTDIR/,
    );
  });

  it("counts the records that a partial success leaves out", async () => {
    const server = await downstream("grpc", () => ({ partialSuccess: { rejected: 4, message: "old" } }));
    const { forward, seen } = await durable(await newFolder(), server.endpoint);
    expect(await forward.export("logs", Buffer.from("x"), patient())).toBeUndefined();
    await empty(forward);
    expect(seen.rejected).toEqual([4]);
    expect(server.received).toHaveLength(1);
  });
});
