/**
 * The sidecar with its queue on disk at a fixed rate for as long as one likes, before a downstream that is killed, stopped and
 * in bad moods at random: whether all that was acknowledged arrives, and what memory does.
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
  /** Records a second, all signals together. */
  rate: number;
  /** Least and longest pause between two endings of the downstream, seconds. */
  pause: [number, number];
  /** Told of what happens. */
  say?(text: string): void;
}

export interface Sample {
  /** Seconds since the start. */
  at: number;
  /** Resident bytes. */
  rss: number;
  /** As the sidecar's metrics have them. */
  heap: number;
  external: number;
  engine: number;
  queued: number;
}

/** How often the downstream was, by signal, and how often it was in a bad mood. */
export interface Ended {
  SIGKILL: number;
  SIGTERM: number;
  moods: number;
}

export interface SoakReport {
  /** Of records. */
  sent: number;
  acknowledged: number;
  refused: number;
  /** By number, each once. */
  received: number;
  /** Acknowledged and not received. */
  missing: number;
  /** Received again, every time counted. */
  duplicates: number;
  ended: Ended;
  /** From the last answer to a sender until the queue was empty. */
  drainSeconds: number;
  /** The sidecar's. */
  exitCode: number | null;
  samples: Sample[];
}

const sampleMs = 1_000;
const drainMs = 120_000;

const main = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));
const program = fileURLToPath(new URL("soak-downstream.ts", import.meta.url));

const between = ([least, most]: readonly [number, number]) => least + Math.random() * (most - least);

/** A downstream at one port, which comes back after each of its ends. */
class Downstream {
  readonly #port: number;
  readonly #folder: string;
  #child: ChildProcess | undefined;
  /** One for each life, of what it received. */
  readonly files: string[] = [];

  constructor(port: number, folder: string) {
    this.#port = port;
    this.#folder = folder;
  }

  get endpoint(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** Does nothing where it runs. */
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

/** Ends the downstream and starts it again, with a bad mood between, until told to stop. */
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

/** How often each of so many numbers was received. */
async function count(files: readonly string[], numbers: number): Promise<Uint8Array> {
  const times = new Uint8Array(numbers);
  for (const file of files) {
    // There is none where nothing came; and its end may be half a number, which was not answered for.
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
