import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough, Readable, Writable } from "node:stream";
import { fileURLToPath } from "node:url";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { fromBinary } from "@bufbuild/protobuf";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { csvPoints, parseTime } from "../../src/cli/recording/csv.ts";
import { readSessions, sessionRequests } from "../../src/cli/recording/formats.ts";
import { readRequests } from "../../src/cli/recording/requests.ts";
import { textLines } from "../../src/cli/recording/text-lines.ts";
import { replayStream } from "../../src/cli/replay/command.ts";
import type { Line, RecordLine } from "../../src/cli/replay/judge.ts";
import { parseReplayArgs } from "../../src/cli/replay/options.ts";
import { JsonLines } from "../../src/cli/replay/output.ts";
import { streamsOf } from "../../src/cli/replay/streams.ts";
import { configSchema } from "../../src/config/schema.ts";
import { Engine } from "../../src/engine/index.ts";
import { ExportLogsServiceRequestSchema } from "../../src/gen/opentelemetry/proto/collector/logs/v1/logs_service_pb.js";
import { ShopTelemetry } from "../../src/generate/shop-telemetry.ts";
import { type Signal, signals } from "../../src/otlp/protocol.ts";
import { logsRequest, random, normalLine as shopLine } from "../engine/requests.ts";

const source = { name: "f", service: "s", onLongLine() {} };

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

/** Returns the input as a stream in pieces of `size` bytes. */
function inPieces(input: string | Buffer, size: number): Readable {
  const bytes = Buffer.from(input);
  const pieces = Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) =>
    bytes.subarray(i * size, (i + 1) * size),
  );
  return Readable.from(pieces);
}

function framed(bodies: readonly Buffer[]): Buffer {
  return Buffer.concat(
    bodies.flatMap((body) => {
      const length = Buffer.alloc(4);
      length.writeUInt32BE(body.length);
      return [length, body];
    }),
  );
}

/** Replays in this process, through the real engine. */
async function replay(input: Readable, ...args: string[]): Promise<{ lines: Line[]; records: RecordLine[] }> {
  const output = new PassThrough();
  const text = collect(output.setEncoding("utf8"));
  try {
    await replayStream(parseReplayArgs([...args, "-"]), { input, output }, {}, () => {});
  } finally {
    output.end();
  }
  const lines = (await text)
    .join("")
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Line);
  return { lines, records: lines.filter((line) => line.kind === "record") };
}

/** Probability that a positive outscores a negative; ties count half. */
function auc(scores: readonly number[], labels: readonly boolean[]): number {
  const positive = scores.filter((_, i) => labels[i]);
  const negative = scores.filter((_, i) => !labels[i]);
  let wins = 0;
  for (const a of positive) for (const b of negative) wins += a > b ? 1 : a === b ? 0.5 : 0;
  return wins / (positive.length * negative.length);
}

const normalLine = (i: number) => `worker ${i % 7} finished job ${i} in ${(i * 37) % 90} ms`;

