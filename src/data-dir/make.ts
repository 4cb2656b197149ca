import { makeFolder } from "../base/folder.ts";

/** Creates the folder `data_dir` if it is missing. @throws {Error} that names the key and the remedy. */
export function makeDataDir(path: string): void {
  try {
    makeFolder(path);
  } catch (error) {
    throw new Error(`data_dir: ${(error as Error).message}`, { cause: error });
  }
}
