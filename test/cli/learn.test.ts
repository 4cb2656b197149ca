import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import pino from "pino";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { replayStream } from "../../src/cli/replay/command.ts";
import type { RecordLine } from "../../src/cli/replay/judge.ts";
import { parseReplayArgs } from "../../src/cli/replay/options.ts";
import { configSchema } from "../../src/config/schema.ts";
import { lockFolder } from "../../src/data-dir/lock.ts";
import type { Anomaly } from "../../src/gen/driftlock/v1/anomaly_pb.js";
import { startSidecar } from "../../src/sidecar/index.ts";
import { startDownstream } from "../forward/downstream.ts";
import { driftlock } from "./driftlock.ts";
import { logs, normalLines, sendGrpc, strangeLine } from "./sender.ts";

const open: (() => unknown)[] = [];
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "driftlock-learn-"));
  open.push(() => rmSync(folder, { recursive: true, force: true }));
});
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

const at = (name: string) => join(folder, name);
const baseline = ["--detect.baseline.records", "200"];
const mode = (path: string) => statSync(path).mode & 0o777;

/** Writes requests as `--format otlp` reads them. */
function recorded(name: string, requests: readonly Buffer[]): string {
  const framed = requests.flatMap((body) => {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(body.length);
    return [length, body];
  });
  writeFileSync(at(name), Buffer.concat(framed));
  return at(name);
}

const history = (from: number) =>
  Array.from({ length: 3 }, (_, i) => logs(normalLines(100, from + 100 * i), from + 100 * i));

const learn = (...args: string[]) => driftlock(["learn", ...args, ...baseline]);
const learnHistory = (...args: string[]) =>
  learn("--format", "otlp", "--signal", "logs", ...args, recorded("history.otlp", history(0)));

/** Starts a sidecar on a data_dir, sends a usual and a strange line, and returns the anomalies. */
async function firstFault(data_dir: string): Promise<Anomaly[]> {
  const target = await startDownstream("grpc");
  open.push(target.close);
  const any = { endpoint: "127.0.0.1:0" };
  const config = configSchema.parse({
    receive: { grpc: any, http: any },
    detect: { baseline: { records: 200 } },
    forward: { endpoint: target.endpoint, compression: "none" },
    api: any,
    data_dir,
  });
  const anomalies: Anomaly[] = [];
  const running = await startSidecar(config, {
    log: pino({ level: "silent" }),
    onAnomaly: [({ message }) => anomalies.push(message)],
  });
  try {
    await sendGrpc(running.addresses.grpc!, logs([...normalLines(1, 900), strangeLine], 900));
  } finally {
    await running.close();
  }
  return anomalies;
}