describe("lines", () => {
  it("are read across pieces, with either end, the last one without", async () => {
    const text = "first\r\n\nthird ü\nlast";
    for (const size of [1, 2, 5, 100]) {
      expect(await collect(textLines(inPieces(text, size)))).toEqual([
        { text: "first", number: 1 },
        { text: "", number: 2 },
        { text: "third ü", number: 3 },
        { text: "last", number: 4 },
      ]);
    }
    expect(await collect(textLines(inPieces("a\n", 1)))).toHaveLength(1);
    expect(await collect(textLines(Readable.from([])))).toHaveLength(0);
  });

  it("may hold 64 KiB, and are truncated there, between characters", async () => {
    const long = "x".repeat(64 * 1024);
    for (const size of [1_000, 1e6]) {
      const whole = await collect(textLines(inPieces(`a\n${long}\r\n${long}`, size)));
      expect(whole.slice(1)).toEqual([
        { text: long, number: 2 },
        { text: long, number: 3 },
      ]);
      for (const [more, end] of [
        ["y", "\nb"],
        ["\r\r", "\nb"],
        ["y".repeat(1e6), "\r\nb"],
      ]) {
        expect(await collect(textLines(inPieces(`${long}${more}${end}`, size)))).toEqual([
          { text: long, number: 1, truncated: true },
          { text: "b", number: 2 },
        ]);
      }
      const [text] = await collect(textLines(inPieces(`${long.slice(1)}€€`, size)));
      expect(text).toEqual({ text: long.slice(1), number: 1, truncated: true });
    }
  });

  it("become a record each, the strange one on top; the same file gives the same lines", async () => {
    const lines = Array.from({ length: 400 }, (_, i) => normalLine(i));
    lines[350] = "kernel panic: attempted to kill init, rip ffffffff81 corrupted";
    const once = await replay(inPieces(lines.join("\n"), 777), "--format", "lines", "--train", "200");
    expect(once.records.map(({ i }) => i)).toEqual(lines.map((_, i) => i));
    expect(new Set(once.records.map(({ stream }) => stream))).toEqual(new Set(["logs service.name=stdin"]));
    const ranked = once.records.slice(200).toSorted((a, b) => b.score - a.score);
    expect(ranked[0]).toMatchObject({ i: 350 });
    expect(ranked[0]!.p).toBeLessThan(0.01);
    const again = await replay(inPieces(lines.join("\n"), 50_000), "--format", "lines", "--train", "200");
    expect(again.lines).toEqual(once.lines);
  });

  it("get what they get whatever follows them", async () => {
    const lines = Array.from({ length: 700 }, (_, i) =>
      i % 60 === 59 ? `odd ${"xyz".repeat(i % 11)}` : normalLine(i),
    );
    const all = await replay(inPieces(lines.join("\n"), 1e6), "--format", "lines", "--train", "200");
    const some = await replay(
      inPieces(lines.slice(0, 600).join("\n"), 1e6),
      "--format",
      "lines",
      "--train",
      "200",
    );
    expect(some.records).toEqual(all.records.slice(0, 600));
  });
});

describe("sequences", () => {
  it("become log records with their session, which an event ends", async () => {
    const text = "abc-1,5 22 5\n7 login\n\n";
    const sessions = await collect(readSessions(inPieces(text, 3), source));
    expect(sessions).toEqual([
      { id: "abc-1", events: ["5", "22", "5"], line: 1 },
      { id: "2", events: ["7", "login"], line: 2 },
      { id: "3", events: [], line: 3 },
    ]);
    const [input, ...more] = await collect(sessionRequests(sessions, source));
    expect(more).toEqual([]);
    expect(input).toMatchObject({ signal: "logs", units: [4, 3, 1], place: "f:1" });
    const { resourceLogs } = fromBinary(ExportLogsServiceRequestSchema, input!.body);
    const records = resourceLogs[0]!.scopeLogs[0]!.logRecords;
    expect(records.map(({ eventName }) => eventName)).toEqual([
      "5",
      "22",
      "5",
      "session.end",
      "7",
      "login",
      "session.end",
      "session.end",
    ]);
    expect(records[1]!.attributes).toMatchObject([
      { key: "session.id", value: { value: { value: "abc-1" } } },
    ]);
  });

  it("give a line a session; N sessions of training may be any number of events", async () => {
    const sessions = Array.from(
      { length: 300 },
      (_, i) => `s-${i},${i % 3 === 0 ? "1 2 3 4 5" : "1 2 4 3 5"}`,
    );
    sessions[250] = "s-250,9 9 8 7 6";
    const { records } = await replay(
      inPieces(sessions.join("\n"), 1e6),
      "--format",
      "sequences",
      "--train",
      "100",
    );
    expect(records.map(({ i }) => i)).toEqual(sessions.map((_, i) => i));
    expect(records.slice(100).toSorted((a, b) => b.score - a.score)[0]!.i).toBe(250);
  });

  it("must hold enough events to learn from", async () => {
    const replayed = replay(inPieces("1 2 3\n1 2 3\n", 1e6), "--format", "sequences", "--train", "2");
    await expect(replayed).rejects.toThrow(
      /detect\.baseline\.records: must be at least 64, is 8 \(events of the 2 sessions of --train\)/,
    );
  });
});

