import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { ForwardConfig } from "../config/schema.ts";
import { Code, type Signal } from "../otlp.ts";
import { clip } from "./codes.ts";
import { Drop, Drops, senderGone, shutDown } from "./drop.ts";
import { type Exporter, Forwarder, type ForwarderState, type Undelivered } from "./forwarder.ts";
import type { DurableHooks } from "./hooks.ts";
import { DeadLetters } from "./queue/dead-letters.ts";
import { type Entry, LogFull, SegmentLog } from "./queue/log.ts";

/** Whatever wait the downstream asks for: it may have asked in error, and others may want to be tried. */
const maxPauseMs = 60_000;

/** Whether a device that failed works again is seen by the next request alone: for so long its failure stands. */
const failureStandsMs = 10_000;

/**
 * A queue on disk in front of a forwarder: the sender is answered when its request is kept, and requests are delivered in
 * order, again after a crash, until the downstream takes them.
 *
 * At most `queue.concurrency` are taken from the queue at once, so that with 1 the order is strict. One that the downstream
 * refuses for good becomes a dead letter. One that it does not take within `retry.max_elapsed_time`, though it takes others,
 * goes to the queue's end. Refused credentials are no fault of a request: what they hold up stays in the queue.
 */
export class DurableForwarder implements Exporter {
  readonly #config: ForwardConfig;
  readonly #hooks: DurableHooks;
  readonly #forwarder: Forwarder;
  readonly #log: SegmentLog;
  readonly #letters: DeadLetters;
  readonly #drops: Drops;
  readonly #closing = new AbortController();
  readonly #draining: Promise<void>;
  readonly #sending = new Set<Promise<void>>();
  #sendingBytes = 0;
  #delivered = 0;
  /** The last request that could not be kept. */
  #refused: { bytes: number; drop: Drop; at: number } | undefined;
  #closed: Promise<Undelivered> | undefined;

  /** @throws {Error} with what is wrong with the configuration or with the folder. */
  static async open(config: ForwardConfig, hooks: DurableHooks, dataDir: string): Promise<DurableForwarder> {
    const { disk, max_size: maxWaiting } = config.queue;
    const forwarder = new Forwarder(config, hooks);
    try {
      const log = await SegmentLog.open(
        join(dataDir, "queue"),
        { sync: disk.sync, syncInterval: disk.sync_interval, maxSize: disk.max_size, maxWaiting },
        {
          onDamage(bytes, path) {
            hooks.onDamage({ bytes });
            hooks.log.warn({ path, bytes }, "forward.queue: passes over bytes that hold no whole request");
          },
          onError: (err) => hooks.log.error({ err }, "forward.queue: the disk fails"),
        },
      );
      const letters = new DeadLetters(join(dataDir, "dead-letters"), disk.max_dead_letter_size);
      return new DurableForwarder(config, hooks, forwarder, log, letters);
    } catch (error) {
      await forwarder.close(0);
      throw new Error(`data_dir: cannot keep the queue there: ${(error as Error).message}`, { cause: error });
    }
  }

  private constructor(
    config: ForwardConfig,
    hooks: DurableHooks,
    forwarder: Forwarder,
    log: SegmentLog,
    letters: DeadLetters,
  ) {
    this.#config = config;
    this.#hooks = hooks;
    this.#forwarder = forwarder;
    this.#log = log;
    this.#letters = letters;
    this.#drops = new Drops(hooks);
    this.#draining = this.#drain();
    if (log.pending > 0) hooks.log.info({ bytes: log.pending }, "forward.queue: goes on where it was left");
  }

