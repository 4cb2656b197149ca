import { once } from "node:events";
import type { Writable } from "node:stream";
import { toJson } from "../../base/printable.ts";

/** Writes JSON lines to a stream, no faster than it accepts them. */
export class JsonLines {
  readonly #out: Writable;
  #error: NodeJS.ErrnoException | undefined;
  readonly #onError = (error: NodeJS.ErrnoException) => {
    this.#error ??= error;
  };

  constructor(out: Writable) {
    this.#out = out;
    out.on("error", this.#onError);
  }

  /**
   * Resolves to false if the reader has gone away, as `head` does.
   * @throws {Error} if lines cannot be written for another reason.
   */
  async write(lines: readonly unknown[]): Promise<boolean> {
    if (this.#error === undefined && lines.length > 0) {
      const text = lines.map((line) => `${toJson(line)}\n`).join("");
      if (!this.#out.write(text)) {
        // #onError records an error. The listener that was not called must not keep waiting.
        const waiting = new AbortController();
        const { signal } = waiting;
        await Promise.race([
          once(this.#out, "drain", { signal }),
          once(this.#out, "close", { signal }),
        ]).catch(() => {});
        waiting.abort();
      }
    }
    if (this.#error === undefined) return true;
    if (this.#error.code === "EPIPE") return false;
    throw new Error(`cannot write the output: ${this.#error.message}`, { cause: this.#error });
  }

  close(): void {
    this.#out.off("error", this.#onError);
  }
}
