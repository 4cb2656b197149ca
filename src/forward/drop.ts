import { RateLimitedLog } from "../base/rate-limited-log.ts";
import type { ForwardConfig } from "../config/schema.ts";
import { Code, ExportError, type Signal } from "../otlp/protocol.ts";
import type { DropReason, ForwardHooks } from "./hooks.ts";

/** The error that the sender of an undelivered request receives. */
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

/** Counts all drops, and logs them at a limited rate. */
export class Drops {
  readonly #hooks: ForwardHooks;
  readonly #limitedLog = new RateLimitedLog();

  constructor(hooks: ForwardHooks) {
    this.#hooks = hooks;
  }

  report(signal: Signal, bytes: number, drop: Drop): void {
    const { reason, code } = drop;
    this.#hooks.onDrop({ signal, reason, code, bytes });
    this.log(drop);
  }

  /** @param kind the reason of the drop or what became of it; the rate is limited for each kind. */
  log({ reason, code, message }: Drop, kind: string = reason): void {
    this.#limitedLog.write(kind, (requests) =>
      this.#hooks.log.warn({ reason, code, requests }, `forward: not delivered: ${message}`),
    );
  }
}
