import { userInfo } from "node:os";

/** Returns the name of the user of the command line for the audit log. */
export function author(): string {
  return `cli:${userInfo().username}`;
}
