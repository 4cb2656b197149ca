import { loadConfig } from "../../config/load.ts";
import type { Config } from "../../config/schema.ts";
import { openStore, type Store } from "../../store/index.ts";
import { createLogger } from "../../telemetry/log.ts";
import { versions } from "../../telemetry/version.ts";
import { parseConfigArgs } from "./args.ts";
import type { Io } from "./io.ts";

/** @param rest `--config` and flags of configuration keys */
export function configOf(rest: string[], io: Io): Config {
  const { config: file, flags } = parseConfigArgs(rest);
  return loadConfig({ file, env: io.env, flags }).config;
}

/** Opens the store that the configuration names, also beside a process that uses it, and closes it in any case. */
export async function withStore<T>(config: Config, work: (store: Store) => Promise<T>): Promise<T> {
  const log = createLogger({ ...config.telemetry, log_level: "silent" });
  // Nothing is judged here, so that the addon need not be loaded for its versions.
  const store = await openStore(config, { log, versions: versions({}) });
  try {
    return await work(store);
  } finally {
    await store.close();
  }
}
