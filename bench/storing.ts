/**
 * What 2,000 anomalies per second cost the sidecar's path when they are stored: the same load through one process,
 * alternately with them and without.
 */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { sendLoad, startSink } from "../test/e2e/tools.ts";
import { cpuSeconds, loopSeconds, median } from "./measure.ts";
import type { StoreState } from "./storing-sidecar.ts";
import { round, table } from "./table.ts";

const program = fileURLToPath(new URL("storing-sidecar.ts", import.meta.url));

/** Anomalies per second, each with an id of its own; each ends some seconds later, which is a second report. */
const rate = 2_000;

interface Turn {
  /** Cores that the event loop and the whole process use at 10,000 records per second. */
  loop: number;
  cpu: number;
  /** Latency in milliseconds. */
  p50: number;
  p99: number;
  /** Records per second at full load. */
  throughput: number;
}

export interface StoringResult {
  without: Turn;
  with: Turn;
  /** Medians over the rounds of the ratio between a turn with anomalies and one without. */
  ratios: Turn;
  /** Reports per second that reached the disk in the turns with anomalies. */
  written: number;
  dropped: number;
  /** Approximate size of one report in bytes. */
  reportBytes: number;
}

/** The process that runs the sidecar and the store. */
class Sidecar {
  readonly address: string;
  readonly reportBytes: number;
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess, { address, bytes }: { address: string; bytes: number }) {
    this.#child = child;
    this.address = address;
    this.reportBytes = bytes;
  }

  static async start(downstream: string, folder: string): Promise<Sidecar> {
    // `driftlock run` passes this option on Node 24.
    const execArgv = ["--external-memory-accounted-in-global-limit"];
    const child = fork(program, [downstream, folder], { execArgv });
    const [said] = await once(child, "message");
    return new Sidecar(child, said);
  }

  get pid(): number {
    return this.#child.pid!;
  }

  /** Sets the rate of anomalies from now on, and returns what became of those before. */
  async feed(anomalies: number): Promise<StoreState> {
    this.#child.send(anomalies);
    const [state] = await once(this.#child, "message");
    return state;
  }

  async stop(): Promise<void> {
    const exit = once(this.#child, "exit");
    this.#child.disconnect();
    await exit;
  }
}

/**
 * At a fixed rate, CPU and latency compare the same work; the loss at full load depends on what else the machine runs.
 */
async function turn(sidecar: Sidecar, seconds: number): Promise<Turn> {
  const { pid, address } = sidecar;
  const load = async (...args: string[]) => {
    const result = await sendLoad(address, [...args, "-conns=2", `-seconds=${seconds}`]);
    if (Object.keys(result.errors).length > 0) throw new Error(JSON.stringify(result.errors));
    return result;
  };
  const start = performance.now();
  const [cpu, loop] = await Promise.all([cpuSeconds(pid), loopSeconds(pid)]);
  const { latency_ms } = await load("-rate=10000", "-records=100", "-inflight=8");
  const [cpuAfter, loopAfter] = await Promise.all([cpuSeconds(pid), loopSeconds(pid)]);
  const elapsed = (performance.now() - start) / 1e3;
  const most = await load("-records=1000", "-inflight=4");
  return {
    loop: (loopAfter - loop) / elapsed,
    cpu: (cpuAfter - cpu) / elapsed,
    p50: latency_ms!.p50,
    p99: latency_ms!.p99,
    throughput: most.records / most.seconds,
  };
}

/** Medians of the turns themselves, or of the ratio of each turn to the other of its pair. */
function medians(turns: readonly Turn[], others?: readonly Turn[]): Turn {
  const of = (key: keyof Turn) => median(turns.map((one, i) => one[key] / (others?.[i]?.[key] ?? 1)));
  return { loop: of("loop"), cpu: of("cpu"), p50: of("p50"), p99: of("p99"), throughput: of("throughput") };
}

export async function storing(seconds: number, rounds: number): Promise<StoringResult> {
  const folder = await mkdtemp(join(tmpdir(), "driftlock-bench-"));
  const sink = await startSink(["-seconds=3600"]);
  const sidecar = await Sidecar.start(`http://${sink.address}`, folder);
  const turns = { without: [] as Turn[], with: [] as Turn[] };
  const rates: number[] = [];
  try {
    await turn(sidecar, seconds);
    for (let n = 0; n < rounds; n++) {
      // The order within a round alternates too.
      for (const kind of n % 2 ? (["with", "without"] as const) : (["without", "with"] as const)) {
        const before = await sidecar.feed(kind === "with" ? rate : 0);
        const start = performance.now();
        turns[kind].push(await turn(sidecar, seconds));
        const after = await sidecar.feed(0);
        if (kind === "with") {
          const elapsed = (performance.now() - start) / 1e3;
          rates.push((after.written - before.written) / elapsed);
        }
        while ((await sidecar.feed(0)).queued > 0) await sleep(100);
      }
    }
    const { dropped } = await sidecar.feed(0);
    return {
      without: medians(turns.without),
      with: medians(turns.with),
      ratios: medians(turns.with, turns.without),
      written: median(rates),
      dropped,
      reportBytes: sidecar.reportBytes,
    };
  } finally {
    await sidecar.stop();
    await sink.program.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

export function storingTable(result: StoringResult): string {
  const { without, with: stored, ratios, written, dropped, reportBytes } = result;
  const row = (what: string, key: keyof Turn, digits = 2) => ({
    what,
    without: round(without[key], digits),
    [`with ${rate} anomalies/s`]: round(stored[key], digits),
    ratio: round(ratios[key]),
  });
  const rows = [
    row("event loop, cores", "loop", 3),
    row("process, cores", "cpu", 3),
    row("p50, ms", "p50"),
    row("p99, ms", "p99"),
    row("the most that it takes, records/s", "throughput", 0),
  ];
  const share = round(100 * (stored.loop - without.loop), 1);
  const each = (key: "loop" | "cpu") => Math.round((1e6 * (stored[key] - without[key])) / written);
  return [
    table(rows),
    `The first four at 10,000 records/s. Anomalies take ${share} % of the event loop, ${each("loop")} us a report, and ${each("cpu")} us a report of all threads.`,
    `Written: ${Math.round(written)} reports/s of ${Math.round(reportBytes)} bytes, or of some 200 which tell an end; dropped: ${dropped}.`,
  ].join("\n\n");
}