describe("learning from files", () => {
  it("lets a run flag the first fault at once", async () => {
    expect(await firstFault(at("untrained"))).toEqual([]);
    const learned = await learnHistory("--data_dir", at("data"));
    expect(learned).toMatchObject({ code: 0, err: "" });
    expect(learned.out).toBe(
      `Learned from 300 records, of which 0 were flagged once their streams were judged. Streams that have learned enough to be judged: 1 of 1.\nSaved in ${at("data/engine.snapshot")}.\n`,
    );
    const anomalies = await firstFault(at("data"));
    expect(anomalies).toHaveLength(1);
    expect(anomalies[0]!.record!.text).toContain("kernel panic");
  });

  it("adds to what was learned before, file by file", async () => {
    const first = recorded("a.otlp", history(0).slice(0, 1));
    const second = recorded("b.otlp", history(0).slice(1));
    const format = ["--format", "otlp", "--signal", "logs", "--out"];
    const part = await learn(...format, at("parts"), first);
    expect(part.out).toContain("learned enough to be judged: 0 of 1.");
    const rest = await learn(...format, at("parts"), second);
    expect(rest.err).toContain(`adding to ${at("parts")}`);
    expect(rest.out).toContain("Learned from 200 records");
    expect(rest.out).toContain("learned enough to be judged: 1 of 1.");
    expect((await learn(...format, at("whole"), first, second)).out).toContain("Learned from 300 records");
  });

  it("names the service of a text file, and the tenant", async () => {
    writeFileSync(at("app.log"), normalLines(300).join("\n"));
    const named = ["--service", "checkout", "--tenant", "acme", "--out", at("out")];
    expect(await learn("--format", "lines", ...named, at("app.log"))).toMatchObject({ code: 0 });
    const stored = await driftlock(["learn", "import", at("out"), "--data_dir", at("data"), ...baseline]);
    expect(stored.out).toContain("Imported 1 stream");
  });

  it("changes nothing if a file cannot be read", async () => {
    const cut = recorded("cut.otlp", history(0));
    writeFileSync(cut, readFileSync(cut).subarray(0, -5));
    const failed = await learn("--format", "otlp", "--signal", "logs", "--out", at("out"), cut);
    expect(failed).toMatchObject({ code: 1, out: "" });
    expect(failed.err).toContain("request 3 at byte");
    expect(() => statSync(at("out"))).toThrow();
    writeFileSync(at("empty.log"), "");
    expect((await learn("--format", "lines", "--out", at("out"), at("empty.log"))).err).toContain(
      "there are no records to learn from",
    );
  });

  it("refuses a data_dir that is in use, and options that contradict the format", async () => {
    await learnHistory("--data_dir", at("data"));
    const unlock = await lockFolder(at("data"));
    const busy = await learnHistory("--data_dir", at("data"));
    unlock();
    expect(busy).toMatchObject({ code: 1, err: expect.stringContaining("another process uses") });
    const service = await learnHistory("--service", "x");
    expect(service).toMatchObject({ code: 2, err: expect.stringContaining("--service is for text files") });
    expect(await learn("--format", "lines")).toMatchObject({
      code: 2,
      err: expect.stringContaining("FILE is missing"),
    });
  });
});