describe("csv", () => {
  const nanos = (text: string) => BigInt(Date.parse(text)) * 1_000_000n;

  it.each([
    ["2014-04-01 00:05:00", nanos("2014-04-01T00:05:00Z")],
    ["2014-04-01T00:05:00Z", nanos("2014-04-01T00:05:00Z")],
    ["2014-04-01T00:05:00.250+02:00", nanos("2014-03-31T22:05:00.250Z")],
    ["2014-04-01", nanos("2014-04-01T00:00:00Z")],
    ["1396310700", 1_396_310_700_000_000_000n],
    ["1396310700.5", 1_396_310_700_500_000_000n],
    ["1396310700000", 1_396_310_700_000_000_000n],
    ["1396310700000000", 1_396_310_700_000_000_000n],
    ["1396310700000000123", 1_396_310_700_000_000_123n],
    ["2014-13-01", undefined],
    ["soon", undefined],
    ["-5", undefined],
    ["2554-01-01", nanos("2554-01-01T00:00:00Z")],
    ["9999-12-31", undefined],
    ["99999999999", undefined],
    ["99999999999999", undefined],
  ])("reads the time %s", (text, expected) => {
    expect(parseTime(text)).toBe(expected);
  });

  it("takes a header, a byte order mark, quotes, spaces and missing values", async () => {
    const text = '\ufefftimestamp,value\r\n"2014-04-01 00:00:00", 20.5\n\n1396310700,-1e3\n1396310701,\n';
    expect(await collect(csvPoints(inPieces(text, 4), source))).toEqual([
      { unixNano: nanos("2014-04-01T00:00:00Z"), value: 20.5, line: 2 },
      { unixNano: 1_396_310_700_000_000_000n, value: -1000, line: 4 },
      { unixNano: 1_396_310_701_000_000_000n, value: undefined, line: 5 },
    ]);
  });

  it.each([
    [
      "1396310700,1\nsoon,2",
      'f.csv: line 2, column 1: timestamp must be ISO 8601 or a time since 1970, up to the year 2554, is "soon"',
    ],
    ["1396310700,1\n1396310701,many", 'f.csv: line 2, column 2: value must be a number, or empty, is "many"'],
    ["1396310700,1\n1396310701", "f.csv: line 2: must have two columns, timestamp and value, has 1"],
    ["1396310700,1,2", "f.csv: line 1: must have two columns, timestamp and value, has 3"],
    ["soon,1", "f.csv: line 1, column 1"],
  ])("names line and column of what is wrong in %j", async (text, message) => {
    await expect(collect(csvPoints(inPieces(text, 1e6), { ...source, name: "f.csv" }))).rejects.toThrow(
      message,
    );
  });

  it("becomes points of a gauge, a line each", async () => {
    const rows = Array.from({ length: 600 }, (_, i) => `${1_396_310_700 + 300 * i},${20 + (i % 12)}`);
    const { records } = await replay(
      inPieces(`timestamp,value\n${rows.join("\n")}`, 999),
      "--format",
      "csv",
      "--train",
      "100",
    );
    expect(records).toHaveLength(600);
    expect(records[599]).toMatchObject({ i: 599, stream: "metrics service.name=stdin value" });
  });
});

