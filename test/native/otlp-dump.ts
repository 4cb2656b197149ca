/** Runs the native reader and splicer through the program native/test/otlp_dump.cpp. */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { createInterface } from "node:readline";
import { type Signal, signals } from "../../src/otlp/protocol.ts";

export type Answer =
  | { error: { what: string; field: string; offset: number } }
  | { index: unknown; all: Uint8Array; edited: Uint8Array };

export class Dump {
  readonly #program: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  constructor() {
    const path = process.env.OTLP_DUMP ?? "build/sanitized/otlp_dump";
    if (!existsSync(path)) throw new Error(`${path} is not built: run "make test-native"`);
    this.#program = spawn(path, { stdio: ["pipe", "pipe", "inherit"] });
    this.#lines = createInterface({ input: this.#program.stdout! })[Symbol.asyncIterator]();
  }

  /** Sends a request; only one may be pending. For `every`, which selects the records to edit, see otlp_dump.cpp. */
  async ask(signal: Signal, request: Uint8Array, every: number): Promise<Answer> {
    const head = Buffer.from([signals.indexOf(signal), every, 0, 0, 0, 0]);
    head.writeUInt32BE(request.length, 2);
    this.#program.stdin!.write(Buffer.concat([head, request]));
    const { value, done } = await this.#lines.next();
    if (done) throw new Error("otlp_dump ended");
    const { error, index, all, edited } = JSON.parse(value);
    return error ? { error } : { index, all: Buffer.from(all, "hex"), edited: Buffer.from(edited, "hex") };
  }

  /** Resolves to the exit code: 0, unless a sanitizer or the reader failed. */
  async close(): Promise<number | null> {
    this.#program.stdin!.end();
    if (this.#program.exitCode !== null) return this.#program.exitCode;
    return new Promise((resolve) => this.#program.once("exit", resolve));
  }
}
