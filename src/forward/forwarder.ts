import { RateLimitedLog } from "../base/rate-limited-log.ts";
import { truncateLine } from "../base/truncate.ts";
import type { ForwardConfig } from "../config/schema.ts";
import { Code, type PartialSuccess, type Signal } from "../otlp/protocol.ts";
import { checkForward } from "./check.ts";
import { Delivery, type Send } from "./delivery.ts";
import { countRecords, divide, isTooLarge, join } from "./divide.ts";
import { Drop, Drops, senderGone, shutDown } from "./drop.ts";
import { endpoints, Failover } from "./failover.ts";
import { Health, isGood, type LastError } from "./health.ts";
import type { ForwardHooks } from "./hooks.ts";
import { Slots } from "./slots.ts";
import { type Names, systemNames } from "./transport/names.ts";
import type { Outcome } from "./transport/transport.ts";

/** Accepts requests for the downstream. */
export interface Exporter {
  /**
   * Resolves once the request is delivered or, with `queue.storage: disk`, kept: to the downstream's partial success, if one
   * is known. `body` is an Export*ServiceRequest as protobuf; `abort` says that its sender has gone.
   * @param onRead called before that if nothing here reads the body any more; not called if it is kept, or if that is not known.
   * @throws {ExportError} the downstream's own refusal, or UNAVAILABLE with `retryAfterMs` where it may be tried again.
   */
  export(
    signal: Signal,
    body: Buffer,
    abort: AbortSignal,
    onRead?: () => void,
  ): Promise<PartialSuccess | undefined>;
  /** Whether the downstream takes requests of this signal at all. True while it does not respond. */
  takes(signal: Signal): Promise<boolean>;
  state(): ForwarderState;
  /**
   * Accepts no more requests, waits for those in memory, and gives up the rest after `deadlineMs`. Resolves to what was not
   * delivered; the senders of that have received an error.
   */
  close(deadlineMs: number): Promise<Undelivered>;
}

export interface ForwarderState {
  /** Requests that are being sent. */
  inflight: number;
  /** Requests that wait for their turn or for another attempt. */
  queued: number;
  /** The bytes of all these requests before compression, at most `queue.max_size`. */
  queuedBytes: number;
  /** The undelivered bytes on disk, including those above; 0 with `queue.storage: memory`. */
  storedBytes: number;
  /** The used part of the queue's size, from 0 to 1; with `queue.storage: disk`, that of the fullest signal's. */
  used: number;
  /** Whether requests are kept on disk now, and why not. Undefined with `queue.storage: memory`. */
  keeping: { kept: boolean; reason: string } | undefined;
  /** The downstream answered well within the last seconds. */
  healthy: boolean;
  /** Failed attempts since the last good answer. */
  consecutiveFailures: number;
  lastError: LastError | undefined;
}

export interface Undelivered {
  requests: number;
  bytes: number;
}

/** A part of a request that the downstream refused for good, with the reason that it gave. */
export interface RefusedPart {
  body: Buffer;
  refusal: Drop;
}

/** What became of a request that the downstream took, in whole or in part. */
export interface Delivered {
  partialSuccess: PartialSuccess | undefined;
  refused: RefusedPart[];
  /** Whether nothing but `refused` reads the body any more. */
  bodyRead: boolean;
}

/** A request whose parts are being delivered. */
interface Request {
  signal: Signal;
  abort: AbortSignal;
  onRest(resting: boolean): void;
  /** Bytes of the parts that the downstream has taken. */
  takenBytes: number;
  refused: RefusedPart[];
  bodyRead: boolean;
}

/** How often a request that is too large for the downstream is divided further. */
const maxHalvings = 3;

/**
 * Sends requests on to the downstream, those larger than `max_request_size` in parts, each until it is taken, refused for good or
 * given up; the sender waits for the answer and owns the data until then. Holds `queue.max_size` bytes at the most, of requests
 * as they are sent on; what the `queue.concurrency` attempts under way make of theirs (a compressed copy, a frame) comes on top.
 *
 * First attempts go out in the order of arrival. A request whose attempt failed leaves its place to others while it
 * backs off, and queues again at the end: a few that fail cannot hold up the rest.
 */
export class Forwarder implements Exporter {
  readonly #config: ForwardConfig;
  readonly #hooks: ForwardHooks;
  readonly #downstream: Failover;
  readonly #slots: Slots;
  readonly #health: Health;
  readonly #drops: Drops;
  readonly #deliveries = new Set<Delivery>();
  readonly #limitedLog = new RateLimitedLog();
  /** Requests that are held, and the bytes of their parts. */
  #held = 0;
  #bytes = 0;
  #halted = false;
  #inflight = 0;
  #closing: Promise<Undelivered> | undefined;
  readonly #undelivered: Undelivered = { requests: 0, bytes: 0 };
  #onIdle: (() => void) | undefined;

