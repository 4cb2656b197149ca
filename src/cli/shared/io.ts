import type { Config } from "../../config/schema.ts";
import type { Sidecar } from "../../sidecar/index.ts";

/** What a command reads and writes besides its arguments. */
export interface Io {
  out(text: string): void;
  err(text: string): void;
  env: NodeJS.ProcessEnv;
  /** Receives the addresses of `run` as soon as it listens. */
  onListening?(addresses: Sidecar["addresses"], config: Config): void;
}

export const exit = { ok: 0, failure: 1, usage: 2 } as const;

/** Reports that a command was called wrongly. Its message is printed, and the exit code is `exit.usage`. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}