  async export(signal: Signal, body: Buffer, abort: AbortSignal): Promise<undefined> {
    try {
      if (this.#closing.signal.aborted) throw shutDown(this.#config);
      if (abort.aborted) throw senderGone();
      this.#checkSize(body.length);
      await this.#keep(signal, body);
    } catch (error) {
      if (error instanceof Drop) this.#drops.report(signal, body.length, error);
      throw error;
    }
  }

  state(): ForwarderState {
    const { pending } = this.#log;
    const reason = this.#refusal();
    const { max_size } = this.#config.queue.disk;
    const keeping =
      reason === undefined
        ? { kept: true, reason: `${pending} of ${max_size} bytes` }
        : { kept: false, reason };
    return { ...this.#forwarder.state(), storedBytes: pending, keeping };
  }

  /** Why requests are not kept now; undefined where they are, as far as it is known. */
  #refusal(): string | undefined {
    if (this.#refused === undefined) return undefined;
    const { bytes, drop, at } = this.#refused;
    const stands =
      drop.reason === "queue_full" ? !this.#log.fits(bytes) : performance.now() - at < failureStandsMs;
    return stands ? drop.message : undefined;
  }

  /** What is not delivered stays on disk: nothing is given up. */
  close(deadlineMs: number): Promise<Undelivered> {
    this.#closed ??= this.#close(deadlineMs);
    return this.#closed;
  }

  async #close(deadlineMs: number): Promise<Undelivered> {
    this.#closing.abort();
    this.#forwarder.halt();
    await this.#forwarder.close(deadlineMs);
    await Promise.all(this.#sending);
    await this.#log.close();
    await this.#draining;
    const bytes = this.#log.pending;
    if (bytes > 0)
      this.#hooks.log.info({ bytes }, "forward.queue: the rest stays on disk for the next start");
    return { requests: 0, bytes: 0 };
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

  async #keep(signal: Signal, body: Buffer): Promise<void> {
    try {
      await this.#log.append(signal, body);
    } catch (error) {
      const drop = this.#notKept(body.length, error as NodeJS.ErrnoException);
      this.#refused = { bytes: body.length, drop, at: performance.now() };
      throw drop;
    }
  }

  #notKept(bytes: number, cause: NodeJS.ErrnoException): Drop {
    const { queue, retry } = this.#config;
    const drop = (reason: "queue_full" | "disk_full" | "disk_error", text: string) =>
      new Drop(reason, Code.UNAVAILABLE, text, retry.max_interval, { cause });
    if (cause instanceof LogFull) {
      const limit = `forward.queue.disk.max_size (${queue.disk.max_size})`;
      return drop(
        "queue_full",
        `${this.#log.pending} bytes wait on disk: ${limit} leaves no room for ${bytes} more`,
      );
    }
    if (["ENOSPC", "EDQUOT", "EFBIG"].includes(cause.code ?? "")) {
      return drop("disk_full", `the device that holds data_dir is full (${cause.code}); make room there`);
    }
    return drop("disk_error", `the device that holds data_dir failed: ${clip(cause.message)}`);
  }

  async #drain(): Promise<void> {
    const { concurrency, max_size } = this.#config.queue;
    for (;;) {
      const entry = await this.#log.next();
      if (!entry) return;
      const bytes = entry.body.length;
      while (
        this.#sending.size === concurrency ||
        (this.#sendingBytes > 0 && this.#sendingBytes + bytes > max_size)
      ) {
        await Promise.race(this.#sending);
      }
      if (this.#closing.signal.aborted) return;
      const sending = this.#send(entry).finally(() => {
        this.#sending.delete(sending);
        this.#sendingBytes -= bytes;
      });
      this.#sending.add(sending);
      this.#sendingBytes += bytes;
    }
  }

  /** Ends when the request is done, or at the close. */
  async #send(entry: Entry): Promise<void> {
    const { signal, body } = entry;
    const closing = this.#closing.signal;
    while (!closing.aborted) {
      const before = this.#delivered;
      const outcome = await this.#forwarder.deliver(signal, body, new AbortController().signal).catch(toDrop);
      if (!(outcome instanceof Drop)) {
        this.#delivered++;
        if (outcome) this.#hooks.log.debug(outcome, "forward: the downstream refused some records");
        return this.#log.done(entry);
      }
      if (isFinal(outcome)) {
        await this.#bury(entry, outcome);
        return this.#log.done(entry);
      }
      if (this.#delivered > before && !closing.aborted && (await this.#putBack(entry)))
        return this.#log.done(entry);
      const pause = Math.min(outcome.retryAfterMs ?? this.#config.retry.max_interval, maxPauseMs);
      await sleep(pause, undefined, { signal: closing }).catch(() => {});
    }
  }

  async #putBack({ signal, body }: Entry): Promise<boolean> {
    return this.#keep(signal, body).then(
      () => true,
      () => false,
    );
  }

  async #bury({ signal, body }: Entry, refusal: Drop): Promise<void> {
    const path = this.#letters.path(signal);
    let kept = false;
    let fate: string;
    try {
      kept = await this.#letters.add(signal, body);
      const limit = "forward.queue.disk.max_dead_letter_size";
      fate = kept ? `kept in ${path}` : `lost: ${path} has reached ${limit}; look at it and move it away`;
    } catch (error) {
      fate = `lost: ${path} cannot be written: ${clip(String(error))}`;
    }
    this.#hooks.onDeadLetter({ signal, code: refusal.code, bytes: body.length, kept });
    this.#drops.log(new Drop("refused", refusal.code, `${refusal.message}; ${fate}`));
  }
}

function toDrop(error: unknown): Drop {
  if (error instanceof Drop) return error;
  return new Drop("refused", Code.INTERNAL, clip(String(error)));
}

/** Whether no later attempt can succeed. */
function isFinal({ reason, code }: Drop): boolean {
  return reason === "too_large" || (reason === "refused" && code !== Code.UNAUTHENTICATED);
}
