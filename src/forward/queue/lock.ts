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
  const path = join(folder, "lock");
  let database: InstanceType<typeof DatabaseSync> | undefined;
  try {
    database = new DatabaseSync(path);
    database.exec("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE");
    const held = database;
    return () => held.close();
  } catch (error) {
    database?.close();
    const { errcode, message } = error as Error & { errcode?: number };
    const text =
      errcode === busy
        ? `another process uses ${folder}; stop it or choose another data_dir`
        : `${path}: ${message}; see that it can be written, or remove it`;
    throw new Error(text, { cause: error });
  }
}
