/**
 * OTLP/gRPC over node:http2. grpc-js would make the same calls, but it copies each message, compresses at zlib's default
 * level alone, and takes more than twice the CPU.
 */
import type { OutgoingHttpHeaders } from "node:http2";
import { connect, isIP, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import type { BaseLogger } from "pino";
import type { ForwardConfig } from "../../config/schema.ts";
import { grpcContentType } from "../../otlp/grpc.ts";
import { grpcMethod, type Signal } from "../../otlp/protocol.ts";
import { type Compressor, createCompressor } from "./compress.ts";
import { call } from "./grpc-call.ts";
import { GrpcConnection } from "./grpc-connection.ts";
import { hostOf, type Names, NameWatch } from "./names.ts";
import { TlsFiles } from "./tls.ts";
import type { Outcome, Transport } from "./transport.ts";
import { userAgent } from "./user-agent.ts";

/** A peer that accepts connections and then is silent holds up nobody for longer. */
const maxConnectMs = 10_000;

/** The number of tries of a request that the peer did not look at, because it shuts down or has too many streams. */
const maxTries = 4;

export class GrpcTransport implements Transport {
  readonly #connection: GrpcConnection;
  readonly #headers: OutgoingHttpHeaders;
  readonly #compress: Compressor | undefined;
  readonly #tls: TlsFiles | undefined;
  readonly #watch: NameWatch;

  constructor(config: ForwardConfig, log: BaseLogger, names: Names) {
    const url = new URL(config.endpoint);
    const { compression, tls } = config;
    const files = url.protocol === "https:" ? new TlsFiles(tls) : undefined;
    this.#tls = files;
    this.#connection = new GrpcConnection(url.origin, Math.min(config.timeout, maxConnectMs), () =>
      dial(url, names, files, tls),
    );
    const renew = () => this.#connection.renew();
    files?.watch(log, renew);
    this.#watch = new NameWatch(hostOf(url), names, log, () => this.#connection.addresses(), renew);
    this.#compress = createCompressor(compression);
    this.#headers = {
      ":method": "POST",
      ":scheme": url.protocol.slice(0, -1),
      ":authority": tls?.server_name_override ?? url.host,
      te: "trailers",
      "content-type": grpcContentType,
      "user-agent": userAgent,
      ...(compression !== "none" && { "grpc-encoding": compression }),
      // grpc-go answers in the encoding of the request, whatever is accepted.
      "grpc-accept-encoding": compression === "none" ? "identity" : `identity,${compression}`,
      ...config.headers,
    };
  }

  async send(signal: Signal, body: Buffer, timeoutMs: number, abort: AbortSignal): Promise<Outcome> {
    const bytes = this.#compress ? await this.#compress(body) : body;
    const headers = { ...this.#headers, ":path": grpcMethod[signal] };
    const message = { signal, headers, bytes, compressed: this.#compress !== undefined };
    const deadline = performance.now() + timeoutMs;
    for (let tries = 1; ; tries++) {
      const left = Math.max(1, Math.ceil(deadline - performance.now()));
      const outcome = await call(this.#connection, message, left, abort);
      if (outcome.unprocessed && tries < maxTries && performance.now() < deadline) continue;
      // A compressed copy is sent instead of the body; of the tries before, nobody knows when they are over.
      const bodyRead = this.#compress !== undefined || (tries === 1 && outcome.bodyRead === true);
      return { ...outcome, bodyRead };
    }
  }

  close(): void {
    this.#tls?.stop();
    this.#watch.stop();
    this.#connection.close();
  }
}

function dial(url: URL, { lookup }: Names, files: TlsFiles | undefined, tls: ForwardConfig["tls"]): Socket {
  const host = hostOf(url);
  const to = { host, port: Number(url.port) || (files ? 443 : 80), noDelay: true, lookup };
  if (!files) return connect(to);
  const name = tls?.server_name_override ?? (isIP(host) ? undefined : host);
  return connectTls({
    ...to,
    ALPNProtocols: ["h2"],
    secureContext: files.context,
    rejectUnauthorized: !tls?.insecure_skip_verify,
    ...(name && { servername: name }),
  });
}
