import type { ErrorCode } from "../base/error-codes.ts";

/** One thing that is wrong with a configuration. */
export interface Problem {
  /** Dotted key, or empty where it is the file itself. */
  key: string;
  /** What is wrong and the remedy. */
  message: string;
  /** `driftlock.yaml:3:12`, `env NAME` or `flag --name`; not set for a default. */
  place?: string | undefined;
}

/** Where a key's value comes from. */
export interface Assignment {
  value: unknown;
  place: string;
  /** Places of the elements of a list or map, by their dotted names. */
  parts?: ReadonlyMap<string, string>;
}

function line({ key, message, place }: Problem): string {
  return `${key ? `${key}: ` : ""}${message}${place ? ` (${place})` : ""}`;
}

/** A configuration that cannot be used, with all its problems. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  readonly code = "ERR_DRIFTLOCK_CONFIG" satisfies ErrorCode;
  readonly problems: readonly Problem[];

  constructor(problems: readonly Problem[]) {
    super(problems.map(line).join("\n"));
    this.problems = problems;
  }
}
