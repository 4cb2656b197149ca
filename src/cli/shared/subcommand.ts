import { nearest } from "../../base/nearest.ts";
import { type Io, UsageError } from "./io.ts";

type Action = (args: string[], io: Io) => Promise<number>;

/**
 * Returns the entry of `table` with this name.
 * @param before the words in front of the name on the command line, such as "keys "
 * @throws {UsageError} if there is none.
 */
export function namedCommand<T>(name: string, table: Readonly<Record<string, T>>, before = ""): T {
  if (Object.hasOwn(table, name)) return table[name]!;
  const guess = nearest(name, Object.keys(table));
  const remedy = guess ? `did you mean ${before}${guess}?` : `there are ${Object.keys(table).join(", ")}`;
  throw new UsageError(`unknown command ${before}${name}; ${remedy}`);
}

/** Calls the action that the first argument names. @throws {UsageError} if it names none. */
export function callAction(
  command: string,
  actions: Readonly<Record<string, Action>>,
  [name, ...rest]: string[],
  io: Io,
): Promise<number> {
  if (name === undefined) {
    throw new UsageError(`${command} needs one of ${Object.keys(actions).join(", ")}`);
  }
  return namedCommand(name, actions, `${command} `)(rest, io);
}
