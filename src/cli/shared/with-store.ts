import { loadConfig } from "../../config/load.ts";
import type { Config } from "../../config/schema.ts";
import { openStore, type Store } from "../../store/index.ts";
import { createLogger } from "../../telemetry/log.ts";
import { versions } from "../../version.ts";
import type { Io } from "./io.ts";
import type { Options } from "./parse-options.ts";

/** Loads the configuration from the file, the environment and the options of a command. */
export function configOf({ config: { file, flags } }: Pick<Options, "config">, { env }: Io): Config {
  return loadConfig({ file, env, flags }).config;
}

/** Opens the store of the configuration, which another process may be using, and closes it after `work`. */
export async function withStore<T>(config: Config, work: (store: Store) => Promise<T>): Promise<T> {
  const log = createLogger({ ...config.telemetry, log_level: "silent" });
  // Nothing is judged here, so the addon need not be loaded for its versions.
  const store = await openStore(config, { log, versions: versions({}) });
  try {
    return await work(store);
  } finally {
    await store.close();
  }
}
