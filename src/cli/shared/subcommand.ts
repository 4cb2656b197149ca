import { nearest } from "../../base/nearest.ts";
import { type Io, UsageError } from "./io.ts";

export type Action = (args: string[], io: Io) => Promise<number>;

/** Calls the action that the first argument names. @throws {UsageError} where it names none. */
export function callAction(
  command: string,
  actions: Readonly<Record<string, Action>>,
  [name, ...rest]: string[],
  io: Io,
): Promise<number> {
  const list = Object.keys(actions).join(", ");
  if (name === undefined) throw new UsageError(`${command} needs one of ${list}`);
  const action = Object.hasOwn(actions, name) ? actions[name] : undefined;
  if (action !== undefined) return action(rest, io);
  const guess = nearest(name, Object.keys(actions));
  throw new UsageError(
    `unknown ${command} ${name}; ${guess ? `did you mean ${guess}?` : `there are ${list}`}`,
  );
}
