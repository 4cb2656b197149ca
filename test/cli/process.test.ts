import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterEach, describe, expect, it } from "vitest";
import { type Downstream, gate, startDownstream } from "../forward/downstream.ts";
import { logs, normalLines, sendGrpc, strangeLine } from "./sender.ts";

const main = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));
const open: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

interface Running {
  child: ChildProcess;
  /** Lines of standard output so far. */
  lines: string[];
  stderr(): string;
  /** Resolves to the first line that contains `text`. */
  line(text: string): Promise<Record<string, unknown>>;
  code: Promise<number | null>;
}

const anyPort = ["receive.grpc", "receive.http", "api"].map((name) => `--${name}.endpoint=127.0.0.1:0`);

function emptyFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "driftlock-process-"));
  open.push(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

function driftlock(args: string[], nodeOptions: string[] = []): Running {
  return watched(process.execPath, [...nodeOptions, main, ...args], emptyFolder());
}

function watched(command: string, args: string[], folder: string, path = process.env.PATH): Running {
  const child = spawn(command, args, {
    cwd: folder,
    env: { PATH: path, HOME: folder, DRIFTLOCK_DATA_DIR: folder },
    stdio: ["ignore", "pipe", "pipe"],
  });
  open.push(() => child.kill("SIGKILL"));
  const lines: string[] = [];
  const waiting = new Set<() => void>();
  let stderr = "";
  let ended = false;
  const look = () => {
    for (const check of waiting) check();
  };
  createInterface({ input: child.stdout! }).on("line", (line) => {
    lines.push(line);
    look();
  });
  child.stderr!.setEncoding("utf8").on("data", (text) => {
    stderr += text;
  });
  const code = once(child, "close").then(([exitCode]) => {
    ended = true;
    look();
    return exitCode as number | null;
  });
  return {
    child,
    lines,
    stderr: () => stderr,
    line: (text) =>
      new Promise((resolve, reject) => {
        const check = () => {
          const found = lines.find((line) => line.includes(text));
          if (found === undefined && !ended) return;
          waiting.delete(check);
          if (found === undefined)
            reject(new Error(`ended without "${text}":\n${lines.join("\n")}\n${stderr}`));
          else resolve(JSON.parse(found));
        };
        waiting.add(check);
        check();
      }),
    code,
  };
}

async function downstream(handler?: Parameters<typeof startDownstream>[1]): Promise<Downstream> {
  const target = await startDownstream("grpc", handler);
  open.push(target.close);
  return target;
}

/** A downstream that answers no request. `arrived` opens with the first one. */
async function silentDownstream() {
  const arrived = gate();
  const target = await downstream(() => {
    arrived.open();
    return new Promise(() => {});
  });
  return { target, arrived };
}

/** Starts `run` on free ports; resolves once it listens. */
async function run(
  target: string,
  args: string[] = [],
  nodeOptions: string[] = [],
): Promise<Running & { grpc: string; http: string }> {
  const running = driftlock(["run", ...anyPort, `--forward.endpoint=${target}`, ...args], nodeOptions);
  const { addresses } = await running.line("listening on");
  return { ...running, ...(addresses as { grpc: string; http: string }) };
}

describe("a process of its own", () => {
  it.runIf(process.platform === "linux")(
    "opens the dashboard, or goes on if there is no browser",
    async () => {
      const target = await downstream();
      const folder = emptyFolder();
      const opened = join(folder, "opened");
      const args = [main, "run", ...anyPort, `--forward.endpoint=${target.endpoint}`, "--open"];
      const without = watched(process.execPath, args, emptyFolder(), folder);
      expect(await without.line("the browser could not be started")).toMatchObject({
        url: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+\/$/),
      });
      expect(without.child.exitCode).toBeNull();
      writeFileSync(join(folder, "xdg-open"), `#!/bin/sh\necho "$@" > ${opened}\n`, { mode: 0o755 });
      const running = watched(process.execPath, args, emptyFolder(), folder);
      const { addresses } = await running.line("listening on");
      const { api } = addresses as { api: string };
      await expect
        .poll(() => (existsSync(opened) ? readFileSync(opened, "utf8") : ""))
        .toBe(`http://${api}/\n`);
    },
  );

  it("prints its version", async () => {
    const { code, lines } = driftlock(["version"]);
    expect(await code).toBe(0);
    expect(lines[0]).toMatch(/^driftlock \d+\.\d+\.\d+/);
    expect(lines).toContainEqual(expect.stringMatching(/^openzl \d/));
  });

  it("loads neither the configuration nor a library to print its version", async () => {
    const hooks = join(emptyFolder(), "hooks.mjs");
    writeFileSync(
      hooks,
      `import { registerHooks } from "node:module";
       registerHooks({ load: (url, context, next) => (console.error(url), next(url, context)) });`,
    );
    const running = driftlock(["version"], ["--import", hooks]);
    expect(await running.code).toBe(0);
    const loaded = running.stderr().trim().split("\n");
    expect(loaded).toContainEqual(expect.stringContaining("/src/native.ts"));
    expect(loaded.filter((url) => url.includes("/src/config/schema"))).toEqual([]);
    expect(loaded.filter((url) => /node_modules\/(?!node-gyp-build\/)/.test(url))).toEqual([]);
  });

  it("validates", async () => {
    const good = driftlock(["validate"]);
    expect(await good.code).toBe(0);
    expect(good.lines).toEqual(["OK"]);
    const bad = driftlock(["validate", "--detect.seed", "x"]);
    expect(await bad.code).toBe(1);
    expect(bad.stderr()).toBe('detect.seed: must be a whole number, is "x" (flag --detect.seed)\n');
    expect(await driftlock(["validate", "--print", "--nothing"]).code).toBe(2);
  });
});

