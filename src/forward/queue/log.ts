import { mkdir, rename } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import type { Signal } from "../../otlp/protocol.ts";
import { Cursor } from "./cursor.ts";
import { frameHeader, headerSize } from "./frame.ts";
import { type Found, SegmentReader } from "./reader.ts";
import { Recent } from "./recent.ts";
import { listSegments, removeSegment, type Segment } from "./segment.ts";
import { SegmentWriter, type Sync } from "./writer.ts";

/** A file is removed when all in it is done: this much may be done and still take room. */
const maxSegmentSize = 16 * 2 ** 20;

/** The most bytes of appended bodies that stay in memory until they are taken. */
const maxRecentSize = 16 * 2 ** 20;

/** The time between writes of the cursor: what was delivered since the last one is sent twice after a crash. */
const cursorIntervalMs = 1_000;

/** Errors that pass; a segment that cannot be read for another reason is set aside. */
const passing = new Set(["EMFILE", "ENFILE", "ENOMEM", "EAGAIN", "EBUSY"]);
const unreadablePauseMs = 1_000;

/** A request in the log, taken and not done. */
export type Entry = Found;

export interface LogOptions {
  sync: Sync;
  /** The interval of `sync: interval`, in milliseconds. */
  syncInterval: number;
  /** The limit on all segments together, in bytes. */
  maxSize: number;
  /** The limit on what waits in memory to be written, in bytes. */
  maxWaiting: number;
}

export interface LogEvents {
  /** Bytes that held no whole request, such as one that was being written when the power went, or could not be read. */
  onDamage(bytes: number, path: string): void;
  /** Called for an error of work in the background, of which no caller learns otherwise. */
  onError(error: unknown): void;
}

interface Waiting {
  signal: Signal;
  body: Buffer;
  resolve(): void;
  reject(error: unknown): void;
}

/** There is no room in what the options name. */
export class LogFull extends Error {
  readonly limit: "maxSize" | "maxWaiting";

  constructor(limit: "maxSize" | "maxWaiting") {
    super(`no room in ${limit}`);
    this.limit = limit;
  }
}

function bytesBehind(segments: Segment[], position: number): number {
  return segments.reduce((sum, { start, end }) => sum + Math.max(0, end - Math.max(start, position)), 0);
}

/** What the log in a folder holds that is not done, where nobody has it open; 0 where there is none. */
export async function bytesLeft(folder: string): Promise<number> {
  const segments = await listSegments(folder).catch(() => []);
  return bytesBehind(segments, (await new Cursor(folder).read()) ?? 0);
}

/**
 * Requests on disk, in the order in which they were appended, each until it is done. Requests that wait while others are
 * written go together into the next write and its flush. For one user at a time: `next` is not called again before it settles.
 */
export class SegmentLog {
  readonly #options: LogOptions;
  readonly #events: LogEvents;
  readonly #writer: SegmentWriter;
  readonly #reader = new SegmentReader();
  /** The segments that hold undelivered bodies, in order, and the active one. */
  readonly #segments: Segment[];
  readonly #segmentSize: number;
  /** The end of what has been appended, and how far it was taken. */
  #end: number;
  #taken: number;
  /** Taken and not done, in order. */
  readonly #open = new Set<Entry>();
  #waiting: Waiting[] = [];
  #reserved = 0;
  #writing: Promise<void> | undefined;
  readonly #recent = new Recent(maxRecentSize);
  #reading: Promise<Entry | undefined> | undefined;
  #more: (() => void) | undefined;
  #removing: Promise<void> = Promise.resolve();
  readonly #closing = new AbortController();
  readonly #cursor: Cursor;
  readonly #timers: NodeJS.Timeout[];

  /** @throws {Error} if the folder cannot be used. */
  static async open(folder: string, options: LogOptions, events: LogEvents): Promise<SegmentLog> {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const cursor = new Cursor(folder);
    const segments = await listSegments(folder);
    const done = await cursor.read();
    const writer = await SegmentWriter.open(folder, options.sync);
    return new SegmentLog(options, events, writer, segments, cursor, done);
  }

