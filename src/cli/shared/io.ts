import type { Config } from "../../config/schema.ts";
import type { Sidecar } from "../../sidecar/index.ts";

/** What a command reads and writes besides its arguments. */
export interface Io {
  out(text: string): void;
  err(text: string): void;
  env: NodeJS.ProcessEnv;
  /** Told where `run` listens, once it does. */
  onListening?(addresses: Sidecar["addresses"], config: Config): void;
}

export const exit = { ok: 0, failure: 1, usage: 2 } as const;

/** The command was called wrongly: its message is for the caller, the exit code is `exit.usage`. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}