describe("run", () => {
  it("says what it does, delivers, logs anomalies, and stops on SIGTERM with 0", async () => {
    const target = await downstream();
    const running = await run(target.endpoint, [
      "--detect.baseline.records=200",
      "--detect.budget.per_stream_per_day=1000",
    ]);
    const start = await running.line("listening on");
    expect(start).toMatchObject({
      level: "info",
      downstream: { endpoint: target.endpoint, protocol: "grpc", mode: "all" },
      msg: expect.stringContaining(`grpc ${running.grpc}, `),
    });
    for (let i = 0; i < 5; i++) await sendGrpc(running.grpc, logs(normalLines(100, i * 100), i * 100));
    await sendGrpc(running.grpc, logs([strangeLine], 500));
    expect(await running.line('"msg":"anomaly"')).toMatchObject({
      anomaly: { stream: expect.stringContaining("checkout"), channel: "content" },
    });
    running.child.kill("SIGTERM");
    expect(await running.code).toBe(0);
    expect(JSON.parse(running.lines.at(-1)!)).toMatchObject({
      msg: "stopped; all accepted requests were delivered",
    });
    expect(target.received).toHaveLength(6);
    expect(running.stderr()).toBe("");
  });

  it("reports what is undelivered at the deadline, with 1", async () => {
    const { target, arrived } = await silentDownstream();
    const running = await run(target.endpoint, ["--shutdown_timeout=100ms"]);
    const answer = expect(sendGrpc(running.grpc, logs(normalLines(3)))).rejects.toThrow();
    await arrived.opened;
    running.child.kill("SIGTERM");
    expect(await running.code).toBe(1);
    expect(JSON.parse(running.lines.at(-1)!)).toMatchObject({
      level: "error",
      undelivered: { requests: 1, records: 3 },
    });
    await answer;
  });

  it("does not wait for a sender that goes away while it stops, and exits with 0", async () => {
    const { target, arrived } = await silentDownstream();
    const running = await run(target.endpoint, ["--shutdown_timeout=10m"]);
    const sender = new AbortController();
    const answer = fetch(`http://${running.http}/v1/logs`, {
      method: "POST",
      headers: { "content-type": "application/x-protobuf" },
      body: new Uint8Array(logs(normalLines(3))),
      signal: sender.signal,
    });
    const aborted = expect(answer).rejects.toThrow("aborted");
    await arrived.opened;
    running.child.kill("SIGTERM");
    await running.line("stopping");
    sender.abort();
    await aborted;
    expect(await running.line("the sender gave up")).toMatchObject({ reason: "cancelled", requests: 1 });
    expect(await running.code).toBe(0);
    expect(JSON.parse(running.lines.at(-1)!)).toMatchObject({
      msg: "stopped; all accepted requests were delivered",
    });
  });

  it("says what waits on disk, with 0", async () => {
    const nobody = await downstream();
    await nobody.close();
    const queue = ["--forward.queue.storage=disk", "--shutdown_timeout=100ms"];
    const running = await run(nobody.endpoint, queue);
    const body = logs(normalLines(3));
    await sendGrpc(running.grpc, body);
    running.child.kill("SIGTERM");
    expect(await running.code).toBe(0);
    const last = JSON.parse(running.lines.at(-1)!);
    expect(last).toMatchObject({ level: "info", msg: expect.stringContaining("on disk") });
    expect(last.bytes).toBeGreaterThan(body.length);
  });

  it("exits at once on a second signal", async () => {
    const { target, arrived } = await silentDownstream();
    const running = await run(target.endpoint, ["--shutdown_timeout=10m"]);
    const answer = expect(sendGrpc(running.grpc, logs(normalLines(3)))).rejects.toThrow();
    await arrived.opened;
    running.child.kill("SIGTERM");
    await running.line("stopping");
    running.child.kill("SIGINT");
    expect(await running.code).toBe(1);
    expect(JSON.parse(running.lines.at(-1)!)).toMatchObject({ level: "fatal", signal: "SIGINT" });
    await answer;
  });

  // Only systems with /proc show which process started npx's shell.
  it.each<NodeJS.Signals>(existsSync("/proc/self/stat") ? ["SIGTERM", "SIGHUP", "SIGKILL"] : ["SIGTERM"])(
    "ends with npx at %s",
    async (signal) => {
      const folder = emptyFolder();
      writeFileSync(join(folder, "package.json"), "{}");
      mkdirSync(join(folder, "node_modules/.bin"), { recursive: true });
      const script = `#!/bin/sh\nexec "${process.execPath}" "${main}" "$@"\n`;
      writeFileSync(join(folder, "node_modules/.bin/driftlock"), script, { mode: 0o755 });
      const target = await downstream();
      const args = ["--no", "driftlock", "run", "--forward.endpoint", target.endpoint, ...anyPort];
      const { child, line, lines, code } = watched("npx", args, folder);
      await line("listening on");
      child.kill(signal);
      // Its output ends when the last of its processes does.
      await code;
      expect(lines.at(-1)).toContain("all accepted requests were delivered");
      expect(lines.join("")).toContain('"signal":"end of npx"');
    },
  );

  it("logs an uncaught error and exits with 1", async () => {
    const target = await downstream();
    const fault = 'process.on("SIGUSR2", () => { throw new Error("out of the blue"); })';
    const running = await run(
      target.endpoint,
      [],
      ["--import", `data:text/javascript,${encodeURIComponent(fault)}`],
    );
    running.child.kill("SIGUSR2");
    expect(await running.code).toBe(1);
    const last = JSON.parse(running.lines.at(-1)!);
    expect(last).toMatchObject({ level: "fatal", err: { message: "out of the blue" } });
  });

  it("warns of what is unsafe", async () => {
    const running = await run("http://downstream.invalid:4317");
    expect(await running.line("unencrypted")).toMatchObject({ level: "warn" });
    running.child.kill("SIGTERM");
    expect(await running.code).toBe(0);
  });

  it.runIf(existsSync("/dev/full"))("says in one line that its output cannot be written", () => {
    const file = join(emptyFolder(), "lines");
    writeFileSync(file, "a line\n");
    const full = openSync("/dev/full", "w");
    open.push(() => closeSync(full));
    const { status, stderr } = spawnSync(process.execPath, [main, "replay", "--format", "lines", file], {
      stdio: ["ignore", full, "pipe"],
    });
    expect(status).toBe(1);
    expect(String(stderr)).toMatch(/^driftlock: cannot write the output: ENOSPC[^\n]*\n$/);
  });

  it("fails to start with one line and 1", async () => {
    const target = await downstream();
    const first = await run(target.endpoint);
    const second = driftlock([
      "run",
      `--receive.grpc.endpoint=${first.grpc}`,
      "--receive.http.enabled=false",
      "--api.enabled=false",
      `--forward.endpoint=${target.endpoint}`,
    ]);
    expect(await second.code).toBe(1);
    expect(second.stderr()).toMatch(
      /^driftlock: receive\.grpc\.endpoint: cannot listen on .*another process[^\n]*\n$/,
    );
    first.child.kill("SIGTERM");
    expect(await first.code).toBe(0);
  });

  it.each(["/proc/nope", "/dev/null", "/dev/null/below"])(
    "does not start with %s as its data_dir",
    async (path) => {
      const started = driftlock(["run", "--data_dir", path]);
      expect(await started.code).toBe(1);
      expect(started.stderr()).toMatch(
        /^driftlock: data_dir: \/[^\n]* (cannot be created|is not a folder)[^\n]*\n$/,
      );
    },
  );
});
