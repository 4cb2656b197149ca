import process from "node:process";
import type { Readable, Writable } from "node:stream";
import { plural } from "../../base/plural.ts";
import type { Config } from "../../config/schema.ts";
import { configuredHashKey, Engine, SnapshotFile } from "../../engine/index.ts";
import { enginePrivacy } from "../../privacy/policy.ts";
import { FileSource, withFile } from "../recording/file.ts";
import { formatRows, readInputs, unpackAs } from "../recording/format.ts";
import { readSessions, recordsOf, type Session, sessionRequests } from "../recording/formats.ts";
import type { Input, Source } from "../recording/input.ts";
import { helpText } from "../shared/help.ts";
import { exit, type Io } from "../shared/io.ts";
import { keyOfLearned, restoreLearned, saveLearned } from "../shared/learned.ts";
import { formIncidents } from "./incidents.ts";
import { judge } from "./judge.ts";
import { NotableFindings } from "./notable.ts";
import { configFor, parseReplayArgs, type ReplayOptions } from "./options.ts";
import { JsonLines } from "./output.ts";

export const help = helpText({
  usage: ["replay [OPTION]... FILE"],
  about: `
Judges a recorded file as \`driftlock run\` would have judged it, and prints one JSON line per record:

  {"i":0,"kind":"record","stream":"…","score":0,"p":1,"flagged":false,"channel":null}

A higher score is stranger. The verdict on a record depends on the records before it only, and the same file and
configuration produce the same lines. A record that raised an anomaly is followed by its window, "kind":"window". A finding
that is about no single record (a rate, an unfinished session, a silent stream) is printed as "kind":"anomaly" behind the
records that revealed it. At the end, standard error says how many anomalies there were, and which records came closest without
being one.

With --incidents, it prints one JSON line per incident instead, "kind":"incident", when the incident is over or at the end of
the file: what is unusual, where, and the likeliest causes with the reasons for them.

FILE may be - for standard input, and may be compressed with gzip. Text is UTF-8, or UTF-16 with a byte order mark. A line
longer than 64 KiB is truncated, or left out if the format is csv; standard error reports how many were.`,
  lists: [["Formats", formatRows]],
  options: [
    [
      "--format FORMAT",
      "the format of the file; by default by its name: .log and .txt are lines, .csv and .otlp",
    ],
    [
      "--signal SIGNAL",
      "logs, traces or metrics, for the format otlp; by default that of a name such as logs.otlp",
    ],
    ["--train N", "how many records, or sessions, to learn from first (detect.baseline.records)"],
    ["--rate N", "how many records per second a stream has if they carry no times (1); budgets are per day"],
    ["--load FILE", "begin with what streams have learned, as --save or `driftlock learn` wrote it"],
    ["--save FILE", "save what streams have learned once the whole file is judged"],
    ["--incidents", "print one line per incident instead of one per record"],
    ["--progress", "report progress on standard error even if that is no terminal"],
  ],
  exit: ["The whole file was judged.", "The file cannot be read."],
});

/** The maximum of `detect.baseline.records`, which bounds how much of the sessions is held in memory. */
const maxTraining = 1_000_000;

interface Streams {
  input: Readable;
  output: Writable;
  /** Receives a remark about the file at the end. */
  note?: (text: string) => void;
}

/** Returns the requests of the input, with the configuration for it. */
async function open(
  options: ReplayOptions,
  packed: Readable,
  source: Source,
  env: NodeJS.ProcessEnv,
): Promise<{ config: Config; inputs: AsyncIterable<Input> }> {
  const { format, train } = options;
  const input = await unpackAs(format, packed, source.name);
  if (format.name === "sequences" && train !== undefined) {
    return openSessions(options, train, input, source, env);
  }
  const config = configFor(options.config, env, train);
  return { config, inputs: readInputs(format, input, source, config.receive.limits.max_request_size) };
}

/** Reads the first `train` sessions ahead, since the engine counts the baseline in records. */
async function openSessions(
  { config: options }: ReplayOptions,
  train: number,
  input: AsyncIterable<Buffer>,
  source: Source,
  env: NodeJS.ProcessEnv,
): Promise<{ config: Config; inputs: AsyncIterable<Input> }> {
  const sessions = readSessions(input, source);
  const first: Session[] = [];
  let records = 0;
  while (first.length < train) {
    const { value, done } = await sessions.next();
    if (done) break;
    first.push(value);
    records += recordsOf(value);
    if (records > maxTraining) {
      throw new Error(
        `${source.name}: the first ${first.length} sessions hold more than ${maxTraining} events; lower --train`,
      );
    }
  }
  const config = configFor(
    options,
    env,
    records,
    `events of the ${plural(first.length, "session")} of --train`,
  );
  const all = async function* () {
    yield* first;
    yield* sessions;
  };
  return { config, inputs: sessionRequests(all(), source) };
}

/** Creates the engine, with what `--load` names. @throws {Error} if that cannot be used. */
async function startEngine(
  config: Config,
  { load, train, rate, incidents }: Pick<ReplayOptions, "load" | "train" | "rate" | "incidents">,
): Promise<{ engine: Engine; key: Uint8Array }> {
  const settings = {
    mode: "all",
    exactBaseline: train !== undefined,
    ...(rate !== undefined && { recordsPerSecond: rate }),
    scores: !incidents,
    llm: config.llm,
  } as const;
  if (load === undefined) {
    const key = configuredHashKey(config.detect);
    return {
      engine: new Engine(config.detect, { ...settings, privacy: enginePrivacy(config.privacy, key), key }),
      key,
    };
  }
  const file = new SnapshotFile(config, load);
  const key = await keyOfLearned(file);
  if (key === undefined) throw new Error(`${load}: no such file`);
  const engine = new Engine(config.detect, { ...settings, privacy: enginePrivacy(config.privacy, key), key });
  await restoreLearned(file, engine);
  return { engine, key };
}

/** Reads, judges and writes until the input ends or the reader of the output is gone. */
export async function replayStream(
  options: ReplayOptions,
  { input, output, note }: Streams,
  env: NodeJS.ProcessEnv,
  onProgress: (records: number) => void,
): Promise<void> {
  const { file, format, save } = options;
  const source = new FileSource(file, format);
  const { config, inputs } = await open(options, input, source, env);
  const { engine, key } = await startEngine(config, options);
  const out = new JsonLines(output);
  const notable = new NotableFindings();
  let records = 0;
  try {
    const judged = options.incidents
      ? formIncidents(inputs, engine, config)
      : judge(inputs, engine, config.detect, notable);
    for await (const judgement of judged) {
      if (!(await out.write(judgement.lines))) return;
      records += judgement.records;
      onProgress(records);
    }
    if (save !== undefined) await saveLearned(new SnapshotFile(config, save), engine, key);
    if (!options.incidents) note?.(`${source.name}: ${notable.text(engine.stats())}`);
  } finally {
    out.close();
    await engine.close();
    const remark = source.remark();
    if (remark !== undefined) note?.(remark);
  }
}

export async function run(args: string[], io: Io): Promise<number> {
  const options = parseReplayArgs(args);
  await withFile(
    options.file,
    { command: "replay", report: options.progress },
    io,
    (input, onProgress, note) =>
      replayStream(options, { input, output: process.stdout, note }, io.env, onProgress),
  );
  return exit.ok;
}
