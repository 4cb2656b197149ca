import { plural } from "../../base/plural.ts";
import type { Config } from "../../config/schema.ts";
import { checkTopics, initTopics, readStatus, resetState } from "../../kafka/index.ts";
import { helpText } from "../shared/help.ts";
import { exit, type Io, UsageError } from "../shared/io.ts";
import { loadWhole } from "../shared/load-whole.ts";
import { readOptions } from "../shared/options.ts";
import { callAction } from "../shared/subcommand.ts";

export const help = helpText({
  usage: ["kafka init [OPTION]...", "kafka status [OPTION]...", "kafka reset-state --yes [OPTION]..."],
  about: `
Manages the topics through which several processes of one installation work together. Their names begin with
kafka.topic_prefix.`,
  lists: [
    [
      "Actions",
      [
        ["init", "create the topics that are missing, and set the settings that differ"],
        ["status", "show what is wrong with the topics, and how far each partition has been judged"],
        ["reset-state", "forget what all streams have learned; each partition learns again from where it is"],
      ],
    ],
  ],
  options: [["--yes", "forget what the streams have learned"]],
  exit: ["The command succeeded.", "The command failed, or `status` found that the topics cannot be used."],
});

async function configOf(args: string[], io: Io, switches: string[] = []) {
  const options = readOptions(args, { switches });
  const { config } = await loadWhole(options, io.env);
  if (config.kafka.brokers.length === 0) {
    throw new UsageError("kafka.brokers is not set; set it, such as --kafka.brokers 127.0.0.1:9092");
  }
  return { config, options };
}

async function init(args: string[], io: Io): Promise<number> {
  const { config } = await configOf(args, io);
  const done = await initTopics(config);
  for (const line of done.length > 0 ? done : ["the topics are as they should be"]) io.out(`${line}\n`);
  return exit.ok;
}

async function status(args: string[], io: Io): Promise<number> {
  const { config } = await configOf(args, io);
  const { faults, workers, partitions } = await readStatus(config);
  for (const fault of faults) io.out(`${fault}\n`);
  io.out(`workers: ${workers}\n`);
  for (const { partition, judged, lag, checkpoint } of partitions) {
    const learned = checkpoint === undefined ? "no checkpoint" : `checkpoint at ${checkpoint}`;
    io.out(`  partition ${partition}: judged to ${judged ?? "none"}, ${lag} behind, ${learned}\n`);
  }
  return faults.length === 0 ? exit.ok : exit.failure;
}

async function reset(args: string[], io: Io): Promise<number> {
  const { config, options } = await configOf(args, io, ["yes"]);
  await refuseUnusable(config);
  if (!options.switches.has("yes")) {
    throw new UsageError(
      "reset-state forgets what all streams have learned, and their anomalies cannot be found until they have learned again; add --yes",
    );
  }
  io.out(`${plural(await resetState(config), "partition learns", "partitions learn")} again\n`);
  return exit.ok;
}

/** @throws {Error} with what is wrong with the topics. */
async function refuseUnusable(config: Config): Promise<void> {
  const faults = await checkTopics(config);
  if (faults.length > 0) throw new Error(faults.join("\n"));
}

export function run(args: string[], io: Io): Promise<number> {
  return callAction("kafka", { init, status, "reset-state": reset }, args, io);
}
