import {
  type ChannelOptions,
  Client,
  compressionAlgorithms,
  connectivityState,
  credentials,
  Metadata,
  type ServiceError,
} from "@grpc/grpc-js";
import type { BaseLogger } from "pino";
import type { ForwardConfig } from "../config/schema.ts";
import { Code, grpcMethod, type Signal } from "../otlp.ts";
import { readPartialSuccess, readStatus } from "./answer.ts";
import { clip, codeName, explainNetwork, toCode, withRemedy } from "./codes.ts";
import { Replaceable } from "./replaceable.ts";
import { TlsFiles } from "./tls.ts";
import { maxResponseSize, type Outcome, type Transport } from "./transport.ts";
import { userAgent } from "./user-agent.ts";

/** The message on the wire is the request as it came: nothing is encoded or decoded here. */
const identity = (bytes: Buffer): Buffer => bytes;

/** gRPC metadata for `forward.headers`; `-bin` keys carry base64, as on the wire. */
export function toMetadata(headers: ForwardConfig["headers"]): Metadata {
  const metadata = new Metadata();
  for (const [name, value] of Object.entries(headers)) {
    metadata.set(name, name.toLowerCase().endsWith("-bin") ? Buffer.from(value, "base64") : value);
  }
  return metadata;
}

export class GrpcTransport implements Transport {
  readonly #clients: Replaceable<Client>;
  readonly #connect: () => Client;
  readonly #metadata: Metadata;
  readonly #tls: TlsFiles | undefined;

  constructor(config: ForwardConfig, log: BaseLogger) {
    const url = new URL(config.endpoint);
    const secure = url.protocol === "https:";
    const tls = config.tls;
    const options: ChannelOptions = {
      "grpc.primary_user_agent": userAgent,
      "grpc.max_send_message_length": -1,
      "grpc.max_receive_message_length": maxResponseSize,
      "grpc.default_compression_algorithm":
        compressionAlgorithms[config.compression === "gzip" ? "gzip" : "identity"],
      // One retry policy, the forwarder's: the channel's own would keep a copy of each request.
      "grpc.enable_retries": 0,
      "grpc.service_config_disable_resolution": 1,
      // A connection that is dead and does not say so is found out after one attempt. Not sooner: grpc-go answers
      // more than two pings without an answer of its own between them with GOAWAY.
      "grpc.keepalive_time_ms": Math.max(config.timeout, 10_000),
      "grpc.keepalive_timeout_ms": 5_000,
      // A refused connection costs next to nothing, and a downstream that is back should be seen to be.
      "grpc.initial_reconnect_backoff_ms": 100,
      "grpc.max_reconnect_backoff_ms": 2_000,
      "grpc.dns_min_time_between_resolutions_ms": 5_000,
      // Back-off and connections of this forwarder alone, whoever else in the process talks to the same address.
      "grpc.use_local_subchannel_pool": 1,
      ...(tls?.server_name_override && {
        "grpc.ssl_target_name_override": tls.server_name_override,
        "grpc.default_authority": tls.server_name_override,
      }),
    };
    const target = `dns:///${url.hostname}:${url.port || (secure ? 443 : 80)}`;
    const files = secure ? new TlsFiles(tls) : undefined;
    this.#tls = files;
    this.#connect = () =>
      new Client(
        target,
        files
          ? credentials.createFromSecureContext(files.context, {
              rejectUnauthorized: !tls?.insecure_skip_verify,
            })
          : credentials.createInsecure(),
        options,
      );
    this.#clients = new Replaceable(this.#connect(), (client) => client.close());
    files?.watch(log, () => this.#clients.replace(this.#connect));
    this.#metadata = toMetadata(config.headers);
  }

  send(signal: Signal, body: Buffer, timeoutMs: number, abort: AbortSignal): Promise<Outcome> {
    return this.#clients.use(async (client) => {
      const outcome = await this.#call(client, signal, body, timeoutMs, abort);
      // grpc-js waits for a handshake without end; a peer that accepts and then is silent would hold the channel for ever.
      if (outcome.code === Code.DEADLINE_EXCEEDED) {
        const state = client.getChannel().getConnectivityState(false);
        if (state === connectivityState.CONNECTING) this.#clients.replace(this.#connect, client);
      }
      return outcome;
    });
  }

  #call(
    client: Client,
    signal: Signal,
    body: Buffer,
    timeoutMs: number,
    abort: AbortSignal,
  ): Promise<Outcome> {
    return new Promise((resolve) => {
      if (abort.aborted) return resolve({ code: Code.CANCELLED, message: "aborted" });
      const call = client.makeUnaryRequest<Buffer, Buffer>(
        grpcMethod[signal],
        identity,
        identity,
        body,
        this.#metadata,
        { deadline: Date.now() + timeoutMs },
        (error, response) => {
          abort.removeEventListener("abort", cancel);
          if (error) return resolve(toOutcome(error));
          const partialSuccess = response && readPartialSuccess(signal, response, "protobuf");
          resolve({ code: Code.OK, message: "", partialSuccess });
        },
      );
      const cancel = () => call.cancel();
      abort.addEventListener("abort", cancel, { once: true });
    });
  }

  close(): void {
    this.#tls?.stop();
    this.#clients.close();
  }
}

function toOutcome(error: ServiceError): Outcome {
  const code = toCode(error.code);
  const binary = error.metadata.get("grpc-status-details-bin")[0];
  const status = binary instanceof Buffer ? readStatus(binary, "protobuf") : {};
  // grpc-js ends its own texts with a heading and nothing beneath.
  const details = error.details.replace(/\.? Resolution note: *$/, "");
  const said = code === Code.UNAVAILABLE ? explainNetwork({ message: details }) : clip(details);
  return {
    code,
    message: withRemedy(
      `${codeName(error.code)}: ${said || "no message"}`,
      code,
      status.retryAfterMs,
      "grpc",
    ),
    retryAfterMs: status.retryAfterMs,
  };
}
