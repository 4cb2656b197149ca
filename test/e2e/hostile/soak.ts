/**
 * Honest senders at a fixed rate, first alone and then beside hostile senders of every kind: how much of what the honest
 * ones send is acknowledged and arrives, whether probes are answered, and how much memory the sidecar takes.
 */
import { fork } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { startDownstream } from "../../forward/downstream.ts";
import { type Driftlock, startDriftlock } from "../driftlock.ts";
import { numbersOf } from "../numbered.ts";
import { perRequest, Sender } from "../sender.ts";

export interface HostileSoakOptions {
  /** Seconds of each phase. */
  aloneSeconds: number;
  besideSeconds: number;
  /** Records per second that the honest sender offers. */
  rate: number;
  config?: Record<string, unknown>;
  say?(text: string): void;
}

export interface Phase {
  /** Records that the honest sender sent. */
  sent: number;
  acknowledged: number;
  /** Probes of /healthz, and those that failed or took longer than a probe's usual second. */
  probes: number;
  failedProbes: number;
  /** The largest resident size so far, in bytes. */
  peakMemory: number;
}

export interface HostileSoakReport {
  alone: Phase;
  beside: Phase;
  /** Acknowledged records of the honest sender that did not arrive. */
  missing: number;
  exitCode: number | null;
  /** The end of what the sidecar wrote, which says why it ended. */
  lastWords: string;
}

const probeMs = 500;
/** The timeout of a Kubernetes probe is one second by default. */
const probeTimeoutMs = 1_000;

const main = fileURLToPath(new URL("../../../src/cli/main.ts", import.meta.url));
const program = fileURLToPath(new URL("process.ts", import.meta.url));

async function peakMemory(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)![1]) * 1024;
}

async function probe(driftlock: Driftlock, phase: Phase, stop: AbortSignal): Promise<void> {
  while (!stop.aborted) {
    phase.probes++;
    const answered = await fetch(`http://${driftlock.health}/healthz`, {
      signal: AbortSignal.timeout(probeTimeoutMs),
      headers: { connection: "close" },
    }).then(
      ({ ok }) => ok,
      () => false,
    );
    if (!answered) phase.failedProbes++;
    await sleep(probeMs, undefined, { signal: stop }).catch(() => {});
  }
}

/** Runs one phase of honest load; `first` is the number of its first record. */
async function run(driftlock: Driftlock, first: number, rate: number, seconds: number) {
  const sender = new Sender(driftlock.grpc, first);
  const phase: Phase = { sent: 0, acknowledged: 0, probes: 0, failedProbes: 0, peakMemory: 0 };
  const stop = new AbortController();
  const probing = probe(driftlock, phase, stop.signal);
  await sender.run(rate, seconds);
  stop.abort();
  await probing;
  phase.sent = sender.sent;
  phase.acknowledged = sender.acknowledged.length * perRequest;
  phase.peakMemory = await peakMemory(driftlock.program.pid);
  return { phase, acknowledged: sender.acknowledged };
}

export async function hostileSoak(options: HostileSoakOptions): Promise<HostileSoakReport> {
  const { aloneSeconds, besideSeconds, rate, say } = options;
  const arrived = new Set<number>();
  const downstream = await startDownstream("grpc", async ({ signal, body }) => {
    downstream.received.length = 0;
    // Records of hostile senders have no numbers.
    for (const number of numbersOf(signal, body)) if (!Number.isNaN(number)) arrived.add(number);
    return {};
  });
  try {
    const driftlock = await startDriftlock(
      { forward: { endpoint: downstream.endpoint }, health: { endpoint: "127.0.0.1:0" }, ...options.config },
      { main },
    );
    say?.(`honest senders alone for ${aloneSeconds} s`);
    const alone = await run(driftlock, 0, rate, aloneSeconds);
    const { grpc, http, api } = driftlock;
    const hostile = fork(program, [JSON.stringify({ grpc, http, api })], {
      stdio: ["ignore", "ignore", "inherit", "ipc"],
    });
    const ended = once(hostile, "exit");
    say?.(`beside hostile senders for ${besideSeconds} s`);
    const beside = await run(driftlock, alone.phase.sent, rate, besideSeconds);
    hostile.kill("SIGTERM");
    await ended;
    const exitCode = await driftlock.program.stop();
    let missing = 0;
    for (const first of [...alone.acknowledged, ...beside.acknowledged]) {
      for (let n = first; n < first + perRequest; n++) if (!arrived.has(n)) missing++;
    }
    const lastWords = driftlock.program.stdout.slice(-2_000) + driftlock.program.stderr;
    return { alone: alone.phase, beside: beside.phase, missing, exitCode, lastWords };
  } finally {
    await downstream.close();
  }
}
