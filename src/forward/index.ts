import type { ForwardConfig } from "../config/schema.ts";
import { DurableForwarder, pendingBytes, queueFolder } from "./durable.ts";
import { type Exporter, Forwarder } from "./forwarder.ts";
import type { DurableHooks } from "./hooks.ts";

export { checkForward } from "./check.ts";
export { type Exporter, Forwarder, type ForwarderState, type Undelivered } from "./forwarder.ts";
export type { LastError } from "./health.ts";
export { type DropReason, type DurableHooks, dropReasons, type ForwardHooks } from "./hooks.ts";

/**
 * The forwarder that `queue.storage` asks for; what an earlier process left in `dataDir` goes on at once.
 * @throws {Error} with what `checkForward` finds, or where the folder cannot be used.
 */
export async function startForwarder(
  config: ForwardConfig,
  hooks: DurableHooks,
  dataDir: string,
): Promise<Exporter> {
  if (config.queue.storage === "disk") return DurableForwarder.open(config, hooks, dataDir);
  const path = queueFolder(dataDir);
  const bytes = await pendingBytes(path);
  if (bytes > 0) {
    const remedy = "set forward.queue.storage to disk once more to deliver them, or remove the folder";
    hooks.log.warn({ path, bytes }, `forward.queue: stored requests remain on disk: ${remedy}`);
  }
  return new Forwarder(config, hooks);
}
