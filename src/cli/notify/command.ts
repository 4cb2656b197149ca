import type { Config } from "../../config/schema.ts";
import { startForwarder } from "../../forward/index.ts";
import { type Channel, createChannels, createWindows, sendTest } from "../../notify/index.ts";
import { forwardHooks } from "../../telemetry/hooks.ts";
import { createLogger } from "../../telemetry/log.ts";
import { createMetrics } from "../../telemetry/metrics.ts";
import { versions as allVersions } from "../../version.ts";
import { helpText } from "../shared/help.ts";
import { exit, type Io, UsageError } from "../shared/io.ts";
import { loadWhole } from "../shared/load-whole.ts";
import { readOptions } from "../shared/options.ts";
import { callAction } from "../shared/subcommand.ts";

export const help = helpText({
  usage: ["notify test [--channel NAME] [OPTION]..."],
  about: `
Sends a test incident to the channels of the configuration, first that it has begun, then that it is resolved, and prints
whether each receiver has accepted it. It goes to all channels, whatever their \`match\`, windows and limits are, and
without the outbox.`,
  options: [["--channel NAME", "send it to this channel only"]],
  exit: ["Every receiver has accepted both messages.", "A receiver has not, or no channel is configured."],
});

/** Starts what sends to the downstream. The queue on disk belongs to the running Driftlock. */
function forwarderOf({ forward, telemetry, data_dir }: Config) {
  const log = createLogger({ ...telemetry, log_level: "silent" });
  const hooks = forwardHooks(createMetrics(allVersions({})), log);
  const queue = { ...forward.queue, storage: "memory" as const };
  return startForwarder({ ...forward, queue }, hooks, data_dir);
}

async function test(args: string[], io: Io): Promise<number> {
  const options = readOptions(args, { values: ["channel"] });
  const { config } = await loadWhole(options, io.env);
  const forwarder = await forwarderOf(config);
  try {
    const all = createChannels(config.notify, { forwarder, version: allVersions({}).version });
    return await testAll(all, options.values.get("channel"), config, io);
  } finally {
    await forwarder.close(0);
  }
}

async function testAll(
  all: readonly Channel[],
  named: string | undefined,
  { notify }: Config,
  io: Io,
): Promise<number> {
  const names = all.map(({ name }) => name);
  if (names.length === 0) {
    io.err("driftlock: no channel is configured; set notify.webhook, notify.email or another one\n");
    return exit.failure;
  }
  if (named !== undefined && !names.includes(named)) {
    throw new UsageError(`--channel must be one of ${names.join(", ")}`);
  }
  let failed = false;
  for (const channel of all.filter(({ name }) => named === undefined || name === named)) {
    const fault = await sendTest(channel, "default", "`driftlock notify test`");
    failed ||= fault !== undefined;
    io.out(`${channel.name} (${channel.type}): ${fault === undefined ? "accepted" : `failed: ${fault}`}\n`);
  }
  for (const window of createWindows(notify)) {
    const until = window.openUntil(Date.now());
    if (until === undefined) continue;
    io.err(
      `The window ${window.name} is open until ${new Date(until).toISOString()}; what it matches is held back.\n`,
    );
  }
  return failed ? exit.failure : exit.ok;
}

export function run(args: string[], io: Io): Promise<number> {
  return callAction("notify", { test }, args, io);
}
