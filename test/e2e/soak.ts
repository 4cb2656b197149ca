/**
 * The sidecar with its queue on disk at a fixed rate for any length of time, before a downstream that is killed,
 * stopped or misbehaves at random: whether everything that was acknowledged arrives, and how memory develops.
 */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { type Driftlock, startDriftlock } from "./driftlock.ts";
import { freePort, until } from "./programs.ts";
import { perRequest, Sender } from "./sender.ts";
import type { Mood } from "./soak-downstream.ts";

export interface SoakOptions {
  seconds: number;
  /** Records per second, all signals together. */
  rate: number;
  /** Shortest and longest pause between two stops of the downstream, in seconds. */
  pause: [number, number];
  /** Receives a text for each event. */
  say?(text: string): void;
}

export interface Sample {
  /** Seconds since the start. */
  at: number;
  /** Resident memory in bytes. */
  rss: number;
  /** This value and the following ones are from the sidecar's metrics. */
  heap: number;
  external: number;
  engine: number;
  queued: number;
}

/** How often the downstream received each process signal, and how often it misbehaved. */
export interface Ended {
  SIGKILL: number;
  SIGTERM: number;
  moods: number;
}

export interface SoakReport {
  /** The number of records sent. */
  sent: number;
  acknowledged: number;
  refused: number;
  /** The number of distinct records received. */
  received: number;
  /** The number of records acknowledged but not received. */
  missing: number;
  /** The number of repeated deliveries. */
  duplicates: number;
  ended: Ended;
  /** Seconds from the last answer to a sender until the queue was empty. */
  drainSeconds: number;
  /** The sidecar's exit code. */
  exitCode: number | null;
  samples: Sample[];
}

const sampleMs = 1_000;
const drainMs = 120_000;

const main = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));
const program = fileURLToPath(new URL("soak-downstream.ts", import.meta.url));

const between = ([least, most]: readonly [number, number]) => least + Math.random() * (most - least);

/** A downstream on one port, which is started again after each stop. */
class Downstream {
  readonly #port: number;
  readonly #folder: string;
  #child: ChildProcess | undefined;
  /** The files of received numbers, one for each process. */
  readonly files: string[] = [];

  constructor(port: number, folder: string) {
    this.#port = port;
    this.#folder = folder;
  }

  get endpoint(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** Starts the downstream unless it is running. */
  async start(): Promise<void> {
    if (this.#running) return;
    const file = join(this.#folder, String(this.files.length));
    this.files.push(file);
    this.#child = fork(program, [String(this.#port), file], {
      stdio: ["ignore", "ignore", "inherit", "ipc"],
    });
    await once(this.#child, "message");
  }

  async end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child;
    if (!child || !this.#running) return;
    const exit = once(child, "exit");
    child.kill(signal);
    await exit;
  }

  feel(mood: Mood): void {
    this.#child?.send(mood);
  }

  get #running(): boolean {
    return this.#child?.exitCode === null && this.#child.signalCode === null;
  }
}

async function sample(driftlock: Driftlock, start: number): Promise<Sample> {
  const status = await readFile(`/proc/${driftlock.program.pid}/status`, "utf8");
  const text = await (await fetch(`http://${driftlock.api}/metrics`)).text();
  const metric = (name: string) =>
    Number(new RegExp(`^${name}(?:\\{.*\\})? (\\S+)$`, "m").exec(text)?.[1] ?? 0);
  return {
    at: (performance.now() - start) / 1e3,
    rss: Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)![1]) * 1024,
    heap: metric("nodejs_heap_size_used_bytes"),
    external: metric("nodejs_external_memory_bytes"),
    engine: metric("driftlock_engine_bytes"),
    queued: metric("driftlock_queue_disk_bytes"),
  };
}

/** Stops the downstream and starts it again, with a bad mood between, until aborted. */
async function trouble(
  downstream: Downstream,
  { pause, say }: SoakOptions,
  ended: Ended,
  stop: AbortSignal,
): Promise<void> {
  const wait = (seconds: number) => sleep(seconds * 1e3, undefined, { signal: stop });
  const [least] = pause;
  try {
    for (let n = 0; ; n++) {
      const whole = between(pause);
      await wait(whole / 2);
      const mood = (["refuses", "throttles", "stalls"] as const)[n % 3]!;
      const ms = Math.round(between([least / 20, least / 7]) * 1e3);
      downstream.feel({ mood, ms });
      ended.moods++;
      say?.(`the downstream ${mood} for ${ms} ms`);
      await wait(whole / 2);
      const signal = n % 2 === 0 ? "SIGKILL" : "SIGTERM";
      await downstream.end(signal);
      ended[signal]++;
      const away = between([least / 20, least / 4]);
      say?.(`the downstream ended by ${signal}, away for ${away.toFixed(1)} s`);
      await wait(away);
      await downstream.start();
    }
  } catch (error) {
    if (!stop.aborted) throw error;
  }
}

/** Counts how often each number below `numbers` was received. */
async function count(files: readonly string[], numbers: number): Promise<Uint8Array> {
  const times = new Uint8Array(numbers);
  for (const file of files) {
    // There is no file if nothing came; its end may be half a number, which was not acknowledged.
    const bytes = await readFile(file).catch(() => Buffer.alloc(0));
    for (let at = 0; at + 4 <= bytes.length; at += 4) times[bytes.readUInt32LE(at)]!++;
  }
  return times;
}

export async function soak(options: SoakOptions): Promise<SoakReport> {
  const { seconds, rate, say } = options;
  const folder = await mkdtemp(join(tmpdir(), "driftlock-soak-"));
  const downstream = new Downstream(await freePort(), folder);
  const stop = new AbortController();
  try {
    await downstream.start();
    const driftlock = await startDriftlock(
      {
        forward: {
          endpoint: downstream.endpoint,
          retry: { initial_interval: "100ms", max_interval: "1s" },
          queue: { storage: "disk" },
        },
      },
      { main },
    );
    const sender = new Sender(driftlock.grpc);
    const start = performance.now();
    const samples: Sample[] = [];
    const sampling = setInterval(
      () => void sample(driftlock, start).then((taken) => samples.push(taken), say),
      sampleMs,
    );
    const ended: Ended = { SIGKILL: 0, SIGTERM: 0, moods: 0 };
    const troubled = trouble(downstream, options, ended, stop.signal);
    await Promise.race([sender.run(rate, seconds), troubled]);
    stop.abort();
    await troubled;
    await downstream.start();

    const drainStart = performance.now();
    const queued = () => driftlock.metric("driftlock_queue_disk_bytes");
    await until("the queue to drain", async () => ((await queued()) === 0 ? true : undefined), drainMs);
    const drainSeconds = (performance.now() - drainStart) / 1e3;
    clearInterval(sampling);
    const exitCode = await driftlock.program.stop();
    await downstream.end("SIGTERM");

    const times = await count(downstream.files, sender.sent);
    return {
      sent: sender.sent,
      acknowledged: sender.acknowledged.length * perRequest,
      refused: sender.refused,
      received: times.reduce((sum, n) => sum + Number(n > 0), 0),
      missing: sender.acknowledged
        .flatMap((first) => [...times.subarray(first, first + perRequest)])
        .reduce((sum, n) => sum + Number(n === 0), 0),
      duplicates: times.reduce((sum, n) => sum + Math.max(0, n - 1), 0),
      ended,
      drainSeconds,
      exitCode,
      samples,
    };
  } finally {
    stop.abort();
    await downstream.end("SIGKILL");
    await rm(folder, { recursive: true, force: true });
  }
}
