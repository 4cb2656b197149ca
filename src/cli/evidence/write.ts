import { writeFileSync } from "node:fs";
import { fileFault } from "../../base/file-fault.ts";

/** Writes a file. @throws {Error} that names it, and the reason. */
export function write(file: string, bytes: Uint8Array): void {
  try {
    writeFileSync(file, bytes);
  } catch (error) {
    throw new Error(`${file}: ${fileFault(error as NodeJS.ErrnoException, "written")}`);
  }
}
