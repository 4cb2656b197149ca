/** What a command reads and writes besides its arguments. */
export interface Io {
  out(text: string): void;
  err(text: string): void;
  env: NodeJS.ProcessEnv;
}

export const exit = { ok: 0, failure: 1, usage: 2 } as const;

/** The command was called wrongly: its message is for the caller, the exit code is `exit.usage`. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}
