import { closeSync, writeSync } from "node:fs";
import type { AffectedTurn } from "../../generate/agents/agent-telemetry.ts";
import type { AgentCause, AgentFault, AgentFaultName } from "../../generate/agents/fault.ts";
import { type AnomalyName, anomalyKinds, type Schedule } from "../../generate/anomalies.ts";
import type { ShopBatch } from "../../generate/shop-telemetry.ts";
import type { Cause, Fault, FaultName } from "../../generate/topology/fault.ts";
import { faultKinds } from "../../generate/topology/fault-kinds.ts";
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

/** A fault of a topology, written when it begins. */
export interface FaultTruth {
  id: string;
  kind: FaultName;
  cause: Cause;
  /** The services in whose telemetry it shows, the cause first. */
  services: string[];
  /** The signals in which it shows, of those that are sent. */
  signals: Signal[];
  /** Stream time in ISO 8601; the end is exclusive. */
  start: string;
  end: string;
}

/** A fault of an agent, written when it begins. */
export interface AgentFaultTruth {
  id: string;
  kind: AgentFaultName;
  cause: AgentCause;
  signals: readonly Signal[];
  /** Stream time in ISO 8601; the end is exclusive. */
  start: string;
  end: string;
}

/** A turn that a fault of an agent affects. */
export interface AffectedTruth {
  /** The id of the fault. */
  fault: string;
  /** The value of `gen_ai.conversation.id`. */
  conversation: string;
  /** The trace of the turn, in hexadecimal digits. */
  trace: string;
  /** Stream time in ISO 8601. */
  time: string;
}

/** Writes what was injected into a file beside the data, as one JSON object per line, so that the data tells nothing of it. */
export class Truth {
  readonly #fd: number;
  readonly #start: number;
  readonly #signals: readonly Signal[];
  readonly #records = new Map<Signal, number>();

  /** @throws {Error} that names the file, if it cannot be written. */
  constructor(path: string, startUnixNano: bigint, signals: readonly Signal[]) {
    this.#fd = open("--truth", path);
    this.#start = Number(startUnixNano / 1_000_000n);
    this.#signals = signals;
  }

  begin({ name, start, end }: Schedule): void {
    const { service, signals } = anomalyKinds[name];
    this.#write([
      { kind: name, service, signals: this.#sent(signals), start: this.#time(start), end: this.#time(end) },
    ]);
  }

  fault({ id, kind, cause, services, start, end }: Fault): void {
    const signals = this.#sent(faultKinds[kind].signals);
    this.#write([{ id, kind, cause, services, signals, start: this.#time(start), end: this.#time(end) }]);
  }

  agentFault({ id, kind, cause, start, end }: AgentFault): void {
    this.#write([
      { id, kind, cause, signals: this.#signals, start: this.#time(start), end: this.#time(end) },
    ]);
  }

  affected({ fault, conversation, trace, time }: AffectedTurn): void {
    this.#write([{ fault, conversation, trace, time: this.#time(time) }]);
  }

  /** Passes batches on, and writes which of their records belong to anomalies. */
  *about(batches: Iterable<ShopBatch>): Generator<ShopBatch> {
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

  #sent(signals: readonly Signal[]): Signal[] {
    return signals.filter((signal) => this.#signals.includes(signal));
  }

  #time(ms: number): string {
    return new Date(this.#start + Math.floor(ms)).toISOString();
  }

  #write(lines: (AnomalyTruth | FaultTruth | AgentFaultTruth | AffectedTruth | RecordTruth)[]): void {
    if (lines.length > 0) writeSync(this.#fd, lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
  }
}