describe("otlp", () => {
  const anomalies = new Map<Signal, boolean[]>();
  const files = new Map<Signal, Buffer>();

  beforeAll(() => {
    const shop = new ShopTelemetry({
      seed: "3",
      startUnixNano: 1_767_225_600_000_000_000n,
      signals,
      rate: 400,
      speed: 1,
      duration: 60_000,
      recordsPerRequest: 100,
      schedule: [
        { name: "new-error", start: 45_000, end: 53_000 },
        { name: "error-status", start: 45_000, end: 53_000 },
      ],
    });
    const all = [...shop.batches()];
    for (const signal of signals) {
      const own = all.filter((batch) => batch.signal === signal);
      anomalies.set(
        signal,
        own.flatMap(({ truths }) => truths.map((truth) => truth !== undefined)),
      );
      files.set(signal, framed(own.map(({ body }) => body)));
    }
  });

  it.each([
    ["logs", 8],
    ["traces", 10],
  ] as const)("ranks what was never seen in %s above the rest", async (signal, least) => {
    const labels = anomalies.get(signal)!;
    expect(labels.filter((label) => label).length).toBeGreaterThanOrEqual(least);
    const { records } = await replay(
      inPieces(files.get(signal)!, 65_536),
      ...["--format", "otlp", "--signal", signal, "--train", "500"],
    );
    expect(records.map(({ i }) => i)).toEqual(labels.map((_, i) => i));
    // By then every stream has learned.
    const first = labels.indexOf(true);
    const scores = records.slice(first).map(({ score }) => score);
    expect(auc(scores, labels.slice(first))).toBeGreaterThan(0.95);
  });

  it("tells what is strange and about no record", async () => {
    const next = random(3);
    const bodies: Buffer[] = [];
    for (let at = 0n; at < 30_000n; at += 10n) {
      for (const service of ["stops", "goes-on"]) {
        if (service === "stops" && at >= 28_000n) continue;
        bodies.push(
          logsRequest([{ ...shopLine(next), service, time: (1_790_000_000n + at) * 1_000_000_000n }]),
        );
      }
    }
    const { lines, records } = await replay(
      inPieces(framed(bodies), 65_536),
      ...["--format", "otlp", "--signal", "logs", "--train", "500"],
    );
    expect(records).toHaveLength(bodies.length);
    const silences = lines.filter(
      (line) => line.kind === "anomaly" && line.explanation.startsWith("No records for "),
    );
    expect(silences).toHaveLength(1);
    expect(silences[0]).toMatchObject({
      stream: "logs service.name=stops",
      channel: "volume",
      flagged: true,
      id: expect.stringMatching(/^[0-9a-f]{32}$/),
      start: new Date((1_790_000_000 + 27_990) * 1_000).toISOString().replace(".000Z", ".000000000Z"),
    });
    const [{ i, score, p }] = silences as [Line];
    expect(i).toBeGreaterThan(5_600);
    expect(lines[lines.indexOf(silences[0]!) - 1]!.i).toBe(i);
    expect(p).toBeLessThan(1e-3);
    expect(score).toBeGreaterThan(10);
  });

  it.each(signals)("names the streams of %s as the engine does", async (signal) => {
    const config = configSchema.parse({
      detect: { baseline: { records: 64 }, budget: { per_stream_per_day: 1e6 } },
    });
    const engine = new Engine(config.detect, { mode: "all", scores: true });
    let compared = 0;
    for await (const { body } of readRequests(inPieces(files.get(signal)!, 1e6), source, signal, 1e6)) {
      const { records, reports } = await engine.process(signal, "default", body);
      const described = streamsOf(signal, body, config.detect);
      expect(described).toHaveLength(records);
      for (const { stream, record } of reports.map(({ message }) => message)) {
        if (record === undefined) continue;
        expect(described[record.index]).toBe(stream);
        compared++;
      }
    }
    await engine.close();
    // Metrics repeat themselves, so that nothing in them need be strange.
    if (signal !== "metrics") expect(compared).toBeGreaterThan(0);
  });

  it("is read across pieces", async () => {
    const bodies = ["", "a", "bc", "x".repeat(300)].map((text) => Buffer.from(text));
    for (const size of [1, 3, 7, 1_000]) {
      const read = await collect(readRequests(inPieces(framed(bodies), size), source, "logs", 300));
      expect(read.map(({ body }) => body.toString())).toEqual(bodies.map(String));
      expect(read[2]!.place).toBe("f: request 3 at byte 9");
    }
  });

  it.each([
    [framed([Buffer.from("abc")]).subarray(0, 6), /request 1 at byte 0 is truncated: 3 bytes should follow/],
    [
      Buffer.concat([framed([Buffer.from("abc")]), Buffer.alloc(2)]),
      /request 2 at byte 7 is truncated: its length/,
    ],
    [
      Buffer.from('{"resourceLogs":[]}'),
      /has a length of 2065855077 bytes, .*is the file length-delimited OTLP\?/,
    ],
  ])("that is no sound file is refused, with the place", async (bytes, message) => {
    await expect(collect(readRequests(inPieces(bytes, 4), source, "logs", 1_000))).rejects.toThrow(message);
  });

  it("that is no request of its signal is refused, with the place", async () => {
    const bytes = framed([Buffer.alloc(0), Buffer.from([0x0a, 0x05, 0x01])]);
    await expect(replay(inPieces(bytes, 4), "--format", "otlp", "--signal", "logs")).rejects.toThrow(
      /standard input: request 2 at byte 4: malformed logs request/,
    );
  });
});