  private constructor(
    options: LogOptions,
    events: LogEvents,
    writer: SegmentWriter,
    segments: Segment[],
    cursor: Cursor,
    done: number | undefined,
  ) {
    this.#options = options;
    this.#events = events;
    this.#segments = segments;
    this.#segmentSize = Math.min(maxSegmentSize, Math.ceil(options.maxSize / 8));
    this.#writer = writer;
    this.#cursor = cursor;
    this.#taken = done ?? segments[0]?.start ?? 0;
    // Beyond a cursor whose data was lost with the power, or what is appended now would count as done.
    this.#end = Math.max(this.#taken, segments.at(-1)?.end ?? 0);
    const background = (ms: number, work: () => Promise<void>) =>
      setInterval(() => void work().catch((error) => events.onError(error)), ms).unref();
    this.#timers = [
      background(cursorIntervalMs, () => this.#cursor.save(this.#done)),
      ...(options.sync === "interval" ? [background(options.syncInterval, () => this.#writer.flush())] : []),
    ];
    void this.#removeDone();
  }

  /** Bytes of the segments. */
  get size(): number {
    return this.#segments.reduce((sum, { start, end }) => sum + end - start, 0);
  }

  /** Bytes of the segments that are not done. */
  get pending(): number {
    return bytesBehind(this.#segments, this.#done);
  }

  /** Whether there is room for a request of so many bytes. */
  fits(bytes: number): boolean {
    const used = this.#idle ? 0 : this.size;
    return used + this.#reserved + headerSize + bytes <= this.#options.maxSize;
  }

  /**
   * Resolves once the request is as safe as `sync` asks.
   * @throws {LogFull} where `maxSize` or `maxWaiting` leaves no room; rejects with the device's error otherwise. Nothing is
   * kept then.
   */
  append(signal: Signal, body: Buffer): Promise<void> {
    if (!this.fits(body.length)) throw new LogFull("maxSize");
    const size = headerSize + body.length;
    if (this.#reserved > 0 && this.#reserved + size > this.#options.maxWaiting)
      throw new LogFull("maxWaiting");
    this.#reserved += size;
    return new Promise((resolve, reject) => {
      this.#waiting.push({ signal, body, resolve, reject });
      this.#writing ??= this.#write();
    });
  }

  /** The next request in order, once there is one; undefined when the log is closed. */
  async next(): Promise<Entry | undefined> {
    while (!this.#closing.signal.aborted) {
      const recent = this.#recent.take(this.#taken);
      if (recent) return this.#take(recent);
      this.#reading = this.#read();
      const entry = await this.#reading;
      if (entry) return entry;
      if (this.#taken < this.#end || this.#closing.signal.aborted) continue;
      await new Promise<void>((resolve) => {
        this.#more = resolve;
      });
    }
    return undefined;
  }

  /** The request may be forgotten. */
  done(entry: Entry): void {
    this.#open.delete(entry);
    void this.#removeDone();
  }

  /** What was taken and is not done is there again for the next process. */
  async close(): Promise<void> {
    this.#closing.abort();
    this.#more?.();
    for (const timer of this.#timers) clearInterval(timer);
    try {
      await Promise.all([this.#writing, this.#reading, this.#removing]);
      await this.#writer.close();
      await this.#reader.close();
      await this.#cursor.save(this.#done);
    } catch (error) {
      this.#events.onError(error);
    }
  }

  /** Position before which all is done. */
  get #done(): number {
    const [first] = this.#open;
    return first?.start ?? this.#taken;
  }

  get #idle(): boolean {
    return this.#done === this.#end && this.#reserved === 0;
  }

  async #write(): Promise<void> {
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0);
      const buffers = batch.flatMap(({ signal, body }) => [frameHeader(signal, body), body]);
      const size = buffers.reduce((sum, { length }) => sum + length, 0);
      try {
        await this.#makeActive(size);
        await this.#writer.append(buffers, size);
        this.#reserved -= size;
        for (const { signal, body, resolve } of batch) {
          const start = this.#end;
          this.#end += headerSize + body.length;
          this.#recent.add({ signal, body, start, end: this.#end }, this.#taken);
          resolve();
        }
        this.#more?.();
      } catch (error) {
        this.#reserved -= size;
        for (const { reject } of batch) reject(error);
      }
    }
    this.#writing = undefined;
  }

  /** Has the writer ready for so many bytes. */
  async #makeActive(size: number): Promise<void> {
    const { active } = this.#writer;
    const held = active ? active.end - active.start : 0;
    // What is done in the active segment goes where it stands in the way.
    const crowded = this.#done === this.#end && this.size + size > this.#options.maxSize;
    if (held > 0 && (held >= this.#segmentSize || crowded)) {
      await this.#writer.seal();
      await this.#removeDone();
    }
    if (this.#writer.active) return;
    const segment = await this.#writer.open(this.#end);
    if (this.#segments.at(-1)?.start === segment.start) this.#segments.pop();
    this.#segments.push(segment);
  }

  /** In one step, or what lies before it would seem to be done. */
  #take(entry: Entry): Entry {
    this.#open.add(entry);
    this.#taken = entry.end;
    return entry;
  }

  /** The next request of a segment; undefined where it has no more. Moves `#taken` past what is none. */
  async #read(): Promise<Entry | undefined> {
    const segment = this.#segments.find(({ end }) => end > this.#taken);
    if (!segment) {
      this.#taken = Math.max(this.#taken, this.#end);
      return undefined;
    }
    const from = Math.max(this.#taken, segment.start);
    // The end as it is now: what is appended meanwhile is read next.
    const { end, path } = segment;
    let entry: Entry | undefined;
    try {
      entry = await this.#reader.next({ ...segment }, from);
    } catch (error) {
      this.#events.onError(error);
      if (passing.has((error as NodeJS.ErrnoException).code ?? "")) {
        await sleep(unreadablePauseMs, undefined, { signal: this.#closing.signal }).catch(() => {});
        return undefined;
      }
      await rename(path, `${path}.unreadable`).catch((failure) => this.#events.onError(failure));
    }
    // From what was taken: a file that is missing, or was cut, leaves a gap.
    const damaged = (entry?.start ?? end) - this.#taken;
    if (damaged > 0) this.#events.onDamage(damaged, path);
    if (entry) return this.#take(entry);
    this.#taken = end;
    return undefined;
  }

  #removeDone(): Promise<void> {
    this.#removing = this.#removing.then(() => this.#removeNow());
    return this.#removing;
  }

  async #removeNow(): Promise<void> {
    for (;;) {
      const done = this.#done;
      const { active } = this.#writer;
      const [segment] = this.#segments;
      // One that starts at the end is empty, and about to be opened again under the same name.
      if (!segment || segment.end > done || segment === active || segment.start === this.#end) return;
      this.#segments.shift();
      // Before it goes, or the next start would miss it.
      await this.#cursor.save(done).catch((error) => this.#events.onError(error));
      await removeSegment(segment).catch((error) => this.#events.onError(error));
    }
  }
}
