import { plural } from "../../base/plural.ts";
import type { Config } from "../../config/schema.ts";
import {
  configuredHashKey,
  Engine,
  installationHashKey,
  isPublic,
  newHashKey,
  SnapshotFile,
} from "../../engine/index.ts";
import { enginePrivacy } from "../../privacy/policy.ts";
import { FileSource, sizeOf, withFile } from "../recording/file.ts";
import { type Format, formatOf, readInputs, unpackAs } from "../recording/format.ts";
import { judgeInOrder } from "../recording/judge.ts";
import { exit, type Io, UsageError } from "../shared/io.ts";
import { keyOfLearned, restoreLearned, saveLearned } from "../shared/learned.ts";
import { readOptions } from "../shared/options.ts";
import { tenantOf } from "../shared/tenant.ts";
import { configOf } from "../shared/with-store.ts";
import { withDataDir } from "./data-dir.ts";

interface Asked {
  config: Config;
  format: Format;
  service: string | undefined;
  tenant: string;
  report: boolean;
  files: readonly string[];
}

/** Where what was learned goes. */
interface Target {
  file: SnapshotFile;
  key: Uint8Array;
  /** Whether the file carries the key. */
  portable: boolean;
}

/** Learns from files, into `--out` or data_dir. */
export async function learnFiles(args: string[], io: Io): Promise<number> {
  const options = readOptions(args, {
    values: ["format", "signal", "service", "tenant", "out"],
    switches: ["progress"],
    rest: "FILE",
  });
  const format = formatOf(options.values);
  const service = options.values.get("service");
  if (service !== undefined && format.name === "otlp") {
    throw new UsageError("--service is for text files; the records of --format otlp name their services");
  }
  const asked: Asked = {
    config: configOf(options, io),
    format,
    service,
    tenant: tenantOf(options.values),
    report: options.switches.has("progress"),
    files: options.positionals,
  };
  for (const file of asked.files) await sizeOf(file);
  const { config } = asked;
  const out = options.values.get("out");
  if (out !== undefined) {
    const file = new SnapshotFile(config, out);
    await learnInto(
      { file, key: (await keyOfLearned(file)) ?? keyForFile(config), portable: true },
      asked,
      io,
    );
  } else {
    await withDataDir(config, async () => {
      const target = { file: new SnapshotFile(config), key: installationHashKey(config), portable: false };
      await learnInto(target, asked, io);
    });
  }
  return exit.ok;
}

/** Returns the configured key, or else a new one: the file's readers take it over. */
function keyForFile({ detect }: Config): Uint8Array {
  const key = configuredHashKey(detect);
  return isPublic(key) ? newHashKey() : key;
}

async function learnInto({ file, key, portable }: Target, asked: Asked, io: Io): Promise<void> {
  const { config, files } = asked;
  const engine = new Engine(config.detect, {
    mode: "all",
    privacy: enginePrivacy(config.privacy, key),
    llm: config.llm,
    key,
    streamsPerTenant: config.limits.streams,
    readInPlace: true,
  });
  try {
    if (await restoreLearned(file, engine)) io.err(`driftlock: adding to ${file.path}\n`);
    let records = 0;
    let flagged = 0;
    for (const name of files) {
      await withFile(
        name,
        { command: "learn", report: asked.report },
        io,
        async (input, onProgress, note) => {
          const source = new FileSource(name, asked.format, asked.service);
          // Files may cover the same time: the streams of one are not silent in the others.
          await engine.interrupt({ resumes: false });
          const unpacked = await unpackAs(asked.format, input, source.name);
          const inputs = readInputs(asked.format, unpacked, source, config.receive.limits.max_request_size);
          for await (const { outcome } of judgeInOrder(inputs, engine, asked.tenant)) {
            records += outcome.records;
            flagged += outcome.flagged;
            onProgress(records);
          }
          const remark = source.remark();
          if (remark !== undefined) note(remark);
        },
      );
    }
    await engine.interrupt({ resumes: false });
    if (records === 0) throw new Error(`${files.join(", ")}: there are no records to learn from`);
    await (portable ? saveLearned(file, engine, key) : file.save(engine));
    const { streams, learning } = engine.stats();
    const judged = streams - learning;
    io.out(
      `Learned from ${plural(records, "record")}, of which ${plural(flagged, "was", "were")} flagged once their streams were judged. ` +
        `Streams that have learned enough to be judged: ${judged} of ${streams}.\nSaved in ${file.path}.\n`,
    );
  } finally {
    await engine.close();
  }
}
