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

/** Whatever wait the downstream asks for: it may have asked in error, and others may want to be tried. */
const maxPauseMs = 60_000;

/** Whether a device that failed works again is seen by the next request alone: for so long its failure stands. */
const failureStandsMs = 10_000;

/** Requests that wait because the downstream asked for it, beside which others are taken from the queue. */
const maxResting = 1_000;

/** Requests that were refused for good while the device did not take them as dead letters. */
const maxUnburied = 1_000;

/** What the lanes share. */
export interface LaneParts {
  config: ForwardConfig;
  hooks: DurableHooks;
  forwarder: Forwarder;
  letters: DeadLetters;
  drops: Drops;
}

/**
 * One signal's requests on disk, and their delivery in order. A signal that the downstream does not take for the moment holds
 * up no other.
 *
 * At most `queue.concurrency` are taken from the queue at once, so that with 1 the order is strict; with more, those that wait
 * because the downstream asked for it do not count. One that the downstream
 * refuses for good becomes a dead letter, unless it refuses an empty one as well: that is no request's fault, nor are refused
 * credentials, and what they hold up stays in the queue. One that it does not take within `retry.max_elapsed_time`, though it
 * takes others, goes to the queue's end.
 */
export class Lane {
  readonly #signal: Signal;
  readonly #parts: LaneParts;
  readonly #log: SegmentLog;
  readonly #closing = new AbortController();
  readonly #draining: Promise<void>;
  /** Taken from the log, and not done with. */
  readonly #carried = new Set<Promise<void>>();
  #carriedBytes = 0;
  #resting = 0;
  #unburied = 0;
  #onRoom: (() => void) | undefined;
  #burials: Promise<void> = Promise.resolve();
  #delivered = 0;
  /** The last request that could not be kept. */
  #refused: { bytes: number; drop: Drop; at: number } | undefined;

  /** @param folder of all lanes. @throws {Error} where it cannot be used. */
  static async open(signal: Signal, folder: string, parts: LaneParts): Promise<Lane> {
    const { hooks } = parts;
    const { disk } = parts.config.queue;
    const options = {
      sync: disk.sync,
      syncInterval: disk.sync_interval,
      maxSize: disk.max_size,
      maxWaiting: share(parts.config),
    };
    const quiet = new RateLimitedLog();
    const log = await SegmentLog.open(join(folder, signal), options, {
      onDamage(bytes, path) {
        hooks.onDamage({ bytes });
        hooks.log.warn({ path, bytes }, "forward.queue: skipped bytes that hold no whole request");
      },
      onError(err) {
        const { code } = err as NodeJS.ErrnoException;
        quiet.say(String(code), (times) => hooks.log.error({ err, times }, "forward.queue: the disk failed"));
      },
    });
    return new Lane(signal, parts, log);
  }

  private constructor(signal: Signal, parts: LaneParts, log: SegmentLog) {
    this.#signal = signal;
    this.#parts = parts;
    this.#log = log;
    this.#draining = this.#drain();
  }

  /** Bytes on disk that are not done with. */
  get pending(): number {
    return this.#log.pending;
  }

  /** Why requests are not kept now; undefined where they are, as far as it is known. */
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
    const delivering = this.#carried.size - this.#unburied - resting;
    if (delivering >= concurrency || this.#unburied >= maxUnburied) return false;
    return this.#carriedBytes === 0 || this.#carriedBytes + bytes <= share(this.#parts.config);
  }

  async #carry(entry: Entry): Promise<void> {
    this.#carriedBytes += entry.body.length;
    const refused = await this.#deliver(entry);
    if (refused?.length === 0) this.#log.done(entry);
    else if (refused !== undefined) {
      // Other entries are delivered meanwhile.
      this.#unburied++;
      this.#onRoom?.();
      this.#burials = this.#burials.then(() => this.#bury(entry, refused));
      await this.#burials;
      this.#unburied--;
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
  async #bury(entry: Entry, refused: readonly RefusedPart[]): Promise<void> {
    for (const part of refused) if (!(await this.#buryPart(part))) return;
    this.#log.done(entry);
  }

  /** Resolves to false if the close comes first. */
  async #buryPart({ body, refusal }: RefusedPart): Promise<boolean> {
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

/** Of `queue.max_size`, what one signal may hold in memory; one request always. */
function share({ queue }: ForwardConfig): number {
  return Math.floor(queue.max_size / signals.length);
}

function toDrop(error: unknown): Drop {
  if (error instanceof Drop) return error;
  return new Drop("refused", Code.INTERNAL, truncateLine(String(error)));
}