  /** @throws Error with what `checkForward` finds. */
  constructor(config: ForwardConfig, hooks: ForwardHooks, names: Names = systemNames) {
    const problems = checkForward(config);
    if (problems.length > 0) throw new Error(problems.join("\n"));
    this.#config = config;
    this.#hooks = hooks;
    this.#slots = new Slots(config.queue.concurrency);
    this.#drops = new Drops(hooks);
    this.#downstream = new Failover(config, hooks.log, names);
    this.#health = new Health((...probe) => attempt(this.#downstream.probe(...probe)), hooks.log);
  }

  async export(
    signal: Signal,
    body: Buffer,
    abort: AbortSignal,
    onRead?: () => void,
  ): Promise<PartialSuccess | undefined> {
    try {
      this.#checkRoom(body.length);
      const { partialSuccess, refused, bodyRead } = await this.deliver(signal, body, abort);
      const all = await this.#addRefused(signal, partialSuccess, refused);
      if (bodyRead) onRead?.();
      return all;
    } catch (error) {
      if (error instanceof Drop) this.#drops.report(signal, body.length, error);
      throw error;
    }
  }

  /**
   * Delivers a request for a caller that keeps what is not delivered and bounds what it hands over: a failure is not counted
   * as a drop. The parts that the downstream refused are the caller's to count or to keep.
   * @param onRest is called when the request begins to wait because the downstream asked for it, and when the wait ends.
   * @throws {Drop} if the downstream has taken nothing, or if a part can be sent again.
   */
  async deliver(
    signal: Signal,
    body: Buffer,
    abort: AbortSignal,
    onRest: (resting: boolean) => void = () => {},
  ): Promise<Delivered> {
    const start = performance.now();
    if (this.#closing) throw this.#shutDown();
    this.#held++;
    try {
      const large = body.length > this.#config.max_request_size;
      // Without a pause for the others, which are counted at once then.
      const parts = large ? await this.#divide(signal, body) : [body];
      const request: Request = { signal, abort, onRest, takenBytes: 0, refused: [], bodyRead: true };
      const partialSuccess = await this.#deliverAll(request, parts, maxHalvings);
      const { takenBytes, refused, bodyRead } = request;
      if (takenBytes === 0 && refused.length > 0) throw refused[0]!.refusal;
      const seconds = (performance.now() - start) / 1e3;
      const rejected = partialSuccess?.rejected ?? 0;
      this.#hooks.onDelivered({ signal, seconds, bytes: takenBytes, rejected });
      return { partialSuccess, refused, bodyRead };
    } catch (error) {
      if (this.#closing) {
        this.#undelivered.requests++;
        this.#undelivered.bytes += body.length;
      }
      throw error;
    } finally {
      if (--this.#held === 0) this.#onIdle?.();
    }
  }

  state(): ForwarderState {
    return {
      inflight: this.#inflight,
      queued: this.#deliveries.size - this.#inflight,
      queuedBytes: this.#bytes,
      storedBytes: 0,
      used: this.#bytes / this.#config.queue.max_size,
      keeping: undefined,
      healthy: this.#health.healthy && !this.#closing,
      consecutiveFailures: this.#health.failures,
      lastError: this.#health.lastError,
    };
  }

  async takes(signal: Signal): Promise<boolean> {
    const abort = new AbortController().signal;
    const { code } = await attempt(this.#downstream.probe(signal, this.#config.timeout, abort));
    return code !== Code.UNIMPLEMENTED && code !== Code.PERMISSION_DENIED;
  }

  /** Whether the downstream takes an empty request of any signal. */
  takesAny(): Promise<boolean> {
    return this.#health.ask();
  }

  /** Makes no more attempts; those in progress may still succeed. For a caller that keeps what is not delivered. */
  halt(): void {
    this.#halted = true;
    for (const delivery of this.#deliveries) delivery.halt(this.#shutDown());
  }

  close(deadlineMs: number): Promise<Undelivered> {
    this.#closing ??= this.#close(deadlineMs);
    return this.#closing;
  }

  async #close(deadlineMs: number): Promise<Undelivered> {
    this.#health.stop();
    if (this.#held > 0) {
      const giveUp = () => {
        this.#halted = true;
        for (const delivery of this.#deliveries) delivery.stop(this.#shutDown());
      };
      const deadline = setTimeout(giveUp, deadlineMs);
      await new Promise<void>((resolve) => {
        this.#onIdle = resolve;
      });
      clearTimeout(deadline);
    }
    this.#slots.close();
    this.#downstream.close();
    return this.#undelivered;
  }

  #checkRoom(bytes: number): void {
    const { queue, retry } = this.#config;
    if (bytes > queue.max_size) {
      throw new Drop(
        "too_large",
        Code.RESOURCE_EXHAUSTED,
        `a request of ${bytes} bytes is larger than forward.queue.max_size (${queue.max_size}); make requests smaller or raise it`,
      );
    }
    if (this.#bytes + bytes > queue.max_size) {
      throw new Drop(
        "queue_full",
        Code.UNAVAILABLE,
        `${this.#bytes} bytes wait for ${endpoints(this.#config).join(", ")}, and forward.queue.max_size (${queue.max_size}) leaves no room for ${bytes} more`,
        this.#health.failures > 0 ? retry.max_interval : retry.initial_interval,
      );
    }
  }

  /** The request counts as held meanwhile. */
  async #divide(signal: Signal, body: Buffer): Promise<Buffer[]> {
    this.#bytes += body.length;
    const parts = await divide(signal, body, this.#config.max_request_size).finally(() => {
      this.#bytes -= body.length;
    });
    this.#checkRoom(sizeOf(parts));
    return parts;
  }

  /**
   * Sends one part after the other, so that nothing is sent in vain behind a part that may be sent again: the sender, or the
   * queue, comes again with the whole request. The parts count as held until all are done.
   */
  async #deliverAll(
    request: Request,
    parts: Buffer[],
    halvings: number,
  ): Promise<PartialSuccess | undefined> {
    const bytes = sizeOf(parts);
    this.#bytes += bytes;
    try {
      let all: PartialSuccess | undefined;
      for (const part of parts) {
        if (this.#halted) throw this.#shutDown();
        all = join(all, await this.#deliverPart(request, part, halvings));
      }
      return all;
    } finally {
      this.#bytes -= bytes;
    }
  }

  /**
   * A downstream that takes less than `max_request_size` may take the halves. A part that is itself at fault is set aside, and
   * the others go on: they cannot be taken back.
   */
  async #deliverPart(request: Request, body: Buffer, halvings: number): Promise<PartialSuccess | undefined> {
    const { signal } = request;
    if (body.length > this.#config.max_request_size) this.#tellOversize(signal, body.length);
    try {
      const partialSuccess = await this.#deliverOne(request, body);
      request.takenBytes += body.length;
      return partialSuccess;
    } catch (error) {
      if (!(error instanceof Drop) || error.reason !== "refused" || !isGood(error)) throw error;
      if (halvings > 0 && isTooLarge(error)) {
        const halves = await divide(signal, body, Math.ceil(body.length / 2));
        if (halves.length > 1) return this.#deliverAll(request, halves, halvings - 1);
      }
      request.refused.push({ body, refusal: error });
      return undefined;
    }
  }

  /** Adds the records of refused parts to what the downstream itself rejected, and counts them. */
  async #addRefused(
    signal: Signal,
    partialSuccess: PartialSuccess | undefined,
    refused: readonly RefusedPart[],
  ): Promise<PartialSuccess | undefined> {
    let all = partialSuccess;
    for (const { body, refusal } of refused) {
      const rejected = await countRecords(signal, body);
      this.#hooks.onRefusedPart({ signal, records: rejected });
      this.#drops.log(refusal, "refused part");
      all = join(all, { rejected, message: refusal.message });
    }
    return all;
  }

  #tellOversize(signal: Signal, bytes: number): void {
    this.#hooks.onOversize({ signal, bytes });
    this.#limitedLog.write("oversize", (requests) =>
      this.#hooks.log.warn(
        { signal, bytes, requests },
        "forward: a request is larger than forward.max_request_size and cannot be divided; the downstream may reject it. Let the sender make smaller records, or raise both limits",
      ),
    );
  }

  async #deliverOne(request: Request, body: Buffer): Promise<PartialSuccess | undefined> {
    const { signal, abort, onRest } = request;
    const send: Send = (...attempt) => this.#send(...attempt);
    const delivery = new Delivery(signal, body, this.#config, this.#slots, send, onRest);
    const onAbort = () => delivery.stop(senderGone());
    abort.addEventListener("abort", onAbort, { once: true });
    if (abort.aborted) onAbort();
    this.#deliveries.add(delivery);
    try {
      return await delivery.run();
    } finally {
      abort.removeEventListener("abort", onAbort);
      this.#deliveries.delete(delivery);
      request.bodyRead &&= delivery.bodyRead;
    }
  }

  async #send(signal: Signal, body: Buffer, abort: AbortSignal): Promise<Outcome> {
    const start = performance.now();
    this.#inflight++;
    const outcome = await attempt(this.#downstream.send(signal, body, this.#config.timeout, abort));
    this.#inflight--;
    if (!abort.aborted) this.#health.record(outcome);
    const seconds = (performance.now() - start) / 1e3;
    this.#hooks.onAttempt({ signal, code: outcome.code, seconds, bytes: body.length });
    return outcome;
  }

  #shutDown(): Drop {
    return shutDown(this.#config);
  }
}

function sizeOf(parts: readonly Buffer[]): number {
  return parts.reduce((sum, { length }) => sum + length, 0);
}

/** What is at fault here is an outcome as well. */
async function attempt(sending: Promise<Outcome>): Promise<Outcome> {
  try {
    return await sending;
  } catch (error) {
    return { code: Code.INTERNAL, message: `INTERNAL: cannot send: ${truncateLine(String(error))}` };
  }
}
