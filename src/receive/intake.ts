import type { Logger } from "pino";
import type { ReceiveConfig } from "../config/schema.ts";
import { Code, type Consumer, ExportError, type PartialSuccess, type Signal } from "../otlp/protocol.ts";
import { Admission, type Permit } from "./admission.ts";
import type { ReceiveHooks, RequestEvent } from "./hooks.ts";

/** A request's body, read and decompressed. */
export interface Received {
  body: Buffer;
  wireBytes: number;
}

/** What is known about a sender before its body is read. */
export interface Sender {
  header(name: string): string | string[] | undefined;
  /** IP address of the connection's other end. */
  peer: string | undefined;
  /** The secret of a browser's session, which only the API accepts. */
  session?: string | undefined;
}

/**
 * Finds the tenant that a request belongs to.
 * @throws {ExportError} if the sender is unknown, may not send, or exceeds its limits.
 */
export type Authenticate = (sender: Sender) => Promise<string>;

/** An Export call as a protocol presents it. */
export interface Call extends Sender {
  signal: Signal;
  transport: RequestEvent["transport"];
  /** Set if the sender has already been authenticated. */
  tenant?: string;
  /** Aborted with the ExportError to report when the sender is gone or its deadline has passed. */
  abort: AbortSignal;
  /**
   * Reads the body. It is called as soon as there is room for the request: what arrives meanwhile is counted, and joined. The
   * promise `admitted` resolves once the sender may send; nothing else is done with the body before.
   */
  receive(permit: Permit, admitted: Promise<unknown>): Promise<Received>;
}

/** The delay that senders are asked for during shutdown. By then another process may have taken over. */
const shutdownRetryMs = 1_000;

/** Processes every request, whatever its protocol: admission, tenant, body, consumer. */
export class Intake {
  readonly admission: Admission;
  readonly #authenticate: Authenticate;
  readonly #consumer: Consumer;
  readonly #hooks: ReceiveHooks;
  #closing = false;

  constructor(config: ReceiveConfig, authenticate: Authenticate, consumer: Consumer, hooks: ReceiveHooks) {
    this.admission = new Admission(config.limits, (reason) => hooks.onRequestCut(reason));
    this.#authenticate = authenticate;
    this.#consumer = consumer;
    this.#hooks = hooks;
  }

  /** Accepts no more calls. Resolves when those in progress have been answered. */
  close(): Promise<void> {
    this.#closing = true;
    return this.admission.idle();
  }

  /** @throws {ExportError} and nothing else. */
  async take(call: Call): Promise<PartialSuccess | undefined> {
    const start = performance.now();
    let permit: Permit | undefined;
    const count = (bytes: number) => permit?.add(bytes);
    let received: Received | undefined;
    let released = false;
    let code: Code = Code.OK;
    try {
      if (this.#closing) throw new ExportError(Code.UNAVAILABLE, "shutting down", shutdownRetryMs);
      permit = this.admission.admit(call.peer);
      const admitted = this.#admit(call, permit);
      const receiving = call.receive(permit, admitted);
      receiving.catch(() => {});
      const tenant = await admitted;
      received = await receiving;
      call.abort.throwIfAborted();
      return await this.#consumer({
        signal: call.signal,
        tenant,
        body: received.body,
        abort: call.abort,
        count,
        release: () => {
          released = true;
        },
      });
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
      if (released) giveBack(received!.body);
    }
  }

  async #admit(call: Call, permit: Permit): Promise<string> {
    const tenant = call.tenant ?? (await this.#authenticate(call));
    permit.assign(tenant);
    return tenant;
  }
}

/**
 * Frees the memory of a body at once. The garbage collector frees it late: to V8, a buffer is a small object, whatever its size, and
 * a busy process would hold about a hundred megabytes of bodies that are done with.
 */
function giveBack({ buffer, byteLength }: Buffer): void {
  // Others may share the memory of a part.
  if (buffer.byteLength === byteLength) (buffer as ArrayBuffer).transfer(0);
}

/** Logs errors that are not meant for the sender. The sender receives only that an internal error occurred. */
function asExportError(error: unknown, log: Logger): ExportError {
  if (error instanceof ExportError) return error;
  log.error({ err: error }, "an export request failed unexpectedly");
  return new ExportError(Code.INTERNAL, "internal error", undefined, { cause: error });
}
