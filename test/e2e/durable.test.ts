/**
 * The sidecar as users run it, with its queue on disk: killed, before a downstream that refuses, and on a full device.
 */
import { spawnSync } from "node:child_process";
import { appendFile, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { afterEach, describe, expect, it } from "vitest";
import { Code, signals } from "../../src/otlp/protocol.ts";
import { type Downstream, type Reply, startDownstream } from "../forward/downstream.ts";
import { type Driftlock, startDriftlock } from "./driftlock.ts";
import { numbersOf } from "./numbered.ts";
import { Program, stopAll, until } from "./programs.ts";
import { perRequest, Sender } from "./sender.ts";

const main = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));
const canMount = process.getuid?.() === 0 && spawnSync("sh", ["-c", "unshare -m true"]).status === 0;

const cleanups: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  await stopAll();
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function newFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "driftlock-e2e-"));
  cleanups.push(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** Starts a downstream that records the numbers that it accepts; `answer` may refuse a request. */
async function downstream(answer: (numbers: number[], index: number) => Reply | Promise<Reply>) {
  const taken = new Set<number>();
  const server: Downstream = await startDownstream("grpc", async ({ signal, body }, index) => {
    const numbers = numbersOf(signal, body);
    const reply = await answer(numbers, index);
    if (!reply.status) for (const number of numbers) taken.add(number);
    return reply;
  });
  cleanups.push(() => server.close());
  return { endpoint: server.endpoint, taken };
}

function start(endpoint: string, dataDir: string, sync = "always"): Promise<Driftlock> {
  const forward = {
    endpoint,
    retry: { initial_interval: "20ms", max_interval: "200ms" },
    queue: { storage: "disk", disk: { sync } },
  };
  return startDriftlock({ data_dir: dataDir, forward }, { main });
}

const drained = (driftlock: Driftlock) =>
  until("the queue to drain", async () =>
    (await driftlock.metric("driftlock_queue_disk_bytes")) === 0 ? true : undefined,
  );

/** Returns acknowledged numbers that did not arrive. */
function missing({ acknowledged }: Sender, taken: ReadonlySet<number>): number[] {
  const numbers = acknowledged.flatMap((first) => Array.from({ length: perRequest }, (_, i) => first + i));
  return numbers.filter((number) => !taken.has(number));
}

describe("the queue on disk", () => {
  it.each(["always", "interval", "off"])(
    "of a sidecar that is killed at any moment loses nothing that was acknowledged, with sync: %s",
    async (sync) => {
      const folder = await newFolder();
      const { endpoint, taken } = await downstream(async (_, index) => {
        if (index % 5 === 0) await sleep(20);
        return index % 7 === 3 ? { status: Code.UNAVAILABLE } : {};
      });
      const senders: Sender[] = [];
      for (let round = 0; round < 4; round++) {
        const driftlock = await start(endpoint, folder, sync);
        const sender = new Sender(driftlock.grpc, round * 1_000_000);
        senders.push(sender);
        const sending = sender.run(5_000);
        await sleep(200 + Math.random() * 1_500);
        driftlock.program.kill("SIGKILL");
        expect(await driftlock.program.exit).toBeNull();
        sender.stop();
        await sending;
        // This simulates a power failure during a write.
        for (const signal of signals) {
          const queue = join(folder, "queue", signal);
          const logs = (await readdir(queue)).filter((name) => name.endsWith(".log")).sort();
          if (logs.length > 0) await appendFile(join(queue, logs.at(-1)!), "DLQ1 torn off");
        }
      }
      const driftlock = await start(endpoint, folder, sync);
      await drained(driftlock);
      expect(await driftlock.program.stop()).toBe(0);
      expect(senders.flatMap(({ acknowledged }) => acknowledged).length).toBeGreaterThan(10);
      for (const sender of senders) expect(missing(sender, taken)).toEqual([]);
    },
  );

  it("leaves what is refused for good to `driftlock replay`, and delivers the rest", async () => {
    const folder = await newFolder();
    // The second request of each signal is refused.
    const refused = (numbers: number[]) => Math.floor(numbers[0]! / (3 * perRequest)) === 1;
    const { endpoint, taken } = await downstream((numbers) =>
      refused(numbers) ? { status: Code.INVALID_ARGUMENT, message: "not to my liking" } : {},
    );
    const driftlock = await start(endpoint, folder);
    const sender = new Sender(driftlock.grpc);
    await sender.run(9_000, 1.05);
    expect(sender.acknowledged.length * perRequest).toBe(sender.sent);
    await drained(driftlock);
    expect(await driftlock.metric("driftlock_dead_letters_total")).toBe(3);
    expect(await driftlock.program.stop()).toBe(0);
    expect(taken.size).toBe(sender.sent - 3 * perRequest);
    expect(missing(sender, taken)).toHaveLength(3 * perRequest);

    for (const signal of ["logs", "traces", "metrics"]) {
      const file = join(folder, "dead-letters", `${signal}.otlp`);
      const args = ["replay", "--format", "otlp", "--signal", signal, "--train", "64", file];
      const replay = new Program(process.execPath, [main, ...args]);
      const lines = (await replay.succeeded()).trim().split("\n");
      const records = lines.map((line) => JSON.parse(line)).filter(({ kind }) => kind === "record");
      expect(records.map(({ i }) => i)).toEqual(Array.from({ length: perRequest }, (_, i) => i));
    }
  });

  it.skipIf(!canMount)(
    "on a full device pushes back and says so, and goes on when there is room",
    async () => {
      const folder = await newFolder();
      expect(spawnSync("mount", ["-t", "tmpfs", "-o", "size=4m", "tmpfs", folder]).status).toBe(0);
      cleanups.push(async () => spawnSync("umount", ["-l", folder]));
      const { promise: opened, resolve: open } = Promise.withResolvers<void>();
      const { endpoint, taken } = await downstream(async () => {
        await opened;
        return {};
      });
      const driftlock = await start(endpoint, folder);
      const full = { reason: "disk_full" };
      const count = (reason: object) =>
        driftlock.metric("driftlock_undelivered_requests_total", reason as Record<string, string>);
      const first = new Sender(driftlock.grpc);
      const sending = first.run(20_000);
      await until("the device to fill", async () => ((await count(full)) > 10 ? true : undefined));
      first.stop();
      await sending;
      expect(first.acknowledged.length).toBeGreaterThan(0);
      expect(first.refused).toBeGreaterThan(0);

      open();
      await drained(driftlock);
      const second = new Sender(driftlock.grpc, 1_000_000);
      await second.run(5_000, 0.5);
      expect(second.refused).toBe(0);
      await drained(driftlock);
      for (const sender of [first, second]) expect(missing(sender, taken)).toEqual([]);
      expect(await driftlock.program.stop()).toBe(0);
    },
  );
});
