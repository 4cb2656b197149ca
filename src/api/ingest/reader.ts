import { Gate } from "../../base/gate.ts";
import type { Owner } from "../../base/shares.ts";
import { Thread } from "../../base/thread.ts";
import { type Reading, readText } from "./read.ts";
import type { Job } from "./worker.ts";

/**
 * Maximum size of bodies that are parsed on the event loop, which takes some milliseconds for the worst known shapes.
 */
const maxInline = 8 * 2 ** 10;

/** Maximum number of bodies that wait for the thread. */
const maxWaiting = 256;

/** Reads the items of bodies. Large bodies are read on a thread, one at a time, in turn by tenant and by address. */
export class BodyReader {
  readonly #gate = new Gate(1, maxWaiting);
  readonly #thread: Thread<Job, Reading>;

  constructor() {
    // The name has the same ending as this file's, before and after compilation.
    const url = new URL(`./worker${import.meta.url.slice(-3)}`, import.meta.url);
    this.#thread = new Thread<Job, Reading>(url, undefined, ({ message }) => new Error(message));
  }

  /**
   * Resolves to undefined if too many bodies wait.
   * @throws the signal's reason once the sender has gone.
   */
  async read(job: Job, owner: Owner & { tenant: string }, gone: AbortSignal): Promise<Reading | undefined> {
    const { kind, format, text, receivedMs } = job;
    if (text.length <= maxInline) return readText(kind, format, Buffer.from(text), receivedMs);
    const leave = await this.#gate.enter(owner, gone);
    if (leave === undefined) return undefined;
    try {
      return await this.#thread.call(job);
    } finally {
      leave();
    }
  }

  close(): Promise<void> {
    return this.#thread.close();
  }
}
