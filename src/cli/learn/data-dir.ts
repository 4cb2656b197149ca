import type { Config } from "../../config/schema.ts";
import { lockFolder } from "../../data-dir/lock.ts";
import { makeDataDir } from "../../data-dir/make.ts";

/** Keeps other processes out of data_dir while `work` changes it. @throws {Error} also if a process uses it. */
export async function withDataDir({ data_dir }: Config, work: () => Promise<void>): Promise<void> {
  makeDataDir(data_dir);
  const unlock = await lockFolder(data_dir);
  try {
    await work();
  } finally {
    unlock();
  }
}