describe("a file", () => {
  const rows = Array.from({ length: 600 }, (_, i) => `${1_396_310_700 + 300 * i},${20 + (i % 12)}`);
  const request = framed([logsRequest(Array.from({ length: 100 }, (_, i) => shopLine(random(i))))]);
  const contents = {
    lines: Array.from({ length: 300 }, (_, i) => `${normalLine(i)} für 3 €`).join("\n"),
    sequences: Array.from({ length: 300 }, (_, i) => `s${i},a b c d`).join("\n"),
    csv: rows.join("\n"),
    otlp: request,
  };
  const options = (format: string) => [
    "--format",
    format,
    ...(format === "otlp" ? ["--signal", "logs"] : []),
  ];
  const cases = Object.entries(contents);
  const texts = cases.filter(([format]) => format !== "otlp") as [string, string][];

  it.each(cases)("may be packed with gzip, in parts and in pieces: %s", async (format, content) => {
    const plain = await replay(inPieces(content, 1e6), ...options(format));
    const bytes = Buffer.from(content);
    const members = Buffer.concat([gzipSync(bytes.subarray(0, 1_000)), gzipSync(bytes.subarray(1_000))]);
    for (const size of [1, 1e6]) {
      expect(await replay(inPieces(members, size), ...options(format))).toEqual(plain);
    }
  });

  it.each(cases)("that is damaged gzip, or packed otherwise, is refused: %s", async (format, content) => {
    const whole = gzipSync(content);
    const broken = Buffer.from(whole).fill(0xaa, whole.length >> 1, (whole.length >> 1) + 50);
    for (const bytes of [whole.subarray(0, whole.length - 9), broken]) {
      await expect(replay(inPieces(bytes, 100), ...options(format))).rejects.toThrow(
        "standard input: the gzip data is damaged or truncated",
      );
    }
    const zstd = zstdCompressSync(content);
    await expect(replay(inPieces(zstd, 100), ...options(format))).rejects.toThrow(
      "standard input: is compressed as zstd; decompress it: zstd -dc FILE",
    );
  });

  it.each(texts)("may be text with a byte order mark: %s", async (format, content) => {
    const plain = await replay(inPieces(content, 1e6), ...options(format));
    const little = Buffer.from(`\ufeff${content}`, "utf16le");
    const big = Buffer.from(little).swap16();
    const marked = Buffer.from(`\ufeff${content}`);
    for (const bytes of [little, big, marked, gzipSync(big)]) {
      for (const size of [7, 1e6]) {
        expect(await replay(inPieces(bytes, size), ...options(format))).toEqual(plain);
      }
    }
  });

  it.each(texts)("that is no text is refused: %s", async (format, content) => {
    const noise = Buffer.concat(
      Array.from({ length: 8 }, (_, i) => createHash("sha512").update(`${i}`).digest()),
    );
    for (const bytes of [
      noise,
      gzipSync(gzipSync(noise)),
      gzipSync(noise),
      Buffer.from(content, "utf16le"),
      Buffer.from(`\ufeff${content}`).fill(0, 10),
      Buffer.concat([Buffer.from("fffe0000", "hex"), Buffer.from(content, "utf16le")]),
      readFileSync(process.execPath).subarray(0, 100_000),
      // This is the layout that tar writes.
      Buffer.concat([Buffer.from("app.log".padEnd(512, "\0")), Buffer.from(content.repeat(20))]),
    ]) {
      await expect(replay(inPieces(bytes, 1e5), ...options(format))).rejects.toThrow(
        "standard input: does not begin like text in UTF-8",
      );
    }
  });

  it("may hold some characters that are none", async () => {
    const lines = "caf\xe9 au lait, tr\xe8s chaud \x1b[31mrouge\x1b[0m\n".repeat(300);
    const { records } = await replay(inPieces(Buffer.from(lines, "latin1"), 1e6), "--format", "lines");
    expect(records).toHaveLength(300);
  });
});

