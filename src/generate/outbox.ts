/** Collects encoded records until they are sent, and puts requests together from them. */
import type { Signal } from "../otlp/protocol.ts";
import type { Batch } from "./batch.ts";
import { encodeRequest, type Part } from "./wire.ts";

export class Outbox {
  readonly #waiting: Map<Signal, { records: number; parts: Map<Uint8Array, Part> }>;
  readonly #recordsPerRequest: number;

  constructor(signals: readonly Signal[], recordsPerRequest: number) {
    this.#waiting = new Map(signals.map((signal) => [signal, { records: 0, parts: new Map() }]));
    this.#recordsPerRequest = recordsPerRequest;
  }

  has(signal: Signal): boolean {
    return this.#waiting.has(signal);
  }

  /** @param resource the encoded resource, the same object for the same resource */
  add(signal: Signal, resource: Uint8Array, scope: string, record: Uint8Array): void {
    const waiting = this.#waiting.get(signal)!;
    const part = waiting.parts.get(resource);
    if (part) part.records.push(record);
    else waiting.parts.set(resource, { resource, scope, records: [record] });
    waiting.records++;
  }

  /** Yields the requests of the signals for which enough records wait. */
  *full(time: number): Generator<Batch, void> {
    for (const [signal, { records }] of this.#waiting)
      if (records >= this.#recordsPerRequest) yield* this.#take(signal, time);
  }

  /** Yields everything that waits. */
  *all(time: number): Generator<Batch, void> {
    for (const signal of this.#waiting.keys()) yield* this.#take(signal, time);
  }

  *#take(signal: Signal, time: number): Generator<Batch, void> {
    const waiting = this.#waiting.get(signal)!;
    let parts: Part[] = [];
    let records = 0;
    for (const { resource, scope, records: own } of waiting.parts.values()) {
      for (let at = 0; at < own.length; ) {
        const some = own.slice(at, at + this.#recordsPerRequest - records);
        parts.push({ resource, scope, records: some });
        at += some.length;
        records += some.length;
        if (records < this.#recordsPerRequest) continue;
        yield { signal, time, records, body: encodeRequest(parts) };
        parts = [];
        records = 0;
      }
    }
    if (records > 0) yield { signal, time, records, body: encodeRequest(parts) };
    waiting.parts.clear();
    waiting.records = 0;
  }
}
