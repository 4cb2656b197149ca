import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { RateLimitedLog } from "../base/rate-limited-log.ts";
import { truncateLine } from "../base/truncate.ts";
import type { ForwardConfig } from "../config/schema.ts";
import { Code, type Signal, signals } from "../otlp/protocol.ts";
import { Drop, type Drops } from "./drop.ts";
import type { Forwarder, RefusedPart } from "./forwarder.ts";
import { isGood } from "./health.ts";
import type { DurableHooks } from "./hooks.ts";
import type { DeadLetters } from "./queue/dead-letters.ts";
import { type Entry, LogFull, SegmentLog } from "./queue/log.ts";
import { Displaced } from "./queue/writer.ts";

/** The longest pause that the downstream can ask for: it may ask in error, and other requests may succeed sooner. */
const maxPauseMs = 60_000;

/** How long a failure of the device is reported. Only the next request shows whether the device works again. */
const failureStandsMs = 10_000;

/** The most requests that may wait because the downstream asked for it while others are taken from the queue. */
const maxResting = 1_000;

/** The most refused requests that may wait for the device to accept them as dead letters. */
const maxAwaitingDeadLetter = 1_000;

/** What the queues of all signals share. */
export interface SignalQueueParts {
  config: ForwardConfig;
  hooks: DurableHooks;
  forwarder: Forwarder;
  letters: DeadLetters;
  drops: Drops;
}

/**
 * The requests of one signal on disk, delivered in order. A signal that the downstream does not accept for the moment holds
 * up no other signal.
 *
 * At most `queue.concurrency` requests are taken from the queue at once, so that a concurrency of 1 keeps the order strictly.
 * With a higher concurrency, requests that wait because the downstream asked for it do not count. A request that the
 * downstream refuses for good becomes a dead letter, unless the downstream refuses an empty request as well: then the request
 * is not at fault, and it stays in the queue. Refused credentials are treated likewise. A request that is not accepted within
 * `retry.max_elapsed_time` goes to the end of the queue if the downstream accepts others.
 */
export class SignalQueue {
  readonly #signal: Signal;
  readonly #parts: SignalQueueParts;
  readonly #log: SegmentLog;
  readonly #closing = new AbortController();
  readonly #draining: Promise<void>;
  /** The entries that have been taken from the log and are not finished. */
  readonly #carried = new Set<Promise<void>>();
  #carriedBytes = 0;
  #resting = 0;
  #awaitingDeadLetter = 0;
  #onRoom: (() => void) | undefined;
  #deadLettering: Promise<void> = Promise.resolve();
  #delivered = 0;
  /** The last request that could not be kept. */
  #refused: { bytes: number; drop: Drop; at: number } | undefined;

  /** @param folder of all queues. @throws {Error} where it cannot be used. */
  static async open(signal: Signal, folder: string, parts: SignalQueueParts): Promise<SignalQueue> {
    const { hooks } = parts;
    const { disk } = parts.config.queue;
    const options = {
      sync: disk.sync,
      syncInterval: disk.sync_interval,
      maxSize: disk.max_size,
      maxWaiting: share(parts.config),
    };
    const limitedLog = new RateLimitedLog();
    const log = await SegmentLog.open(join(folder, signal), options, {
      onDamage(bytes, path) {
        hooks.onDamage({ bytes });
        hooks.log.warn({ path, bytes }, "forward.queue: skipped bytes that hold no whole request");
      },
      onError(err) {
        const { code } = err as NodeJS.ErrnoException;
        limitedLog.write(String(code), (times) =>
          hooks.log.error({ err, times }, "forward.queue: the disk failed"),
        );
      },
    });
    return new SignalQueue(signal, parts, log);
  }

  private constructor(signal: Signal, parts: SignalQueueParts, log: SegmentLog) {
    this.#signal = signal;
    this.#parts = parts;
    this.#log = log;
    this.#draining = this.#drain();
  }

