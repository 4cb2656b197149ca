import { closeSync, writeSync } from "node:fs";
import { type AnomalyName, anomalyKinds, type Schedule } from "../../generate/anomalies.ts";
import type { Batch, ShopOptions } from "../../generate/shop-telemetry.ts";
import type { Signal } from "../../otlp/protocol.ts";
import { open } from "./files.ts";

/** An anomaly, written when it begins. */
export interface AnomalyTruth {
  kind: AnomalyName;
  service: string;
  /** The signals in which it is visible, of those that are sent. */
  signals: Signal[];
  /** Stream time in ISO 8601; the end is exclusive. */
  start: string;
  end: string;
}

/** A record that belongs to an anomaly. */
export interface RecordTruth {
  kind: AnomalyName;
  signal: Signal;
  /** Its index among the records of its signal, in wire order. */
  record: number;
}

/** Writes what was injected into a file beside the data, as one JSON object per line, so that the data tells nothing of it. */
export class Truth {
  readonly #fd: number;
  readonly #start: number;
  readonly #signals: readonly Signal[];
  readonly #records = new Map<Signal, number>();

  /** @throws {Error} that names the file, if it cannot be written. */
  constructor(path: string, { startUnixNano, signals }: Pick<ShopOptions, "startUnixNano" | "signals">) {
    this.#fd = open("--truth", path);
    this.#start = Number(startUnixNano / 1_000_000n);
    this.#signals = signals;
  }

  begin({ name, start, end }: Schedule): void {
    const { service, signals } = anomalyKinds[name];
    const time = (ms: number) => new Date(this.#start + ms).toISOString();
    this.#write([
      {
        kind: name,
        service,
        signals: signals.filter((signal) => this.#signals.includes(signal)),
        start: time(start),
        end: time(end),
      },
    ]);
  }

  /** Passes batches on, and writes which of their records belong to anomalies. */
  *about(batches: Iterable<Batch>): Generator<Batch> {
    for (const batch of batches) {
      const { signal, truths } = batch;
      const first = this.#records.get(signal) ?? 0;
      this.#records.set(signal, first + truths.length);
      this.#write(truths.flatMap((kind, i) => (kind ? [{ kind, signal, record: first + i }] : [])));
      yield batch;
    }
  }

  close(): void {
    closeSync(this.#fd);
  }

  #write(lines: (AnomalyTruth | RecordTruth)[]): void {
    if (lines.length > 0) writeSync(this.#fd, lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
  }
}
