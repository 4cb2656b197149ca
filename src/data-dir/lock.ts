import { join } from "node:path";

/** SQLite's result code SQLITE_BUSY. */
const busy = 5;

/** How long to wait for the lock: processes that start at the same time may all fail at their first attempt. */
const settleMs = 1_000;

/** Returns the path of the file in a folder whose lock shows that the folder is in use. */
export function lockPath(folder: string): string {
  return join(folder, "lock");
}

/**
 * Locks a folder until the lock is released or this process ends in any way. Node has no file locks, so this uses a lock
 * of SQLite, which the operating system holds for the process: a killed process leaves none behind, and processes in
 * other containers on the same volume respect it.
 * @throws {Error} if another process holds it.
 */
export async function lockFolder(folder: string): Promise<() => void> {
  const { DatabaseSync } = await import("../base/sqlite.ts");
  const path = lockPath(folder);
  let database: InstanceType<typeof DatabaseSync> | undefined;
  try {
    database = new DatabaseSync(path, { timeout: settleMs });
    // With the journal in memory nothing is written, so that locking succeeds on a full device.
    database.exec("PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE");
    const locked = database;
    return () => locked.close();
  } catch (error) {
    database?.close();
    const { errcode, message } = error as Error & { errcode?: number };
    const text =
      errcode === busy
        ? `another process uses ${folder}; stop it or choose another data_dir`
        : `${path}: ${message}; check that it can be written, or remove it`;
    throw new Error(`data_dir: ${text}`, { cause: error });
  }
}
