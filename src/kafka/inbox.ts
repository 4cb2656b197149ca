/** The records of one partition that were fetched and wait for their turn. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Fetched, LogRecord } from "./client.ts";

/** What may wait. A fetch may exceed it by its own bound. */
const maxWaiting = 2 * 2 ** 20;

const sizeOf = ({ value }: LogRecord) => (value?.length ?? 0) + 64;

export class Inbox {
  #waiting: LogRecord[] = [];
  #bytes = 0;
  #position: bigint | undefined;
  /** The offset after the last record that was taken, and that of the next record in the log that nobody has committed. */
  #taken = 0n;
  #end = 0n;
  #cutAt: { wanted: bigint; start: bigint } | undefined;
  readonly #stopping = new AbortController();
  #wake: () => void = () => {};

  /** Takes records from an offset on. Before, and after `stop`, it wants none. */
  open(position: bigint): void {
    this.#position = position;
  }

  /** Takes no more records, and has `gather` return none. */
  stop(): void {
    this.#position = undefined;
    this.#stopping.abort();
    this.#wake();
  }

  get stopped(): boolean {
    return this.#stopping.signal.aborted;
  }

  /** The offset to fetch from next; undefined if no records are wanted now. */
  get wants(): bigint | undefined {
    return this.#bytes < maxWaiting ? this.#position : undefined;
  }

  /** Takes what was fetched from an offset. */
  push(from: bigint, { records, next, end }: Fetched): void {
    if (from !== this.#position) return;
    this.#position = next;
    this.#end = end;
    this.#taken = (records.at(-1)?.offset ?? this.#taken - 1n) + 1n;
    for (const record of records) {
      this.#waiting.push(record);
      this.#bytes += sizeOf(record);
    }
    this.#wake();
  }

  /** Returns how many offsets of the log follow `doneTo`, as of the last fetch. Those of markers after the last record do not count. */
  lag(doneTo: bigint): number {
    const from = doneTo < this.#taken ? doneTo : (this.#position ?? this.#end);
    return this.#end > from ? Number(this.#end - from) : 0;
  }

  /** Says where the log begins, which may be after what is wanted next. */
  startsAt(start: bigint): void {
    if (this.#position === undefined || this.#position >= start) return;
    this.#cutAt = { wanted: this.#position, start };
    this.#wake();
  }

  /**
   * Resolves to records in their order, about `bytes` of them: those that came within `ms` after the first one. Resolves to none once
   * stopped.
   * @throws {Cut} if the log begins after what comes next.
   */
  async gather(ms: number, bytes: number): Promise<LogRecord[]> {
    const { signal } = this.#stopping;
    while (this.#waiting.length === 0 && this.#cutAt === undefined && !signal.aborted) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    if (this.#waiting.length === 0 && this.#cutAt !== undefined) throw new Cut(this.#cutAt);
    if (this.#bytes < bytes && ms > 0) await sleep(ms, undefined, { signal }).catch(() => {});
    if (signal.aborted) return [];
    let size = 0;
    let count = 0;
    while (count < this.#waiting.length && size < bytes) size += sizeOf(this.#waiting[count++]!);
    this.#bytes -= size;
    return this.#waiting.splice(0, count);
  }
}

/** The brokers have deleted what comes next. */
export class Cut extends Error {
  readonly wanted: bigint;
  readonly start: bigint;

  constructor({ wanted, start }: { wanted: bigint; start: bigint }) {
    super(
      `the topic begins at offset ${start}, and ${wanted} comes next: the brokers deleted what lies between`,
    );
    this.wanted = wanted;
    this.start = start;
  }
}
