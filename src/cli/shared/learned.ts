/** Files with what streams have learned, which carry the hash key: they are written by one Driftlock and read by another. */
import { fileFault } from "../../base/file-fault.ts";
import type { Engine, SnapshotFile } from "../../engine/index.ts";

/** Returns the key in such a file; undefined if there is no file. @throws {Error} that says why it cannot be used. */
export async function keyOfLearned(file: SnapshotFile): Promise<Uint8Array | undefined> {
  const header = await file.header().catch((error: NodeJS.ErrnoException) => {
    throw new Error(`${file.path}: ${fileFault(error)}`, { cause: error });
  });
  if (header.kind === "none") return undefined;
  if (header.kind === "refused") throw new Error(`${file.path}: ${header.reason}`);
  if (header.hashKey === undefined) {
    throw new Error(
      `${file.path}: it does not carry the hash key that its streams need; \`driftlock learn export\` writes a file that does`,
    );
  }
  return header.hashKey;
}

/** Continues from a file. Returns whether there is one. @throws {Error} that says why it cannot be used. */
export async function restoreLearned(file: SnapshotFile, engine: Engine): Promise<boolean> {
  const loaded = await file.load(engine);
  if (loaded.kind === "refused") {
    throw new Error([`${file.path}: ${loaded.reason}`, loaded.remedy].filter(Boolean).join("; "));
  }
  return loaded.kind === "restored";
}

/** Writes a file that carries the key. @throws {Error} that says why it cannot be written. */
export async function saveLearned(file: SnapshotFile, engine: Engine, key: Uint8Array): Promise<void> {
  await file.save(engine, key).catch((error: NodeJS.ErrnoException) => {
    const why = error.code === undefined ? error.message : fileFault(error, "written");
    throw new Error(`${file.path}: ${why}`, { cause: error });
  });
}
