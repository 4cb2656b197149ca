/**
 * `make bench-soak`: the sidecar with its queue on disk for minutes at a fixed rate, before a downstream that is
 * killed, stopped or misbehaves every 20 to 40 s. Counts have to be equal and memory flat.
 *
 *   node bench/soak.ts [--minutes 10] [--rate 2000]
 *
 * The exit code is 1 if an acknowledged record did not arrive, the queue did not drain or the sidecar did not stop
 * cleanly.
 */
import process from "node:process";
import { parseArgs } from "node:util";
import { stopAll } from "../test/e2e/programs.ts";
import { type Sample, type SoakReport, soak } from "../test/e2e/soak.ts";
import { round, table } from "./table.ts";

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "10" },
    rate: { type: "string", default: "2000" },
  },
});
const [minutes, rate] = [values.minutes, values.rate].map(Number) as [number, number];

/**
 * Streams learn and heaps find their size during these seconds, which therefore say nothing about the trend of memory.
 */
const warmUpSeconds = Math.min(180, 20 * minutes);

const mebi = (bytes: number) => round(bytes / 2 ** 20, 1);

/** Fits a line by least squares: its value at both ends, and its rise per minute. */
function leastSquares(points: readonly { at: number; value: number }[]) {
  const mean = (of: (point: { at: number; value: number }) => number) =>
    points.reduce((sum, point) => sum + of(point), 0) / points.length;
  const [at, value] = [mean((point) => point.at), mean((point) => point.value)];
  const slope =
    mean((point) => (point.at - at) * (point.value - value)) / mean((point) => (point.at - at) ** 2);
  const on = (x: number) => value + slope * (x - at);
  return { start: on(points[0]!.at), end: on(points.at(-1)!.at), minute: 60 * slope };
}

function memory(samples: readonly Sample[]): string {
  const steady = samples.filter(({ at }) => at >= warmUpSeconds);
  const rows = (["rss", "heap", "external", "engine"] as const).map((name) => {
    const line = leastSquares(steady.map((sample) => ({ at: sample.at, value: sample[name] })));
    const sizes = steady.map((sample) => sample[name]);
    return {
      memory: name,
      "least, MiB": mebi(Math.min(...sizes)),
      "most, MiB": mebi(Math.max(...sizes)),
      "line's start, MiB": mebi(line.start),
      "line's end, MiB": mebi(line.end),
      "slope, MiB a minute": round(line.minute / 2 ** 20, 3),
    };
  });
  return table(rows);
}

function overTime(samples: readonly Sample[]): string {
  const every = Math.max(1, Math.floor(samples.length / 20));
  return table(
    samples
      .filter((_, i) => i % every === 0)
      .map(({ at, rss, heap, external, engine, queued }) => ({
        "at, s": Math.round(at),
        "rss, MiB": mebi(rss),
        "heap, MiB": mebi(heap),
        "external, MiB": mebi(external),
        "engine, MiB": mebi(engine),
        "queue on disk, MiB": mebi(queued),
      })),
  );
}

function counts(report: SoakReport): string {
  const { sent, acknowledged, refused, received, missing, duplicates, ended } = report;
  return table([
    { what: "records sent", count: sent },
    { what: "acknowledged", count: acknowledged },
    { what: "refused", count: refused },
    { what: "received, each once", count: received },
    { what: "acknowledged and missing", count: missing },
    { what: "received again", count: duplicates },
    { what: "downstream killed", count: ended.SIGKILL },
    { what: "downstream stopped", count: ended.SIGTERM },
    { what: "downstream in a bad mood", count: ended.moods },
    { what: "most on disk, KiB", count: Math.round(Math.max(...report.samples.map((s) => s.queued)) / 1024) },
  ]);
}

try {
  const say = (text: string) => process.stderr.write(`${text}\n`);
  const report = await soak({ seconds: 60 * minutes, rate, pause: [20, 40], say });
  const drained = `The queue was empty ${round(report.drainSeconds, 1)} s after the last answer; the sidecar ended with ${report.exitCode}.`;
  const text = [
    `## ${minutes} minutes at ${rate} records/s`,
    counts(report),
    drained,
    `Memory, without the first ${warmUpSeconds} s:`,
    memory(report.samples),
    overTime(report.samples),
  ];
  process.stdout.write(`${text.join("\n\n")}\n`);
  if (report.missing > 0 || report.exitCode !== 0) process.exitCode = 1;
} finally {
  await stopAll();
}
