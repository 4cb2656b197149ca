import { lstatSync, mkdirSync, readlinkSync, statSync } from "node:fs";
import { dirname, resolve } from "node:path";

/** As `makeFolder`, for the folder that the configuration names. @throws {Error} with the key. */
export function makeDataDir(path: string): void {
  try {
    makeFolder(path);
  } catch (error) {
    throw new Error(`data_dir: ${(error as Error).message}`, { cause: error });
  }
}

/**
 * Makes a folder, for this user alone, and those around it that are missing. Node's own recursive `mkdir` never
 * returns if the system denies that there is a folder whose parent exists, as it does below /proc.
 * @throws {Error} with the remedy.
 */
export function makeFolder(path: string): void {
  const missing: string[] = [];
  for (let at = resolve(path); !isFolder(at); at = dirname(at)) missing.push(at);
  for (const folder of missing.reverse()) {
    try {
      mkdirSync(folder, { mode: 0o700 });
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      // Another process was quicker.
      if (code === "EEXIST" && isFolder(folder)) continue;
      throw new Error(`${folder} cannot be created (${code}); choose a folder that this user may write to`, {
        cause: error,
      });
    }
  }
}

/** False if there is nothing at `path`. @throws {Error} if there is something else. */
function isFolder(path: string): boolean {
  const wrong = (what: string, cause?: unknown) => new Error(`${path} ${what}`, { cause });
  try {
    if (statSync(path).isDirectory()) return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // The folder around it says what is wrong.
    if (code === "ENOTDIR") return false;
    if (code !== "ENOENT") throw wrong(`cannot be read (${code}); choose another folder`, error);
    if (!lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink()) return false;
    throw wrong(`is a link to ${readlinkSync(path)}, which does not exist; create that or correct the link`);
  }
  throw wrong("is not a folder; choose another path");
}
