import type { Owner } from "../../base/shares.ts";
import { Thread } from "../../base/thread.ts";
import { Gate } from "../gate.ts";
import { type Reading, readText } from "./read.ts";
import type { Job } from "./worker.ts";

/** Bytes that the event loop reads itself: some milliseconds for the worst shapes that are known. */
const maxInline = 8 * 2 ** 10;

/** Bodies that wait for the thread. */
const maxWaiting = 256;

/** Reads bodies as events. Large ones go to a thread, one at a time, in turn by tenant and by address. */
export class EventReader {
  readonly #gate = new Gate(1, maxWaiting);
  readonly #thread: Thread<Job, Reading>;

  constructor() {
    // Its name ends as this file's does, before and after compilation.
    const url = new URL(`./worker${import.meta.url.slice(-3)}`, import.meta.url);
    this.#thread = new Thread<Job, Reading>(url, undefined, ({ message }) => new Error(message));
  }

  /** Resolves to undefined where too many wait. @throws the signal's reason once the sender has gone. */
  async read(job: Job, owner: Owner & { tenant: string }, gone: AbortSignal): Promise<Reading | undefined> {
    const { format, text, receivedMs } = job;
    if (text.length <= maxInline) return readText(format, Buffer.from(text), receivedMs);
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