  /** The bytes on disk that are not finished. */
  get pending(): number {
    return this.#log.pending;
  }

  /** Why requests are not kept now; undefined if they are, as far as is known. */
  get refusal(): string | undefined {
    if (this.#refused === undefined) return undefined;
    const { bytes, drop, at } = this.#refused;
    const stands =
      drop.reason === "queue_full" ? !this.#log.fits(bytes) : performance.now() - at < failureStandsMs;
    return stands ? drop.message : undefined;
  }

  /** Resolves once the parts of a request are on disk, each by itself. @throws {Drop} if one of them is not; others may be. */
  async keep(parts: readonly Buffer[]): Promise<void> {
    const bytes = parts.reduce((sum, { length }) => sum + length, 0);
    try {
      if (!this.#log.fits(bytes)) throw new LogFull("maxSize");
      // One after the other, so that a large request does not fill what may wait to be written.
      for (const part of parts) await this.#log.append(this.#signal, part);
    } catch (error) {
      const drop = this.#notKept(bytes, error as NodeJS.ErrnoException);
      this.#refused = { bytes, drop, at: performance.now() };
      throw drop;
    }
  }

  /** Takes no more from the queue; attempts under way may still succeed. */
  halt(): void {
    this.#closing.abort();
    this.#onRoom?.();
  }

  /** After `halt`, and once the forwarder has ended its attempts. */
  async close(): Promise<void> {
    await Promise.all(this.#carried);
    await this.#log.close();
    await this.#draining;
  }

  #notKept(bytes: number, cause: NodeJS.ErrnoException): Drop {
    const { queue, retry } = this.#parts.config;
    const drop = (reason: "queue_full" | "disk_full" | "disk_error", text: string) =>
      new Drop(reason, Code.UNAVAILABLE, text, retry.max_interval, { cause });
    if (cause instanceof LogFull) {
      const text =
        cause.limit === "maxSize"
          ? `${this.pending} bytes of ${this.#signal} wait on disk: forward.queue.disk.max_size (${queue.disk.max_size})`
          : `too much waits to be written to disk: a third of forward.queue.max_size (${queue.max_size})`;
      return drop("queue_full", `${text} leaves no room for ${bytes} more`);
    }
    if (["ENOSPC", "EDQUOT", "EFBIG"].includes(cause.code ?? "")) {
      return drop("disk_full", `the device that holds data_dir is full (${cause.code}); make room there`);
    }
    if (cause instanceof Displaced) return drop("disk_error", cause.message);
    return drop("disk_error", `the device that holds data_dir failed: ${truncateLine(cause.message)}`);
  }

  async #drain(): Promise<void> {
    for (;;) {
      const entry = await this.#log.next();
      if (!entry) return;
      while (!this.#hasRoom(entry.body.length) && !this.#closing.signal.aborted) {
        await new Promise<void>((resolve) => {
          this.#onRoom = resolve;
        });
      }
      if (this.#closing.signal.aborted) return;
      const carried = this.#carry(entry).finally(() => {
        this.#carried.delete(carried);
        this.#onRoom?.();
      });
      this.#carried.add(carried);
    }
  }

  #hasRoom(bytes: number): boolean {
    const { concurrency } = this.#parts.config.queue;
    const resting = concurrency === 1 ? 0 : Math.min(this.#resting, maxResting);
    const delivering = this.#carried.size - this.#awaitingDeadLetter - resting;
    if (delivering >= concurrency || this.#awaitingDeadLetter >= maxAwaitingDeadLetter) return false;
    return this.#carriedBytes === 0 || this.#carriedBytes + bytes <= share(this.#parts.config);
  }

  async #carry(entry: Entry): Promise<void> {
    this.#carriedBytes += entry.body.length;
    const refused = await this.#deliver(entry);
    if (refused?.length === 0) this.#log.done(entry);
    else if (refused !== undefined) {
      // Other entries are delivered meanwhile.
      this.#awaitingDeadLetter++;
      this.#onRoom?.();
      this.#deadLettering = this.#deadLettering.then(() => this.#deadLetter(entry, refused));
      await this.#deadLettering;
      this.#awaitingDeadLetter--;
    }
    this.#carriedBytes -= entry.body.length;
  }

