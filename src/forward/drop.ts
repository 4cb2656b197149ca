import { RateLimitedLog } from "../base/rate-limited-log.ts";
import type { ForwardConfig } from "../config/schema.ts";
import { Code, ExportError, type Signal } from "../otlp/protocol.ts";
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

/** Counts drops, and logs them, though not each. */
export class Drops {
  readonly #hooks: ForwardHooks;
  readonly #quiet = new RateLimitedLog();

  constructor(hooks: ForwardHooks) {
    this.#hooks = hooks;
  }

  report(signal: Signal, bytes: number, drop: Drop): void {
    const { reason, code } = drop;
    this.#hooks.onDrop({ signal, reason, code, bytes });
    this.log(drop);
  }

  /** @param kind of few: its reason, or what became of it. */
  log({ reason, code, message }: Drop, kind: string = reason): void {
    this.#quiet.say(kind, (requests) =>
      this.#hooks.log.warn({ reason, code, requests }, `forward: not delivered: ${message}`),
    );
  }
}
