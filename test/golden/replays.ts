/** What is replayed for the golden files `replay-NAME`: on this machine by golden.test.ts, on others by scripts/try-prebuild.ts. */
import { hash } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expectGolden } from "./golden-file.ts";
import { framed, type OtlpSet } from "./otlp-sets.ts";
import { textSets } from "./text-sets.ts";

/** Something to replay. */
export interface Replay {
  name: string;
  input: string | Buffer;
  /** Options of `driftlock replay`. */
  options: readonly string[];
}

const sharp = [
  "--detect.budget.per_stream_per_day=20",
  "--detect.window.records=64",
  "--detect.window.hop=32",
];

/** Returns all that is replayed: text files, and the sets of OTLP requests. */
export function goldenReplays(sets: readonly OtlpSet[]): Replay[] {
  const inputs = [
    ...textSets.map(({ name, options, text }) => ({ name, input: text, options })),
    ...sets.map(({ name, signal, train, requests }) => ({
      name,
      input: framed(requests),
      options: ["--format", "otlp", "--signal", signal, "--train", String(train)],
    })),
  ];
  return inputs.map(({ name, input, options }) => ({
    name,
    input,
    options: name.endsWith("-quiet") ? options : [...options, ...sharp],
  }));
}

/**
 * Replays and compares the output with the golden file.
 * @param folder where the input is written to
 * @param run runs `driftlock` with these arguments, and returns its output
 * @throws {Error} that shows the first line that differs
 */
export async function expectReplay(
  { name, input, options }: Replay,
  folder: string,
  run: (args: string[]) => Promise<string>,
): Promise<void> {
  const file = join(folder, name);
  writeFileSync(file, input);
  const output = await run(["replay", ...options, file]);
  let flagged = 0;
  const shows = (line: string, i: number) =>
    i === 1 || line.includes('"kind":"anomaly"') || (line.includes('"flagged":true') && flagged++ < 20);
  // The input comes first: if it differs, the output must differ too.
  const digest = hash("sha256", input, "hex").slice(0, 32);
  expectGolden(`replay-${name}`, [`input ${digest}`, ...output.trimEnd().split("\n")], shows);
}
