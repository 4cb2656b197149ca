import type { ForwardConfig } from "../config/schema.ts";
import { Code, ExportError, type Signal } from "../otlp.ts";
import type { DropReason, ForwardHooks } from "./hooks.ts";

/** A request that was not delivered, as its sender is told. */
export class Drop extends ExportError {
  readonly reason: DropReason;

  constructor(
    reason: DropReason,
    code: Code,
    message: string,
    retryAfterMs?: number,
    options?: ErrorOptions,
  ) {
    super(code, message, retryAfterMs, options);
    this.reason = reason;
  }
}

export function senderGone(): Drop {
  return new Drop("cancelled", Code.CANCELLED, "the sender gave up before the downstream had answered");
}

export function shutDown({ retry }: ForwardConfig): Drop {
  const message = "Driftlock shuts down; send again once it is back";
  return new Drop("shutdown", Code.UNAVAILABLE, message, retry.max_interval);
}

const quietMs = 10_000;

/** Counts drops, and logs one line a reason and 10 s however many there are; the line says how many it stands for. */
export class Drops {
  readonly #hooks: ForwardHooks;
  readonly #reasons = new Map<DropReason, { quietUntil: number; unsaid: number }>();

  constructor(hooks: ForwardHooks) {
    this.#hooks = hooks;
  }

  report(signal: Signal, bytes: number, drop: Drop): void {
    const { reason, code } = drop;
    this.#hooks.onDrop({ signal, reason, code, bytes });
    this.log(drop);
  }

  log({ reason, code, message }: Drop): void {
    const now = performance.now();
    const seen = this.#reasons.get(reason) ?? { quietUntil: 0, unsaid: 0 };
    this.#reasons.set(reason, seen);
    seen.unsaid++;
    if (now < seen.quietUntil) return;
    this.#hooks.log.warn({ reason, code, requests: seen.unsaid }, `forward: not delivered: ${message}`);
    seen.quietUntil = now + quietMs;
    seen.unsaid = 0;
  }
}