describe("export and import", () => {
  it("move what was learned to another instance, with its hash key and for this user only", async () => {
    await learnHistory("--data_dir", at("one"));
    const exported = await learn("export", at("file"), "--data_dir", at("one"));
    expect(exported).toMatchObject({ code: 0, out: `Exported 1 stream to ${at("file")}.\n` });
    expect(exported.err).toContain("protect it");
    expect(mode(at("file"))).toBe(0o600);
    expect((await learn("import", at("file"), "--data_dir", at("two"))).code).toBe(0);
    expect(readFileSync(at("two/hash.key"))).toEqual(readFileSync(at("one/hash.key")));
    expect(mode(at("two/hash.key"))).toBe(0o600);
    expect(readFileSync(at("two/engine.snapshot"), "latin1")).not.toContain("hashKey");
    expect(await firstFault(at("two"))).toHaveLength(1);
  });

  it("keep what an instance has learned unless it is to be replaced", async () => {
    await learnHistory("--data_dir", at("one"));
    await learnHistory("--data_dir", at("two"));
    await learn("export", at("file"), "--data_dir", at("one"));
    const before = readFileSync(at("two/engine.snapshot"));
    const kept = await learn("import", at("file"), "--data_dir", at("two"));
    expect(kept.code).toBe(1);
    expect(kept.err).toMatch(/under a hash key of its own.*Add --replace/);
    expect(readFileSync(at("two/engine.snapshot"))).toEqual(before);
    expect((await learn("import", at("file"), "--data_dir", at("two"), "--replace")).code).toBe(0);
    expect(readFileSync(at("two/hash.key"))).toEqual(readFileSync(at("one/hash.key")));
    const own = await learn("import", at("file"), "--data_dir", at("one"));
    expect(own.err).toContain("what it has learned would be lost");
  });

  it("name the key that differs, a newer version, damage and a wrong hash key", async () => {
    await learnHistory("--out", at("file"));
    const importFile = (...args: string[]) =>
      driftlock(["learn", "import", at("file"), "--data_dir", at("data"), ...args]);
    expect((await importFile()).err).toBe(
      `driftlock: ${at("file")}: detect.baseline.records was 200 and is 1000; give each key its former value, or learn again\n`,
    );
    writeFileSync(at("other.key"), "ab".repeat(32), { mode: 0o600 });
    expect((await importFile(...baseline, "--detect.key_file", at("other.key"))).err).toContain(
      "under another hash key than that of detect.key_file",
    );
    const good = readFileSync(at("file"));
    const changed = (from: RegExp, to: string) =>
      Buffer.from(good.toString("latin1").replace(from, to), "latin1");
    for (const [bytes, reason] of [
      [good.subarray(0, -1), "it is damaged"],
      [changed(/"format":\d+/, '"format":99'), "a newer version of Driftlock wrote it: its format is 99"],
      [changed(/"hashKey":"../, '"hashKey":"zz'), "its hash key is damaged"],
      [changed(/,"hashKey":"\w+"/, ""), "does not carry the hash key"],
      [Buffer.from("no snapshot\n"), "it is not an engine's snapshot"],
    ] as const) {
      writeFileSync(at("file"), bytes);
      expect(await importFile(...baseline)).toMatchObject({ code: 1, err: expect.stringContaining(reason) });
      expect(() => statSync(at("data/engine.snapshot"))).toThrow();
    }
    rmSync(at("file"));
    expect((await importFile()).err).toContain("no such file");
    expect((await learn("export", at("x"), "--data_dir", at("nothing"))).err).toContain(
      "has learned nothing yet",
    );
  });

  it("say why a file cannot be written", async () => {
    await learnHistory("--data_dir", at("data"));
    const nowhere = await learn("export", folder, "--data_dir", at("data"));
    expect(nowhere).toMatchObject({ code: 1, err: expect.stringContaining("is a folder, not a file") });
  });
});

/** Replays lines of OTLP in this process. */
async function replay(file: string, ...args: string[]): Promise<RecordLine[]> {
  const output = new PassThrough();
  const text = output.setEncoding("utf8").toArray();
  const options = parseReplayArgs(["--format", "otlp", "--signal", "logs", ...baseline, ...args, "-"]);
  const input = PassThrough.from([readFileSync(file)]);
  await replayStream(options, { input, output }, {}, () => {});
  output.end();
  const lines = (await text).join("").trim().split("\n");
  return lines.map((line) => JSON.parse(line)).filter(({ kind }) => kind === "record");
}

describe("a replay", () => {
  it("goes on from what another one has saved, with the same verdicts", async () => {
    const later = [logs([...normalLines(50, 300), strangeLine, ...normalLines(50, 350)], 300)];
    const whole = await replay(recorded("whole.otlp", [...history(0), ...later]));
    await replay(recorded("first.otlp", history(0)), "--save", at("saved"));
    expect(mode(at("saved"))).toBe(0o600);
    const second = await replay(recorded("second.otlp", later), "--load", at("saved"));
    expect(second).toEqual(whole.slice(300).map((line) => ({ ...line, i: line.i - 300 })));
    expect(second.filter(({ flagged }) => flagged)).toHaveLength(1);
  });

  it("does not lend the public key to an instance", async () => {
    await replay(recorded("history.otlp", history(0)), "--save", at("saved"));
    const refused = await learn("import", at("saved"), "--data_dir", at("data"));
    expect(refused).toMatchObject({ code: 1, err: expect.stringContaining("public hash key of replays") });
    await learnHistory("--out", at("learned"));
    expect(await replay(at("history.otlp"), "--load", at("learned"))).toHaveLength(300);
    await expect(replay(at("history.otlp"), "--load", at("missing"))).rejects.toThrow("no such file");
  });

  it("says that a file may not be read", { skip: process.getuid?.() === 0 }, async () => {
    await learnHistory("--out", at("learned"));
    chmodSync(at("learned"), 0);
    await expect(replay(at("history.otlp"), "--load", at("learned"))).rejects.toThrow("may not be read");
  });
});
