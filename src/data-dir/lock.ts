import { join } from "node:path";

/** SQLITE_BUSY */
const busy = 5;

/** Processes that start at once hinder each other, so that none might get the lock at its first try. */
const settleMs = 1_000;

/** The file in a folder whose lock says that the folder is in use. */
export function lockPath(folder: string): string {
  return join(folder, "lock");
}

/**
 * Keeps other processes out of a folder until it is released or this process ends, however that ends. Node has no file locks
 * of its own, so this takes SQLite's, which the system holds for the process: none is left behind by one that was killed, and
 * processes of other containers on the same volume see it.
 * @throws {Error} if another process holds it.
 */
export async function lockFolder(folder: string): Promise<() => void> {
  const { DatabaseSync } = await import("../base/sqlite.ts");
  const path = lockPath(folder);
  let database: InstanceType<typeof DatabaseSync> | undefined;
  try {
    database = new DatabaseSync(path, { timeout: settleMs });
    // With its journal in memory it writes nothing, so that it needs no room on a device that is full.
    database.exec("PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE");
    const held = database;
    return () => held.close();
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
