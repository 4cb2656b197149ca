/** The receivers: OTLP/gRPC and OTLP/HTTP in, bytes of Export*ServiceRequest out to one consumer. */
import { endsWithin } from "../base/deadline.ts";
import type { ReceiveConfig } from "../config/schema.ts";
import type { Consumer, PartialSuccess } from "../otlp/protocol.ts";
import { type GrpcEndpoint, startGrpc } from "./grpc.ts";
import type { ReceiveHooks } from "./hooks.ts";
import { startHttp } from "./http.ts";
import { type Authenticate, type Call, Intake } from "./intake.ts";
import type { Endpoint } from "./listen.ts";

// For the API, whose event bodies are read within the same limits.
export type { Permit } from "./admission.ts";
export { BodyCut, retryAfterMs } from "./arrivals.ts";
export { checkReceive } from "./check.ts";
export { decompress, type Encoding, encodings } from "./decompress.ts";
export { closeReasons, cutReasons, type ReceiveHooks, type RequestEvent, type Transport } from "./hooks.ts";
export { readBody } from "./http-body.ts";
export type { Authenticate, Call, Received, Sender } from "./intake.ts";
export { JsonReader } from "./json.ts";
export { TooLarge } from "./too-large.ts";

export interface Receivers {
  /** host:port as bound; undefined if the configuration disables the receiver. */
  readonly addresses: { readonly grpc: string | undefined; readonly http: string | undefined };
  /** Processes a call that another listener has received, within the same limits. @throws {ExportError} */
  take(call: Call): Promise<PartialSuccess | undefined>;
  /** Requests in work, and the bytes that they hold. */
  inWork(): { requests: number; bytes: number };
  /** Sets what the gRPC health service reports, if it is enabled. At first it reports SERVING. */
  setServing(serving: boolean): void;
  /**
   * Takes no more connections or requests, lets those in flight be answered, and after `deadlineMs` cuts what is left.
   * Resolves when all connections are closed.
   */
  close(deadlineMs: number): Promise<void>;
}

/** Every sender is the one tenant. */
const anybody: Authenticate = async () => "default";

/**
 * Ready for requests once it resolves.
 * @throws {Error} that names the key of the configuration and the remedy; nothing is left open then.
 */
export async function startReceivers(
  config: ReceiveConfig,
  consumer: Consumer,
  hooks: ReceiveHooks,
  authenticate: Authenticate = anybody,
): Promise<Receivers> {
  const intake = new Intake(config, authenticate, consumer, hooks);
  let grpc: GrpcEndpoint | undefined;
  let http: Endpoint | undefined;
  const close = async (deadlineMs: number) => {
    const endpoints = [grpc, http].filter((endpoint) => endpoint !== undefined);
    const idle = intake.close();
    const closed = Promise.all(endpoints.map((endpoint) => endpoint.close()));
    if (await endsWithin(deadlineMs, Promise.all([idle, closed]))) return;
    for (const endpoint of endpoints) endpoint.destroy();
    await closed;
  };
  try {
    if (config.grpc.enabled) grpc = await startGrpc(config, intake, hooks);
    if (config.http.enabled) http = await startHttp(config, intake, hooks);
  } catch (error) {
    await close(0);
    throw error;
  }
  return {
    addresses: { grpc: grpc?.address, http: http?.address },
    take: (call) => intake.take(call),
    inWork: () => ({ requests: intake.admission.requests, bytes: intake.admission.bytes }),
    setServing: (serving) => grpc?.setServing(serving),
    close,
  };
}
