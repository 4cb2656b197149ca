import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { appendFile, readdir } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { cleanups, newFolder } from "./cleanups.ts";
import { type Downstream, startDownstream } from "./downstream.ts";

/** Starts a downstream that is occasionally unavailable or slow. */
async function moody(): Promise<Downstream> {
  const server = await startDownstream("grpc", async (_, index) => {
    if (index % 7 === 3) return { status: 14 };
    if (index % 5 === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    return {};
  });
  cleanups.push(() => server.close());
  return server;
}

function arrived({ received }: Downstream): Set<number> {
  return new Set(received.map(({ body }) => Number.parseInt(body.toString(), 10)));
}

interface Run {
  child: ChildProcess;
  kept: number[];
  refused: string[];
  ready: Promise<void>;
  /** Resolves to the exit code and the signal when all lines have been read. */
  ended: Promise<[number | null, NodeJS.Signals | null]>;
}

const canInject =
  spawnSync("strace", ["-qq", "-o", "/dev/null", "-e", "inject=fdatasync:error=EIO", "true"]).status === 0;

const program = fileURLToPath(new URL("durable-child.ts", import.meta.url));

/** @param under shell code in front of the command. */
function run(args: string[], under = "exec"): Run {
  const child = spawn("bash", ["-c", `${under} "$0" "$@"`, process.execPath, program, ...args], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const kept: number[] = [];
  const refused: string[] = [];
  const ready = Promise.withResolvers<void>();
  const lines = createInterface({ input: child.stdout });
  lines.on("line", (line) => {
    if (line === "ready") ready.resolve();
    else if (line.startsWith("kept ")) kept.push(Number(line.slice(5)));
    else refused.push(line);
  });
  const read = new Promise((resolve) => lines.on("close", resolve));
  const ended = new Promise<[number | null, NodeJS.Signals | null]>((resolve) => {
    child.on("exit", (code, signal) => void read.then(() => resolve([code, signal])));
  });
  void ended.then(() => ready.resolve());
  return { child, kept, refused, ready: ready.promise, ended };
}

describe("a process that is killed", () => {
  it.each(["always", "interval", "off"])(
    "loses nothing that it had kept, with sync: %s",
    async (sync) => {
      const folder = await newFolder();
      const server = await moody();
      const kept: number[] = [];
      for (let round = 0; round < 4; round++) {
        const { child, ready, ended, ...lines } = run([
          folder,
          server.endpoint,
          sync,
          String(round * 1_000),
          "400",
          "stay",
        ]);
        await ready;
        await new Promise((resolve) => setTimeout(resolve, 30 + Math.random() * 400));
        child.kill("SIGKILL");
        expect(await ended).toEqual([null, "SIGKILL"]);
        expect(lines.refused).toEqual([]);
        kept.push(...lines.kept);
        // This simulates a crash during a write.
        const queue = join(folder, "queue", "logs");
        const last = (await readdir(queue))
          .filter((name) => name.endsWith(".log"))
          .sort()
          .at(-1);
        if (last) await appendFile(join(queue, last), Buffer.from("DLQ1 torn off"));
      }
      const rest = run([folder, server.endpoint, sync, "0", "0"]);
      expect(await rest.ended).toEqual([0, null]);
      expect(kept.length).toBeGreaterThan(20);
      const there = arrived(server);
      expect(kept.filter((number) => !there.has(number))).toEqual([]);
    },
    120_000,
  );

  it("meets a full device by pushing back, and loses nothing", async () => {
    const folder = await newFolder();
    const server = await moody();
    // The limit allows no file to grow beyond 100 KiB.
    const { ended, kept, refused } = run(
      [folder, server.endpoint, "always", "0", "400"],
      "ulimit -f 100; exec",
    );
    expect(await ended).toEqual([0, null]);
    expect(refused.length).toBeGreaterThan(0);
    for (const line of refused) expect(line).toMatch(/data_dir is full \((EFBIG|ENOSPC)\); make room there/);
    expect(kept.length).toBeGreaterThan(0);
    const there = arrived(server);
    expect(kept.filter((number) => !there.has(number))).toEqual([]);
  }, 60_000);

  it.skipIf(!canInject)(
    "answers nothing before the flush: where that fails, nothing is kept",
    async () => {
      const server = await moody();
      const tracer = "exec strace -f -qq -o /dev/null -e trace=fdatasync -e inject=fdatasync:error=EIO";
      const always = run([await newFolder(), server.endpoint, "always", "0", "20"], tracer);
      expect(await always.ended).toEqual([0, null]);
      expect(always.kept).toEqual([]);
      expect(always.refused).toHaveLength(20);
      for (const line of always.refused) expect(line).toMatch(/the device that holds data_dir failed: EIO/);
      const off = run([await newFolder(), server.endpoint, "off", "0", "20"], tracer);
      expect(await off.ended).toEqual([0, null]);
      expect(off.kept).toHaveLength(20);
    },
    60_000,
  );
});
