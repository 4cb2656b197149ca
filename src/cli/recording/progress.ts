const firstAfterMs = 2_000;

/** Reports the progress of long work on standard error. */
export class Progress {
  readonly #command: string;
  readonly #out: NodeJS.WriteStream;
  readonly #size: number | undefined;
  readonly #everyMs: number;
  readonly #start = performance.now();
  #due = firstAfterMs;
  #shown = false;

  /**
   * @param command the command that reports
   * @param size number of bytes of the whole input, if it is known
   */
  constructor(command: string, out: NodeJS.WriteStream, size: number | undefined) {
    this.#command = command;
    this.#out = out;
    this.#size = size;
    this.#everyMs = out.isTTY ? 500 : 10_000;
  }

  update(bytes: number, records: number): void {
    const elapsed = performance.now() - this.#start;
    if (elapsed < this.#due) return;
    this.#due = elapsed + this.#everyMs;
    this.#shown = true;
    const seconds = elapsed / 1_000;
    const done = this.#size ? `${Math.min(100, (100 * bytes) / this.#size).toFixed(0)} %, ` : "";
    const text = `${this.#command}: ${done}${records} records, ${Math.round(records / seconds)}/s`;
    this.#out.write(this.#out.isTTY ? `\r\x1b[2K${text}` : `${text}\n`);
  }

  close(): void {
    if (this.#shown && this.#out.isTTY) this.#out.write("\r\x1b[2K");
  }
}
