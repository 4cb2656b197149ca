/** How long the command takes to start, beside a Node.js that does nothing, and the CPU time of a sidecar until it is ready. */
import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { freePort, Program } from "../test/e2e/programs.ts";
import { startSink } from "../test/e2e/tools.ts";
import { cpuSeconds, median } from "./measure.ts";
import { table } from "./table.ts";

export interface StartResult {
  what: string;
  /** Median milliseconds until the process has ended, or is ready. */
  milliseconds: number;
  /** Median milliseconds of CPU time until it is ready; undefined if the process ends by itself. */
  cpu?: number;
}

const main = fileURLToPath(new URL("../dist/cli/main.js", import.meta.url));
const pollMs = 5;

async function untilEnd(args: string[]): Promise<{ milliseconds: number }> {
  const start = performance.now();
  await promisify(execFile)(process.execPath, args);
  return { milliseconds: performance.now() - start };
}

async function untilReady(
  folder: string,
  downstream: string,
): Promise<{ milliseconds: number; cpu: number }> {
  const api = `127.0.0.1:${await freePort()}`;
  const options = {
    data_dir: folder,
    "api.endpoint": api,
    "receive.grpc.endpoint": "127.0.0.1:0",
    "receive.http.endpoint": "127.0.0.1:0",
    "forward.endpoint": `http://${downstream}`,
  };
  const args = Object.entries(options).flatMap(([key, value]) => [`--${key}`, value]);
  const start = performance.now();
  const program = new Program(process.execPath, [main, "run", ...args], {});
  let ended = false;
  void program.exit.then(() => {
    ended = true;
  });
  const ready = () =>
    fetch(`http://${api}/readyz`).then(
      ({ ok }) => ok,
      () => false,
    );
  while (!(await ready())) {
    if (ended)
      throw new Error(`driftlock run ended before it was ready:\n${program.stdout}${program.stderr}`);
    await sleep(pollMs);
  }
  const milliseconds = performance.now() - start;
  const cpu = 1_000 * (await cpuSeconds(program.pid));
  await program.stop();
  return { milliseconds, cpu };
}

export async function start(rounds: number): Promise<StartResult[]> {
  const sink = await startSink(["-seconds=3600"]);
  const measured: Record<string, { milliseconds: number; cpu?: number }[]> = {};
  const note = (what: string, result: { milliseconds: number; cpu?: number }) => {
    measured[what] ??= [];
    measured[what].push(result);
  };
  // The first round fills the cache of compiled code, and does not count.
  for (let round = 0; round <= rounds; round++) {
    if (round === 1) for (const what of Object.keys(measured)) delete measured[what];
    note("`node -e 0`", await untilEnd(["-e", "0"]));
    note("`driftlock version`", await untilEnd([main, "version"]));
    const folder = await mkdtemp(join(tmpdir(), "driftlock-bench-"));
    note("`driftlock run` until ready, new data_dir", await untilReady(folder, sink.address));
    note("the same with the data_dir of before", await untilReady(folder, sink.address));
    await rm(folder, { recursive: true });
  }
  await sink.program.stop();
  return Object.entries(measured).map(([what, results]) => ({
    what,
    milliseconds: median(results.map(({ milliseconds }) => milliseconds)),
    ...(results[0]!.cpu !== undefined && { cpu: median(results.map(({ cpu }) => cpu!)) }),
  }));
}

export const startTable = (results: StartResult[]): string =>
  table(
    results.map(({ what, milliseconds, cpu }) => ({
      what,
      "time, ms": Math.round(milliseconds),
      "CPU time, ms": cpu === undefined ? "" : String(Math.round(cpu)),
    })),
  );
