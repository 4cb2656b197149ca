import { join } from "node:path";

/** SQLITE_BUSY */
const busy = 5;

/**
 * Keeps other processes out of a folder until it is released or this process ends, however that ends. SQLite's lock, since
 * Node has none of its own.
 * @throws {Error} where another process holds it.
 */
export async function lockFolder(folder: string): Promise<() => void> {
  const { DatabaseSync } = await import("node:sqlite");
  const database = new DatabaseSync(join(folder, "lock"));
  try {
    database.exec("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE");
  } catch (error) {
    database.close();
    if ((error as { errcode?: number }).errcode !== busy) throw error;
    throw new Error(`another process uses ${folder}; stop it or choose another data_dir`, { cause: error });
  }
  return () => database.close();
}
