import type { Logger } from "pino";
import type { ReceiveConfig } from "../config/schema.ts";
import { Code, type Consumer, ExportError, type PartialSuccess, type Signal } from "../otlp.ts";
import { Admission, type Permit } from "./admission.ts";
import type { ReceiveHooks, Transport } from "./hooks.ts";

/** A request's body, read and decompressed. */
export interface Received {
  body: Buffer;
  wireBytes: number;
}

/** An Export call as a protocol presents it. */
export interface Call {
  signal: Signal;
  transport: Transport;
  header(name: string): string | string[] | undefined;
  /** Aborted with the ExportError to report when the sender is gone or its deadline has passed. */
  abort: AbortSignal;
  /** Reads the body; called once the request is admitted. */
  receive(permit: Permit): Promise<Received>;
}

/** The way of every request, whatever the protocol: tenant, admission, body, consumer. */
export class Intake {
  readonly admission: Admission;
  readonly #tenantHeader: string | undefined;
  readonly #consumer: Consumer;
  readonly #hooks: ReceiveHooks;

  constructor(config: ReceiveConfig, consumer: Consumer, hooks: ReceiveHooks) {
    this.admission = new Admission(config.limits);
    this.#tenantHeader = config.tenant_header;
    this.#consumer = consumer;
    this.#hooks = hooks;
  }

  /** @throws {ExportError} and nothing else. */
  async take(call: Call): Promise<PartialSuccess | undefined> {
    const start = performance.now();
    let permit: Permit | undefined;
    let received: Received | undefined;
    let code: Code = Code.OK;
    try {
      const tenant = this.#tenant(call);
      permit = this.admission.admit();
      received = await call.receive(permit);
      call.abort.throwIfAborted();
      return await this.#consumer({ signal: call.signal, tenant, body: received.body, abort: call.abort });
    } catch (cause) {
      // Once the sender is gone, what went wrong behind it is a consequence.
      const error = asExportError(call.abort.aborted ? call.abort.reason : cause, this.#hooks.log);
      code = error.code;
      throw error;
    } finally {
      permit?.release();
      this.#hooks.onRequest({
        signal: call.signal,
        transport: call.transport,
        code,
        wireBytes: received?.wireBytes ?? 0,
        bytes: received?.body.length ?? 0,
        seconds: (performance.now() - start) / 1_000,
      });
    }
  }

  #tenant(call: Call): string {
    if (this.#tenantHeader === undefined) return "default";
    const value = call.header(this.#tenantHeader);
    if (value === undefined) return "default";
    if (typeof value === "string" && /^[A-Za-z0-9._-]{1,64}$/.test(value)) return value;
    throw new ExportError(
      Code.INVALID_ARGUMENT,
      `header ${this.#tenantHeader}: the tenant must be one value of 1 to 64 letters, digits, dots, underscores or hyphens`,
    );
  }
}

/** Errors that nobody meant for the sender are logged, and told to it as no more than that. */
function asExportError(error: unknown, log: Logger): ExportError {
  if (error instanceof ExportError) return error;
  log.error({ err: error }, "an export request failed unexpectedly");
  return new ExportError(Code.INTERNAL, "internal error", undefined, { cause: error });
}
