/** Opens recorded files for a command: checks them first, and reports its progress and what it left out. */
import { constants, createReadStream } from "node:fs";
import { access, stat } from "node:fs/promises";
import { basename, extname } from "node:path";
import process from "node:process";
import type { Readable } from "node:stream";
import { fileFault } from "../../base/file-fault.ts";
import type { Io } from "../shared/io.ts";
import type { Format } from "./format.ts";
import type { Source } from "./input.ts";
import { Progress } from "./progress.ts";

/** Returns the service.name of a file's records: the name of the file without its extensions. */
export function serviceOf(file: string): string {
  if (file === "-") return "stdin";
  const name = basename(file, ".gz");
  return basename(name, extname(name));
}

/** A source that remembers the lines that were too long. */
export class FileSource implements Source {
  readonly name: string;
  readonly service: string;
  readonly #format: Format;
  #longLines = 0;
  #firstLong = 0;

  constructor(file: string, format: Format, service = serviceOf(file)) {
    this.name = file === "-" ? "standard input" : file;
    this.service = service;
    this.#format = format;
  }

  readonly onLongLine = (number: number): void => {
    if (this.#longLines === 0) this.#firstLong = number;
    this.#longLines += 1;
  };

  /** A remark about lines that were too long; undefined if there were none. */
  remark(): string | undefined {
    const [count, first] = [this.#longLines, this.#firstLong];
    if (count === 0) return undefined;
    const which = count === 1 ? `line ${first} is` : `${count} lines, the first of them line ${first}, are`;
    const what = this.#format.name === "csv" ? "left out" : "truncated";
    return `${this.name}: ${which} longer than 64 KiB and ${what}`;
  }
}

/** Returns the size of a file; undefined if it is not known. @throws {Error} that says why the file cannot be read. */
export async function sizeOf(file: string): Promise<number | undefined> {
  if (file === "-") return undefined;
  try {
    await access(file, constants.R_OK);
    const found = await stat(file);
    if (found.isDirectory()) throw Object.assign(new Error(), { code: "EISDIR" });
    return found.isFile() ? found.size : undefined;
  } catch (error) {
    throw new Error(`${file}: ${fileFault(error as NodeJS.ErrnoException)}`, { cause: error });
  }
}

/**
 * Opens a file, or standard input for "-", for the time that `work` takes. Progress and the remarks of `work` go to
 * standard error.
 * @param report whether to report progress even if standard error is no terminal
 */
export async function withFile(
  file: string,
  { command, report = false }: { command: string; report?: boolean },
  io: Io,
  work: (
    input: Readable,
    onProgress: (records: number) => void,
    note: (text: string) => void,
  ) => Promise<void>,
): Promise<void> {
  const size = await sizeOf(file);
  const input: Readable & { bytesRead?: number } =
    file === "-" ? process.stdin : createReadStream(file, { highWaterMark: 2 ** 18 });
  const notes: string[] = [];
  const progress = process.stderr.isTTY || report ? new Progress(command, process.stderr, size) : undefined;
  try {
    await work(
      input,
      (records) => progress?.update(input.bytesRead ?? 0, records),
      (text) => void notes.push(text),
    );
  } finally {
    progress?.close();
    for (const text of notes) io.err(`driftlock: ${text}\n`);
    input.destroy();
  }
}