describe("arguments", () => {
  it.each([
    [["f"], /--format must be one of otlp, lines, sequences, csv$/],
    [["--format", "line", "f"], /--format must be one of .*, is "line"/],
    [["--format", "otlp", "f"], /--signal must be one of logs, traces, metrics/],
    [["--format", "lines", "--signal", "logs", "f"], /--signal is for --format otlp/],
    [["--format", "lines"], /FILE is missing/],
    [["--format", "lines", "a", "b"], /unexpected argument "b"/],
    [["--format", "lines", "--train", "0", "f"], /--train must be a whole number from 1 to/],
    [
      ["--format", "lines", "--train", "70", "--detect.baseline.records", "70", "f"],
      /set the same value: leave one out/,
    ],
    [["--format", "lines", "--trian", "70", "f"], /unknown option --trian; did you mean --train\?/],
    [["--format", "lines", "--detect.sed", "70", "f"], /did you mean --detect\.seed\?/],
    [["--format", "lines", "--progress=yes", "f"], /--progress takes no value/],
    [["--format", "lines", "--train"], /--train needs a value/],
  ])("refuses %j", (args, message) => {
    expect(() => parseReplayArgs(args)).toThrow(message);
  });

  it("takes flags of the configuration and a file in any order", () => {
    const parsed = parseReplayArgs([
      "--detect.seed",
      "7",
      "a.log",
      "--format=lines",
      "--config",
      "c.yaml",
      "--train=80",
    ]);
    expect(parsed).toMatchObject({
      format: { name: "lines" },
      file: "a.log",
      train: 80,
      config: { file: "c.yaml", flags: { "detect.seed": "7" } },
    });
  });
});

describe("output", () => {
  it("waits for a slow reader", async () => {
    const taken: string[] = [];
    let resume = () => {};
    const slow = new Writable({
      highWaterMark: 1,
      write(chunk, _, done) {
        taken.push(String(chunk));
        resume = done;
      },
    });
    const out = new JsonLines(slow);
    let written = false;
    const writing = out.write([{ a: 1 }]).then(() => {
      written = true;
    });
    await new Promise(setImmediate);
    expect(written).toBe(false);
    resume();
    await writing;
    expect(taken).toEqual(['{"a":1}\n']);
  });

  it("ends with its reader, and fails on other faults", async () => {
    const failing = (code: string) =>
      new Writable({
        highWaterMark: 1,
        write(_chunk, _encoding, done) {
          done(Object.assign(new Error(code), { code }));
        },
      });
    expect(await new JsonLines(failing("EPIPE")).write([1])).toBe(false);
    await expect(new JsonLines(failing("ENOSPC")).write([1])).rejects.toThrow(
      "cannot write the output: ENOSPC",
    );
  });
});

