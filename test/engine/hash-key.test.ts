import { chmod, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { configSchema } from "../../src/config/schema.ts";
import { Engine, installationHashKey, SnapshotFile } from "../../src/engine/index.ts";
import { logsRequest, normalLine, random, strangeLine } from "./requests.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "driftlock-key-"));
});
afterEach(() => rm(folder, { recursive: true }));

const configOf = (detect: object = {}) =>
  configSchema.parse({ data_dir: folder, detect: { baseline: { records: 200 }, ...detect } });

async function keyFile(text: string, mode = 0o600): Promise<string> {
  const file = join(folder, "shared.key");
  await writeFile(file, text);
  await chmod(file, mode);
  return file;
}

test("an installation makes its key once, for its own user alone", async () => {
  const key = installationHashKey(configOf());
  expect(key).toHaveLength(32);
  expect(installationHashKey(configOf())).toEqual(key);
  const file = join(folder, "hash.key");
  expect((await stat(file)).mode & 0o777).toBe(0o600);
  expect(await readFile(file, "utf8")).toBe(`${Buffer.from(key).toString("hex")}\n`);
  await rm(file);
  expect(installationHashKey(configOf())).not.toEqual(key);
});

test("several processes share the key that detect.key_file names", async () => {
  const key_file = await keyFile("0123456789abcdef".repeat(4));
  const key = installationHashKey(configOf({ key_file }));
  expect(Buffer.from(key).toString("hex")).toBe("0123456789abcdef".repeat(4));
  await expect(stat(join(folder, "hash.key"))).rejects.toThrow("ENOENT");
  // The library and replays accept the key too, and otherwise use the public one.
  const engines = [
    new Engine(configOf({ key_file }).detect, { mode: "all" }),
    new Engine(configOf().detect, { mode: "all", key }),
    new Engine(configOf().detect, { mode: "all" }),
    new Engine(configOf().detect, { mode: "all", key: new Uint8Array(32) }),
  ];
  const [a, b, c, d] = engines.map(({ keyFingerprint }) => keyFingerprint);
  expect(a).toBe(b);
  expect(c).toBe(d);
  expect(a).not.toBe(c);
  for (const engine of engines) await engine.close();
});

test.each([
  [
    "",
    /must hold 64 hexadecimal digits and nothing else, has 0 characters; make one with `openssl rand -hex 32`/,
  ],
  ["0123456789abcdef", /has 16 characters/],
  ["z".repeat(64), /must hold 64 hexadecimal digits/],
  ["0".repeat(128), /has 128 characters/],
])("a key file of %j is refused", async (text, message) => {
  const key_file = await keyFile(text);
  const make = () => installationHashKey(configOf({ key_file }));
  expect(make).toThrow(message);
  expect(make).toThrow(`detect.key_file: ${key_file}`);
});

test("a key file that is not there, or that everybody may read, is refused", async () => {
  const missing = join(folder, "nothing");
  expect(() => installationHashKey(configOf({ key_file: missing }))).toThrow(
    `detect.key_file: ${missing}: does not exist; make one with \`openssl rand -hex 32\``,
  );
  const key_file = await keyFile("0".repeat(64), 0o644);
  expect(() => installationHashKey(configOf({ key_file }))).toThrow(
    /open to all users \(mode 644\).*chmod o=/,
  );
  // A group may read it, as with a volume of a Kubernetes secret.
  await chmod(key_file, 0o640);
  expect(installationHashKey(configOf({ key_file }))).toHaveLength(32);
});

test("an engine asks for a key of 32 bytes", () => {
  expect(() => new Engine(configOf().detect, { mode: "all", key: new Uint8Array(16) })).toThrow(
    /key is 16 bytes long/,
  );
});

test("equal keys give equal verdicts; another key the same, but for the ids of anomalies", async () => {
  const next = random(3);
  const requests = Array.from({ length: 8 }, (_, i) => {
    const lines = Array.from({ length: 100 }, () => normalLine(next));
    if (i > 4) lines[50] = strangeLine();
    return logsRequest(lines);
  });
  const judge = async (key: Uint8Array) => {
    const engine = new Engine(configOf().detect, { mode: "all", scores: true, key });
    const scores: number[] = [];
    const ids: string[] = [];
    for (const request of requests) {
      const outcome = await engine.process("logs", "default", request);
      scores.push(...outcome.scores!);
      ids.push(...outcome.reports.map(({ message }) => message.id));
    }
    await engine.close();
    return { scores, ids };
  };
  const one = await judge(Buffer.alloc(32, 1));
  expect(one.ids.length).toBeGreaterThan(0);
  expect(await judge(Buffer.alloc(32, 1))).toEqual(one);
  const two = await judge(Buffer.alloc(32, 2));
  expect(two.scores).toEqual(one.scores);
  expect(two.ids).not.toEqual(one.ids);
});

test("a snapshot of another key is refused, with the reason", async () => {
  const config = configOf();
  const engine = new Engine(config.detect, { mode: "all", key: Buffer.alloc(32, 1) });
  await engine.process("logs", "default", logsRequest([normalLine(random(1))]));
  await new SnapshotFile(config).save(engine);
  const snapshot = await engine.snapshot();
  await engine.close();
  const other = new Engine(config.detect, { mode: "all", key: Buffer.alloc(32, 2) });
  expect(await new SnapshotFile(config).load(other)).toMatchObject({
    kind: "refused",
    reason: expect.stringMatching(
      /^the fingerprint of the hash key was "[0-9a-f]{16}" and is "[0-9a-f]{16}"$/,
    ),
  });
  expect(await other.restore(snapshot)).toBe(false);
  await other.close();
});
