import type { BaseLogger } from "pino";
import { type Code, ExportError } from "../otlp.ts";
import type { DropReason } from "./hooks.ts";

/** A request that was not delivered, as its sender is told. */
export class Drop extends ExportError {
  readonly reason: DropReason;

  constructor(reason: DropReason, code: Code, message: string, retryAfterMs?: number) {
    super(code, message, retryAfterMs);
    this.reason = reason;
  }
}

const quietMs = 10_000;

/** Logs drops, one line a reason and 10 s however many there are; the line says how many it stands for. */
export class DropLog {
  readonly #log: BaseLogger;
  readonly #reasons = new Map<DropReason, { quietUntil: number; unsaid: number }>();

  constructor(log: BaseLogger) {
    this.#log = log;
  }

  report({ reason, code, message }: Drop): void {
    const now = performance.now();
    const seen = this.#reasons.get(reason) ?? { quietUntil: 0, unsaid: 0 };
    this.#reasons.set(reason, seen);
    seen.unsaid++;
    if (now < seen.quietUntil) return;
    this.#log.warn({ reason, code, requests: seen.unsaid }, `forward: not delivered: ${message}`);
    seen.quietUntil = now + quietMs;
    seen.unsaid = 0;
  }
}
