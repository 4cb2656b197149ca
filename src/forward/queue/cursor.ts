import { readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { crc32 } from "node:zlib";

/** The position before which all is done, kept in a file: where a new process begins. */
export class Cursor {
  readonly #path: string;
  #saved: number | undefined;
  #saving: Promise<void> = Promise.resolve();

  constructor(folder: string) {
    this.#path = join(folder, "cursor");
  }

  /** Undefined where there is none, or none that can be trusted: all that is there is sent again then. */
  async read(): Promise<number | undefined> {
    const text = await readFile(this.#path, "utf8").catch(() => "");
    const [digits = "", sum] = text.trim().split(" ");
    const position = /^\d{1,16}$/.test(digits) ? Number(digits) : Number.NaN;
    return Number.isSafeInteger(position) && String(crc32(digits)) === sum ? position : undefined;
  }

  /** Rejects where the device does not take it; the former one stays then. */
  save(position: number): Promise<void> {
    const saved = this.#saving.then(() => this.#write(position));
    this.#saving = saved.catch(() => {});
    return saved;
  }

  async #write(position: number): Promise<void> {
    if (position === this.#saved) return;
    const next = `${this.#path}.next`;
    await writeFile(next, `${position} ${crc32(String(position))}\n`, { mode: 0o600 });
    await rename(next, this.#path);
    this.#saved = position;
  }
}
