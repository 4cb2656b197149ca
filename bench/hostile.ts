/**
 * `make bench-hostile`: ten minutes of honest senders beside hostile ones of every kind, after one minute of honest
 * senders alone.
 *
 *   node bench/hostile.ts [--minutes 10] [--rate 2000]
 *
 * The exit code is 1 if the honest senders kept less than nine tenths of their throughput, if an acknowledged record
 * did not arrive, or if the sidecar did not stop cleanly.
 */
import process from "node:process";
import { parseArgs } from "node:util";
import { hostileSoak, type Phase } from "../test/e2e/hostile/soak.ts";
import { stopAll } from "../test/e2e/programs.ts";
import { round, table } from "./table.ts";

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "10" },
    rate: { type: "string", default: "2000" },
  },
});
const [minutes, rate] = [values.minutes, values.rate].map(Number) as [number, number];

const aloneSeconds = 60;
const row = (name: string, seconds: number, phase: Phase) => ({
  phase: name,
  seconds,
  "records sent": phase.sent,
  "records acknowledged": phase.acknowledged,
  share: round(phase.acknowledged / phase.sent, 4),
  "failed probes": `${phase.failedProbes} of ${phase.probes}`,
  "peak memory, MiB": Math.round(phase.peakMemory / 2 ** 20),
});

try {
  const say = (text: string) => process.stderr.write(`${text}\n`);
  const besideSeconds = 60 * minutes;
  const { alone, beside, missing, exitCode, lastWords } = await hostileSoak({
    aloneSeconds,
    besideSeconds,
    rate,
    say,
  });
  const rows = [
    row("honest senders alone", aloneSeconds, alone),
    row("beside hostile senders", besideSeconds, beside),
  ];
  process.stdout.write(`${table(rows)}\n\nAcknowledged and missing: ${missing}. Exit code: ${exitCode}.\n`);
  if (exitCode !== 0) process.stderr.write(lastWords);
  const kept = beside.acknowledged / beside.sent / (alone.acknowledged / alone.sent);
  if (kept < 0.9 || missing > 0 || exitCode !== 0) process.exitCode = 1;
} finally {
  await stopAll();
}
