import { join } from "node:path";
import type { ForwardConfig } from "../config/schema.ts";
import { Code, type Signal, signals } from "../otlp/protocol.ts";
import { divide } from "./divide.ts";
import { Drop, Drops, senderGone, shutDown } from "./drop.ts";
import { type Exporter, Forwarder, type ForwarderState, type Undelivered } from "./forwarder.ts";
import type { DurableHooks } from "./hooks.ts";
import { DeadLetters } from "./queue/dead-letters.ts";
import { bytesLeft } from "./queue/log.ts";
import { SignalQueue } from "./signal-queue.ts";

export const queueFolder = (dataDir: string) => join(dataDir, "queue");

/** The bytes that an earlier process left in a queue's folder. */
export async function pendingBytes(folder: string): Promise<number> {
  const bytes = await Promise.all(signals.map((signal) => bytesLeft(join(folder, signal))));
  return bytes.reduce((sum, one) => sum + one, 0);
}

/**
 * A queue on disk in front of a forwarder: the sender is answered when its request is kept, and requests are delivered, those
 * of a signal in order, again after a crash, until the downstream takes them.
 */
export class DurableForwarder implements Exporter {
  readonly #config: ForwardConfig;
  readonly #hooks: DurableHooks;
  readonly #forwarder: Forwarder;
  readonly #queues: ReadonlyMap<Signal, SignalQueue>;
  readonly #drops: Drops;
  #closed: Promise<Undelivered> | undefined;

  /** @throws {Error} with what is wrong with the configuration or with the folder. */
  static async open(config: ForwardConfig, hooks: DurableHooks, dataDir: string): Promise<DurableForwarder> {
    const forwarder = new Forwarder(config, hooks);
    const drops = new Drops(hooks);
    const letters = new DeadLetters(join(dataDir, "dead-letters"), config.queue.disk.max_dead_letter_size);
    const queues = new Map<Signal, SignalQueue>();
    try {
      for (const signal of signals) {
        const parts = { config, hooks, forwarder, letters, drops };
        queues.set(signal, await SignalQueue.open(signal, queueFolder(dataDir), parts));
      }
      return new DurableForwarder(config, hooks, forwarder, queues, drops);
    } catch (error) {
      await closeAll(forwarder, queues, 0);
      throw new Error(`data_dir: cannot keep the queue there: ${(error as Error).message}`, { cause: error });
    }
  }

  private constructor(
    config: ForwardConfig,
    hooks: DurableHooks,
    forwarder: Forwarder,
    queues: ReadonlyMap<Signal, SignalQueue>,
    drops: Drops,
  ) {
    this.#config = config;
    this.#hooks = hooks;
    this.#forwarder = forwarder;
    this.#queues = queues;
    this.#drops = drops;
    const bytes = this.#pending;
    if (bytes > 0) hooks.log.info({ bytes }, "forward.queue: resuming with the stored requests");
  }

  async export(signal: Signal, body: Buffer, abort: AbortSignal): Promise<undefined> {
    try {
      if (abort.aborted) throw senderGone();
      const parts = await divide(signal, body, this.#config.max_request_size);
      if (this.#closed) throw shutDown(this.#config);
      this.#checkSize(parts.reduce((sum, { length }) => sum + length, 0));
      await this.#queues.get(signal)!.keep(parts);
    } catch (error) {
      if (error instanceof Drop) this.#drops.report(signal, body.length, error);
      throw error;
    }
  }

  takes(signal: Signal): Promise<boolean> {
    return this.#forwarder.takes(signal);
  }

  state(): ForwarderState {
    const refusals = [...this.#queues.values()]
      .map(({ refusal }) => refusal)
      .filter((text) => text !== undefined);
    const [signal, fullest] = [...this.#queues].reduce((most, one) =>
      one[1].pending > most[1].pending ? one : most,
    );
    const { max_size } = this.#config.queue.disk;
    const keeping =
      refusals.length > 0
        ? { kept: false, reason: refusals.join("; ") }
        : { kept: true, reason: `${fullest.pending} of ${max_size} bytes of ${signal}` };
    const used = fullest.pending / max_size;
    return { ...this.#forwarder.state(), storedBytes: this.#pending, used, keeping };
  }

  /** Nothing is given up: what is not delivered stays on disk. */
  close(deadlineMs: number): Promise<Undelivered> {
    this.#closed ??= this.#close(deadlineMs);
    return this.#closed;
  }

  async #close(deadlineMs: number): Promise<Undelivered> {
    await closeAll(this.#forwarder, this.#queues, deadlineMs);
    const bytes = this.#pending;
    if (bytes > 0)
      this.#hooks.log.info({ bytes }, "forward.queue: the remaining requests are on disk for the next start");
    return { requests: 0, bytes: 0 };
  }

  get #pending(): number {
    return [...this.#queues.values()].reduce((sum, { pending }) => sum + pending, 0);
  }

  #checkSize(bytes: number): void {
    const { max_size, disk } = this.#config.queue;
    const [key, limit] =
      max_size < disk.max_size
        ? ["forward.queue.max_size", max_size]
        : ["forward.queue.disk.max_size", disk.max_size];
    if (bytes < limit) return;
    const text = `a request of ${bytes} bytes does not fit ${key} (${limit}); make requests smaller or raise it`;
    throw new Drop("too_large", Code.RESOURCE_EXHAUSTED, text);
  }
}

async function closeAll(
  forwarder: Forwarder,
  queues: ReadonlyMap<Signal, SignalQueue>,
  deadlineMs: number,
): Promise<void> {
  for (const queue of queues.values()) queue.halt();
  forwarder.halt();
  await forwarder.close(deadlineMs);
  await Promise.all([...queues.values()].map((queue) => queue.close()));
}
