/** What an engine has learned, as records: a checkpoint on its way out of the engine, and back into one. */
import type { NativeEngine } from "../native.ts";

/** A part of what an engine has learned. The latest record of each key, in any order, is all of it. */
export interface StateRecord {
  /** At most 65,545 bytes. */
  readonly key: Buffer;
  /** Usually some kilobytes, at most some more than 8 MiB; null if the key was removed. */
  readonly value: Buffer | null;
}

/** Whether an engine was restored. If it was refused, `reason` says why, for people, and the engine is as new. */
export type Restored = { kind: "restored" } | { kind: "refused"; reason: string };

/** A record's bytes are the lengths of its key and value, as 32 bits with the lowest first, then both. */
const lengths = 8;
const removed = 0xffffffff;
/** More than any record has. */
const largestRecord = 16 * 2 ** 20;
/** Pieces of this size keep the threads of an engine busy. */
const pieceSize = 2 ** 20;

/** Returns the length of the record at a place; undefined if its end is beyond the bytes, Infinity if there is no such record. */
function lengthAt(bytes: Buffer, at: number): number | undefined {
  if (bytes.length - at < lengths) return undefined;
  const value = bytes.readUInt32LE(at + 4);
  const length = lengths + bytes.readUInt32LE(at) + (value === removed ? 0 : value);
  if (length > largestRecord) return Number.POSITIVE_INFINITY;
  return length <= bytes.length - at ? length : undefined;
}

/** Returns the records of a piece that the engine made. */
export function recordsOf(piece: Buffer): StateRecord[] {
  const records: StateRecord[] = [];
  for (let at = 0; at < piece.length; ) {
    const end = at + (lengthAt(piece, at) ?? 0);
    const valueAt = at + lengths + piece.readUInt32LE(at);
    const value = piece.readUInt32LE(at + 4) === removed ? null : piece.subarray(valueAt, end);
    records.push({ key: piece.subarray(at + lengths, valueAt), value });
    at = end;
  }
  return records;
}

function bytesOf(records: Iterable<StateRecord>): Buffer {
  const parts: Buffer[] = [];
  for (const { key, value } of records) {
    const head = Buffer.alloc(lengths);
    head.writeUInt32LE(key.length, 0);
    head.writeUInt32LE(value === null ? removed : value.length, 4);
    parts.push(head, key);
    if (value !== null) parts.push(value);
  }
  return Buffer.concat(parts);
}

/** Turns records into pieces for `restore`. */
export async function* piecesOf(
  records: AsyncIterable<Iterable<StateRecord>> | Iterable<Iterable<StateRecord>>,
): AsyncGenerator<Buffer> {
  for await (const some of records) yield bytesOf(some);
}

/** Divides bytes, which arrive in parts of any size, into pieces of whole records. What is no record comes as it is. */
export async function* wholeRecords(parts: AsyncIterable<Buffer> | Iterable<Buffer>): AsyncGenerator<Buffer> {
  let rest: Buffer = Buffer.alloc(0);
  for await (const part of parts) {
    const bytes = rest.length === 0 ? part : Buffer.concat([rest, part]);
    let begin = 0;
    let at = 0;
    for (let length = lengthAt(bytes, at); length !== undefined; length = lengthAt(bytes, at)) {
      at = Math.min(bytes.length, at + length);
      if (at - begin < pieceSize) continue;
      yield bytes.subarray(begin, at);
      begin = at;
    }
    if (at > begin) yield bytes.subarray(begin, at);
    rest = bytes.subarray(at);
  }
  if (rest.length > 0) yield rest;
}

/** Restores an engine from pieces of whole records. */
export async function restore(
  engine: NativeEngine,
  pieces: AsyncIterable<Uint8Array>,
  tracks: boolean,
): Promise<Restored> {
  let reason: string;
  try {
    for await (const piece of pieces) await engine.restore(piece);
  } finally {
    // If there are no more pieces, this leaves the engine as new.
    reason = await engine.completeRestore(tracks);
  }
  return reason === "" ? { kind: "restored" } : { kind: "refused", reason };
}

/** The pieces of a checkpoint, which begins when this is constructed. To end early, return from it. */
export class CheckpointPieces implements AsyncIterableIterator<Buffer> {
  readonly #engine: NativeEngine;
  readonly #begun: Promise<void>;
  readonly #ended = Promise.withResolvers<void>();
  #over = false;
  #complete = false;

  /** @param earlier after which it begins; undefined to begin at once. */
  constructor(engine: NativeEngine, of: "changes" | "all" | "copy", earlier: CheckpointPieces | undefined) {
    this.#engine = engine;
    this.#begun = earlier ? earlier.ended.then(() => engine.checkpoint(of)) : engine.checkpoint(of);
    // Whoever reads it is told.
    this.#begun.catch(() => undefined);
  }

  /** Resolves once nothing more is read. */
  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  /** Whether everything was read. */
  get complete(): boolean {
    return this.#complete;
  }

  async next(): Promise<IteratorResult<Buffer>> {
    if (this.#over) return { done: true, value: undefined };
    try {
      await this.#begun;
      const value = await this.#engine.checkpointPiece();
      if (value.length > 0) return { done: false, value };
      this.#complete = true;
    } catch (error) {
      await this.return().catch(() => undefined);
      throw error;
    }
    return this.return();
  }

  async return(): Promise<IteratorResult<Buffer>> {
    if (!this.#over) {
      this.#over = true;
      try {
        await this.#begun;
        await this.#engine.endCheckpoint();
      } finally {
        this.#ended.resolve();
      }
    }
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}
