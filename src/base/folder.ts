import { lstatSync, mkdirSync, readlinkSync, statSync } from "node:fs";
import { dirname, resolve } from "node:path";

/**
 * Creates a folder for this user alone, and its missing parents. The recursive `mkdir` of Node.js never returns if the system
 * denies that a folder exists although its parent does, as it does below /proc.
 * @throws {Error} that names the remedy.
 */
export function makeFolder(path: string): void {
  const missing: string[] = [];
  for (let at = resolve(path); !isFolder(at); at = dirname(at)) missing.push(at);
  for (const folder of missing.reverse()) {
    try {
      mkdirSync(folder, { mode: 0o700 });
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      // Another process created it first.
      if (code === "EEXIST" && isFolder(folder)) continue;
      throw new Error(`${folder} cannot be created (${code}); choose a folder that this user may write to`, {
        cause: error,
      });
    }
  }
}

/** Returns false if there is nothing at `path`. @throws {Error} if there is something other than a folder. */
function isFolder(path: string): boolean {
  const wrong = (what: string, cause?: unknown) => new Error(`${path} ${what}`, { cause });
  try {
    if (statSync(path).isDirectory()) return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // The check of its parent reports the fault.
    if (code === "ENOTDIR") return false;
    if (code !== "ENOENT") throw wrong(`cannot be read (${code}); choose another folder`, error);
    if (!lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink()) return false;
    throw wrong(`is a link to ${readlinkSync(path)}, which does not exist; create that or correct the link`);
  }
  throw wrong("is not a folder; choose another path");
}
