/** Moves what streams have learned from one instance to another, together with the hash key. */
import { existsSync } from "node:fs";
import { plural } from "../../base/plural.ts";
import type { Config } from "../../config/schema.ts";
import { Engine, existingHashKey, isPublic, SnapshotFile, writeHashKey } from "../../engine/index.ts";
import { exit, type Io } from "../shared/io.ts";
import { keyOfLearned, restoreLearned, saveLearned } from "../shared/learned.ts";
import { readOptions } from "../shared/options.ts";
import { configOf } from "../shared/with-store.ts";
import { withDataDir } from "./data-dir.ts";

/** Loads a snapshot into an engine under the key, and passes it on. @returns false if there is no snapshot. */
async function withLearned(
  config: Config,
  file: SnapshotFile,
  key: Uint8Array,
  work: (engine: Engine) => Promise<void>,
): Promise<boolean> {
  const engine = new Engine(config.detect, { mode: "all", key });
  try {
    if (!(await restoreLearned(file, engine))) return false;
    await work(engine);
    return true;
  } finally {
    await engine.close();
  }
}

/** `learn export FILE`: reads the latest snapshot, which is always a whole one, so `run` may go on meanwhile. */
export async function exportLearned(args: string[], io: Io): Promise<number> {
  const options = readOptions(args, { positionals: ["FILE"] });
  const config = configOf(options, io);
  const from = new SnapshotFile(config);
  const to = new SnapshotFile(config, options.positionals[0]!);
  const key = existingHashKey(config);
  const written =
    key !== undefined &&
    (await withLearned(config, from, key, async (engine) => {
      await saveLearned(to, engine, key);
      io.out(`Exported ${plural(engine.stats().streams, "stream")} to ${to.path}.\n`);
    }));
  if (!written) {
    throw new Error(
      `${from.path} does not exist: this instance has learned nothing yet, or it is not the one of data_dir`,
    );
  }
  io.err("The file holds the secret hash key of this instance and excerpts of its data: protect it.\n");
  return exit.ok;
}

/** `learn import FILE`: the streams, and the key by which they recognise what they have learned. */
export async function importLearned(args: string[], io: Io): Promise<number> {
  const options = readOptions(args, { positionals: ["FILE"], switches: ["replace"] });
  const config = configOf(options, io);
  const from = new SnapshotFile(config, options.positionals[0]!);
  const key = await keyOfLearned(from);
  if (key === undefined) throw new Error(`${from.path}: no such file`);
  await withDataDir(config, async () => {
    const to = new SnapshotFile(config);
    const keyIsNew = isNewKey(config, from.path, key, to.path, options.switches.has("replace"));
    await withLearned(config, from, key, async (engine) => {
      await to.save(engine);
      if (keyIsNew) writeHashKey(config, key);
      io.out(`Imported ${plural(engine.stats().streams, "stream")} to ${to.path}.\n`);
    });
  });
  return exit.ok;
}

/**
 * Returns whether the key must be written.
 * @throws {Error} with the remedy, if what the instance has would be lost, or the key must not be used.
 */
function isNewKey(config: Config, from: string, key: Uint8Array, to: string, replace: boolean): boolean {
  if (isPublic(key)) {
    throw new Error(
      `${from}: it was learned under the public hash key of replays, which protects nobody; learn again with \`driftlock learn\`, or under detect.key_file`,
    );
  }
  const own = existingHashKey(config);
  const same = own !== undefined && Buffer.compare(own, key) === 0;
  if (!same && config.detect.key_file !== undefined) {
    throw new Error(
      `${from}: it was learned under another hash key than that of detect.key_file, and streams recognise nothing under another key; use the key file of the instance that exported it, or unset detect.key_file`,
    );
  }
  if (existsSync(to) && !replace) {
    const why = same
      ? "what it has learned would be lost"
      : "it has learned under a hash key of its own; streams of two keys cannot be joined, because they recognise by it what they have learned";
    throw new Error(`data_dir: ${to} exists: ${why}. Add --replace to drop it, or choose a new data_dir`);
  }
  return !same;
}