describe("the command", () => {
  const main = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));
  let folder: string;
  let file: string;

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "driftlock-replay-"));
    file = join(folder, "app.log");
    writeFileSync(file, Array.from({ length: 5_000 }, (_, i) => `${normalLine(i)}\n`).join(""));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  function start(args: string[]) {
    const child = spawn(process.execPath, [main, "replay", ...args]);
    let err = "";
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      err += text;
    });
    const ended = new Promise<{ code: number | null; err: string }>((resolve) => {
      child.on("close", (code) => resolve({ code, err }));
    });
    return { child, ended };
  }

  it("reads a file or standard input and writes JSON lines", async () => {
    const { child, ended } = start(["--format", "lines", "--train", "100", file]);
    const text = (await collect(child.stdout.setEncoding("utf8"))).join("");
    expect(await ended).toEqual({
      code: 0,
      err: expect.stringContaining(`${file}: nothing crossed its limit`),
    });
    const lines = text.trimEnd().split("\n");
    expect(lines.filter((line) => line.includes('"kind":"record"'))).toHaveLength(5_000);
    expect(JSON.parse(lines[0]!)).toEqual({
      i: 0,
      kind: "record",
      stream: "logs service.name=app",
      score: expect.any(Number),
      p: 1,
      flagged: false,
      channel: null,
    });

    const piped = start(["--format", "lines", "-"]);
    piped.child.stdin.end("one line\n");
    const out = (await collect(piped.child.stdout.setEncoding("utf8"))).join("");
    expect(await piped.ended).toEqual({
      code: 0,
      err: "driftlock: standard input: nothing crossed its limit, and 1 of 1 stream still learned at the end\n",
    });
    expect(JSON.parse(out)).toMatchObject({ i: 0, stream: "logs service.name=stdin" });
  });

  it("names what came closest to being an anomaly, and counts those that are one", async () => {
    const path = join(folder, "rare.log");
    const lines = Array.from({ length: 3_000 }, (_, i) => normalLine(i));
    lines[2_000] = lines[2_000]!.replace(/\d+/, "word");
    lines[2_500] =
      "kernel: Out of memory: killed process 4711 (postgres) total-vm:8123456kB, anon-rss:7654321kB";
    writeFileSync(path, lines.join("\n"));
    const { child, ended } = start(["--format", "lines", path]);
    child.stdout.resume();
    const { err } = await ended;
    expect(err).toContain(`driftlock: ${path}: 1 anomaly; the strangest of what was not flagged:\n`);
    const [, score, limit] = /score ([\d.]+) below the limit of ([\d.]+)/.exec(err)!;
    expect(Number(score)).toBeLessThanOrEqual(Number(limit));
  });

  it("asks for the rate of records without times once a budget per day withheld some", async () => {
    const path = join(folder, "errors.log");
    const lines = Array.from({ length: 24_000 }, (_, i) => normalLine(i));
    const letters = "abcdefghijklmnopqrstuvwxyz";
    for (let i = 0; i < 20; i++) {
      const word = (k: number) => letters.slice(i, i + 5) + letters[(i * k + k) % 26]!.repeat(5 + k);
      lines[4_000 + i * 1_000] = `ERROR ${word(1)} ${word(2)} ${word(3)} ${word(5)}`;
    }
    writeFileSync(path, lines.join("\n"));
    const hint = "The records carry no times: --rate says how many there are per second.";
    for (const [rate, told] of [
      ["1", true],
      ["0.01", false],
    ] as const) {
      const { child, ended } = start(["--format", "lines", "--rate", rate, path]);
      child.stdout.resume();
      const { err } = await ended;
      expect(err.includes(hint), err).toBe(told);
    }
  });

  it.each([
    ["lines", "truncated", 1, "x".repeat(70_000)],
    ["sequences", "truncated", 1, "id,".padEnd(70_000, "a b ")],
    ["csv", "left out", 0, `1396310700,${"1".repeat(70_000)}`],
  ])("says how many lines of %s were too long", async (format, done, kept, long) => {
    const line = { lines: "an ordinary line", sequences: "a b c", csv: "1396310700,1" }[format];
    for (const [name, lines, which] of [
      ["one", [long], "line 301 is"],
      ["three", [long, long, long], "3 lines, the first of them line 301, are"],
    ] as const) {
      const path = join(folder, `${format}-${name}`);
      writeFileSync(path, [...Array<string>(300).fill(line!), ...lines].join("\n"));
      const { child, ended } = start(["--format", format, path]);
      const text = (await collect(child.stdout.setEncoding("utf8"))).join("");
      expect(await ended).toEqual({
        code: 0,
        err: expect.stringContaining(`driftlock: ${path}: ${which} longer than 64 KiB and ${done}\n`),
      });
      const found = text.split("\n").filter((each) => each.includes('"kind":"record"'));
      expect(found).toHaveLength(300 + kept * lines.length);
    }
  });

  it("refuses what is no text, also when it is packed, and names packed files' streams by what is in them", async () => {
    const path = join(folder, "noise.log.gz");
    writeFileSync(path, gzipSync(Buffer.alloc(10_000)));
    const refused = start(["--format", "lines", path]);
    expect(await refused.ended).toEqual({
      code: 1,
      err: expect.stringContaining(`driftlock: ${path}: does not begin like text`),
    });
    writeFileSync(path, gzipSync("one\n"));
    const { child, ended } = start(["--format", "lines", path]);
    const out = (await collect(child.stdout.setEncoding("utf8"))).join("");
    expect((await ended).code).toBe(0);
    expect(JSON.parse(out)).toMatchObject({ stream: "logs service.name=noise" });
  });

  it("ends in peace when its reader has enough", async () => {
    const { child, ended } = start(["--format", "lines", file]);
    child.stdout.once("data", () => child.stdout.destroy());
    expect(await ended).toEqual({ code: 0, err: "" });
  });

  it("says what is wrong, and gives 1 for the file and 2 for its use", async () => {
    const missing = start(["--format", "lines", join(folder, "none.log")]);
    expect(await missing.ended).toEqual({ code: 1, err: `driftlock: ${folder}/none.log: no such file\n` });
    const folderGiven = start(["--format", "lines", folder]);
    expect(await folderGiven.ended).toEqual({
      code: 1,
      err: `driftlock: ${folder}: is a folder, not a file\n`,
    });
    const few = start(["--format", "lines", "--train", "10", file]);
    expect(await few.ended).toEqual({
      code: 1,
      err: "detect.baseline.records: must be at least 64, is 10 (--train)\n",
    });
    const wrong = start(["--format", "xml", file]);
    expect((await wrong.ended).code).toBe(2);
  });
});
