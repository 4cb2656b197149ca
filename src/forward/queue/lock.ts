import { join } from "node:path";

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
    throw new Error(`data_dir: another process uses ${folder}; stop it or choose another data_dir`, {
      cause: error,
    });
  }
  return () => database.close();
}
