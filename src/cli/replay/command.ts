import { constants, createReadStream } from "node:fs";
import { access, stat } from "node:fs/promises";
import process from "node:process";
import type { Readable, Writable } from "node:stream";
import { fileFault } from "../../base/file-fault.ts";
import type { Config } from "../../config/schema.ts";
import { Engine } from "../../engine/index.ts";
import { helpText } from "../shared/help.ts";
import { exit, type Io } from "../shared/io.ts";
import { unpack, unpackText } from "./bytes.ts";
import { readCsv, readLines, readSessions, recordsOf, type Session, sessionRequests } from "./formats.ts";
import type { Input, Source } from "./input.ts";
import { judge } from "./judge.ts";
import { configFor, type Format, parseReplayArgs, type ReplayOptions, serviceOf } from "./options.ts";
import { JsonLines } from "./output.ts";
import { Progress } from "./progress.ts";
import { readRequests } from "./requests.ts";

export const help = helpText({
  usage: ["replay --format FORMAT [OPTION]... FILE"],
  about: `
Judges a recorded file as \`driftlock run\` would have judged it, and prints one JSON line per record:

  {"i":0,"kind":"record","stream":"…","score":0,"p":1,"flagged":false,"channel":null}

A higher score is stranger. The verdict on a record depends on the records before it only, and the same file and
configuration produce the same lines. A record that raised an anomaly is followed by its window, "kind":"window". A finding
that is about no single record (a rate, an unfinished session, a silent stream) is printed as "kind":"anomaly" behind the
records that revealed it.

FILE may be - for standard input, and may be compressed with gzip. Text is UTF-8, or UTF-16 with a byte order mark. A line
longer than 64 KiB is truncated, or left out if the format is csv; standard error reports how many were.`,
  lists: [
    [
      "Formats",
      [
        ["lines", "one log line per line"],
        [
          "sequences",
          "one session per line: event names separated by spaces, optionally behind an ID and a comma",
        ],
        [
          "csv",
          "timestamp,value per line, in ISO 8601 or as a time since 1970; a header line may come first",
        ],
        ["otlp", "Export*ServiceRequests of one --signal, each behind its length in 4 bytes, big-endian"],
      ],
    ],
  ],
  options: [
    ["--format FORMAT", "the format of the file"],
    ["--signal SIGNAL", "logs, traces or metrics, for the format otlp"],
    ["--train N", "how many records, or sessions, to learn from first (detect.baseline.records)"],
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

/** Opens the input in its format, with the configuration for it. */
async function open(
  options: ReplayOptions,
  packed: Readable,
  source: Source,
  env: NodeJS.ProcessEnv,
): Promise<{ config: Config; inputs: AsyncIterable<Input> }> {
  const { format, signal, train } = options;
  const input = await (format === "otlp" ? unpack : unpackText)(packed, source.name);
  if (format === "sequences") return openSessions(options, input, source, env);
  const config = configFor(options.config, env, train);
  switch (format) {
    case "lines":
      return { config, inputs: readLines(input, source) };
    case "csv":
      return { config, inputs: readCsv(input, source) };
    case "otlp":
      return {
        config,
        inputs: readRequests(input, source, signal!, config.receive.limits.max_request_size),
      };
  }
}

/** Reads the first `train` sessions ahead, since the engine counts the baseline in records. */
async function openSessions(
  { train, config: options }: ReplayOptions,
  input: AsyncIterable<Buffer>,
  source: Source,
  env: NodeJS.ProcessEnv,
): Promise<{ config: Config; inputs: AsyncIterable<Input> }> {
  const sessions = readSessions(input, source);
  if (train === undefined) {
    return { config: configFor(options, env), inputs: sessionRequests(sessions, source) };
  }
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
  const config = configFor(options, env, records, `events of the ${first.length} sessions of --train`);
  const all = async function* () {
    yield* first;
    yield* sessions;
  };
  return { config, inputs: sessionRequests(all(), source) };
}

/** Reads, judges and writes until the input ends or the reader of the output is gone. */
export async function replayStream(
  options: ReplayOptions,
  { input, output, note }: Streams,
  env: NodeJS.ProcessEnv,
  onProgress: (records: number) => void,
): Promise<void> {
  const { file, format } = options;
  const long = { count: 0, first: 0 };
  const source: Source = {
    name: file === "-" ? "standard input" : file,
    service: serviceOf(file),
    onLongLine(number) {
      if (long.count === 0) long.first = number;
      long.count += 1;
    },
  };
  const { config, inputs } = await open(options, input, source, env);
  const engine = new Engine(config.detect, { mode: "all", scores: true });
  const out = new JsonLines(output);
  let records = 0;
  try {
    for await (const judgement of judge(inputs, engine, config.detect.stream_by)) {
      if (!(await out.write(judgement.lines))) return;
      records += judgement.records;
      onProgress(records);
    }
  } finally {
    out.close();
    await engine.close();
    if (long.count > 0) note?.(longLines(source.name, long, format));
  }
}

function longLines(name: string, { count, first }: { count: number; first: number }, format: Format): string {
  const which = count === 1 ? `line ${first} is` : `${count} lines, the first of them line ${first}, are`;
  return `${name}: ${which} longer than 64 KiB and ${format === "csv" ? "left out" : "truncated"}`;
}

async function sizeOf(file: string): Promise<number | undefined> {
  if (file === "-") return undefined;
  try {
    await access(file, constants.R_OK);
    const found = await stat(file);
    if (found.isDirectory()) throw Object.assign(new Error(), { code: "EISDIR" });
    return found.isFile() ? found.size : undefined;
  } catch (error) {
    throw new Error(`${file}: ${fileFault(error as NodeJS.ErrnoException)}`, { cause: error });
  }
}

export async function run(args: string[], io: Io): Promise<number> {
  const options = parseReplayArgs(args);
  const { file } = options;
  const size = await sizeOf(file);
  const input: Readable & { bytesRead?: number } =
    file === "-" ? process.stdin : createReadStream(file, { highWaterMark: 2 ** 18 });
  const notes: string[] = [];
  const note = (text: string) => void notes.push(text);
  const progress = process.stderr.isTTY || options.progress ? new Progress(process.stderr, size) : undefined;
  try {
    await replayStream(options, { input, output: process.stdout, note }, io.env, (records) =>
      progress?.update(input.bytesRead ?? 0, records),
    );
  } finally {
    progress?.close();
    for (const text of notes) io.err(`driftlock: ${text}\n`);
    input.destroy();
  }
  return exit.ok;
}
