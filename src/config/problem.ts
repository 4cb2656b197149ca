import type { ErrorCode } from "../base/error-codes.ts";

/** A problem of a configuration. */
export interface Problem {
  /** Dotted name of the key; empty if the problem concerns the file itself. */
  key: string;
  /** What is wrong, and what to do about it. */
  message: string;
  /** The origin of the value: `driftlock.yaml:3:12`, `env NAME` or `flag --name`. Undefined for a default. */
  place?: string | undefined;
}

/** A key's value and its origin. */
export interface Assignment {
  value: unknown;
  place: string;
  /** Places of the elements of a list or map, by their dotted names. */
  parts?: ReadonlyMap<string, string>;
}

function line({ key, message, place }: Problem): string {
  return `${key ? `${key}: ` : ""}${message}${place ? ` (${place})` : ""}`;
}

/** Thrown if the configuration cannot be used. Contains all problems, not only the first one. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  /** The stable code of this error. */
  readonly code = "ERR_DRIFTLOCK_CONFIG" satisfies ErrorCode;
  /** All problems, each with its key and place. */
  readonly problems: readonly Problem[];

  /** @param problems at least one; the message consists of their texts */
  constructor(problems: readonly Problem[]) {
    super(problems.map(line).join("\n"));
    this.problems = problems;
  }
}