  /** Resolves to what the downstream refused for good, or to undefined if the entry stays in the queue at the close. */
  async #deliver({ body }: Entry): Promise<RefusedPart[] | undefined> {
    const { config, hooks, forwarder } = this.#parts;
    const closing = this.#closing.signal;
    let blamed = false;
    while (!closing.aborted) {
      const before = this.#delivered;
      const outcome = await forwarder
        .deliver(this.#signal, body, new AbortController().signal, (resting) => this.#rest(resting))
        .catch((error) => toDrop(error));
      if (!(outcome instanceof Drop)) {
        this.#delivered++;
        const { partialSuccess, refused } = outcome;
        if (partialSuccess) hooks.log.debug(partialSuccess, "forward: the downstream rejected some records");
        return refused;
      }
      const takesOthers = this.#delivered > before;
      if (outcome.reason === "refused" && outcome.code !== Code.UNAUTHENTICATED) {
        if (isGood(outcome) || blamed) return [{ body, refusal: outcome }];
        // Asked once more where it takes others: it may just have come to itself.
        blamed = takesOthers || (await forwarder.takesAny());
        if (blamed) continue;
      } else {
        blamed = false;
        if (takesOthers && !closing.aborted && (await this.#putBack(body))) return [];
      }
      const pause = Math.min(outcome.retryAfterMs ?? config.retry.max_interval, maxPauseMs);
      await sleep(pause, undefined, { signal: closing }).catch(() => {});
    }
    return undefined;
  }

  #rest(resting: boolean): void {
    this.#resting += resting ? 1 : -1;
    this.#onRoom?.();
  }

  async #putBack(body: Buffer): Promise<boolean> {
    return this.keep([body]).then(
      () => true,
      () => false,
    );
  }

  /** Makes dead letters of the refused parts of an entry, which stays in the log until the device has taken all of them. */
  async #deadLetter(entry: Entry, refused: readonly RefusedPart[]): Promise<void> {
    for (const part of refused) if (!(await this.#deadLetterPart(part))) return;
    this.#log.done(entry);
  }

  /** Resolves to false if the close comes first. */
  async #deadLetterPart({ body, refusal }: RefusedPart): Promise<boolean> {
    const { config, hooks, letters, drops } = this.#parts;
    const closing = this.#closing.signal;
    const path = letters.path(this.#signal);
    const { code } = refusal;
    const log = (fate: string, kind: "kept" | "lost" | "held") =>
      drops.log(new Drop("refused", code, `${refusal.message}; ${fate}`), kind);
    while (!closing.aborted) {
      try {
        const kept = await letters.add(this.#signal, body);
        hooks.onDeadLetter({ signal: this.#signal, code, bytes: body.length, kept });
        if (kept) log(`kept in ${path}`, "kept");
        else log(`lost: ${path} has reached forward.queue.disk.max_dead_letter_size; move it away`, "lost");
        return true;
      } catch (error) {
        log(
          `stays in the queue: ${path} cannot be written: ${truncateLine((error as Error).message)}`,
          "held",
        );
        await sleep(config.retry.max_interval, undefined, { signal: closing }).catch(() => {});
      }
    }
    return false;
  }
}

/** The part of `queue.max_size` that one signal may hold in memory. One request is always allowed. */
function share({ queue }: ForwardConfig): number {
  return Math.floor(queue.max_size / signals.length);
}

function toDrop(error: unknown): Drop {
  if (error instanceof Drop) return error;
  return new Drop("refused", Code.INTERNAL, truncateLine(String(error)));
}
