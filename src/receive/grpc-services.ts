/**
 * The services beside OTLP's own, as grpc-js has them: it serves them over an HTTP/2 connection within the process, and
 * calls are passed through. Export goes without grpc-js; these are not worth a second implementation.
 */
import {
  type ClientHttp2Session,
  connect,
  constants,
  type IncomingHttpHeaders,
  type ServerHttp2Stream,
} from "node:http2";
import { duplexPair } from "node:stream";
import { type DescFile, toBinary } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import {
  Server,
  ServerCredentials,
  type ServiceDefinition,
  type UntypedServiceImplementation,
} from "@grpc/grpc-js";
import { ReflectionService } from "@grpc/reflection";
import { HealthImplementation } from "grpc-health-check";
import type { ReceiveConfig } from "../config/schema.ts";
import { file_opentelemetry_proto_collector_logs_v1_logs_service as logs } from "../gen/opentelemetry/proto/collector/logs/v1/logs_service_pb.js";
import { file_opentelemetry_proto_collector_metrics_v1_metrics_service as metrics } from "../gen/opentelemetry/proto/collector/metrics/v1/metrics_service_pb.js";
import { file_opentelemetry_proto_collector_trace_v1_trace_service as traces } from "../gen/opentelemetry/proto/collector/trace/v1/trace_service_pb.js";
import { grpcContentType } from "../otlp/grpc.ts";
import { Code, grpcMethod } from "../otlp/protocol.ts";
import type { GrpcAnswers } from "./grpc-answer.ts";

/** Bytes that one call may send: these services take a few each, but reflection answers each with a file. */
const maxSent = 64 * 2 ** 10;

/** Names that the health service knows: the whole, and each service. */
const healthNames = ["", ...Object.values(grpcMethod).map((method) => method.split("/")[1]!)];

export class GrpcServices {
  readonly #methods = new Set<string>();
  readonly #health: HealthImplementation | undefined;
  readonly #session: ClientHttp2Session;

  constructor(config: Pick<ReceiveConfig["grpc"], "health" | "reflection">) {
    const server = new Server({ "grpc.max_receive_message_length": maxSent, "grpc.enable_channelz": 0 });
    const registrar = {
      addService: (service: ServiceDefinition, implementation: UntypedServiceImplementation) => {
        for (const method of Object.values(service)) this.#methods.add(method.path);
        server.addService(service, implementation);
      },
    };
    if (config.health) {
      this.#health = new HealthImplementation(
        Object.fromEntries(healthNames.map((name) => [name, "SERVING"])),
      );
      this.#health.addToServer(registrar);
    }
    if (config.reflection) {
      const fileDescriptorProtos = files(logs, metrics, traces);
      new ReflectionService({ otlp: { fileDescriptorProtos } } as never).addToServer(registrar);
    }
    const [near, far] = duplexPair();
    server.createConnectionInjector(ServerCredentials.createInsecure()).injectConnection(far);
    this.#session = connect("http://services.invalid", { createConnection: () => near });
    // Calls see their own streams close.
    this.#session.on("error", () => {});
  }

  has(method: string | undefined): boolean {
    return method !== undefined && this.#methods.has(method);
  }

  /**
   * @param stream open, a POST, and of a content type of gRPC: grpc-js throws past all handlers when it refuses a stream
   * that has been reset meanwhile.
   */
  serve(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, answers: GrpcAnswers): void {
    if (this.#session.closed) {
      stream.close(constants.NGHTTP2_REFUSED_STREAM);
      return;
    }
    const call = this.#session.request(headers);
    let sent = 0;
    // Those of a call that ends without any: what serves it is gone.
    let trailers: IncomingHttpHeaders = {
      "grpc-status": String(Code.UNAVAILABLE),
      "grpc-message": "shutting down",
    };
    stream.on("data", (chunk: Buffer) => {
      sent += chunk.length;
      if (sent > maxSent) stream.close(constants.NGHTTP2_ENHANCE_YOUR_CALM);
    });
    stream.pipe(call);
    stream.on("wantTrailers", () => {
      if (!stream.closed) stream.sendTrailers(trailers);
    });
    stream.on("close", () => call.close(constants.NGHTTP2_CANCEL));
    call.on("response", (response, flags) => {
      if (stream.closed || stream.destroyed) return;
      const alone = (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0;
      stream.respond(response, alone ? { endStream: true } : { waitForTrailers: true });
      if (!alone) call.pipe(stream);
    });
    call.on("trailers", (received) => {
      trailers = received;
    });
    call.on("error", () => {});
    call.on("close", () => {
      if (stream.closed || stream.destroyed) return;
      const alone = { ":status": 200, "content-type": grpcContentType, ...trailers };
      if (stream.headersSent) stream.end();
      else stream.respond(alone, { endStream: true });
      answers.expectTaken(stream);
    });
  }

  setServing(serving: boolean): void {
    for (const name of healthNames) this.#health?.setStatus(name, serving ? "SERVING" : "NOT_SERVING");
  }

  /** Ends open calls, watches among them, which would never end by themselves. */
  close(): void {
    this.setServing(false);
    this.#session.destroy();
  }
}

/** FileDescriptorProto bytes of the files and all that they import. */
function files(...roots: DescFile[]): Uint8Array[] {
  const all = new Set<DescFile>();
  const add = (file: DescFile) => {
    if (all.has(file)) return;
    all.add(file);
    file.dependencies.forEach(add);
  };
  roots.forEach(add);
  return [...all].map((file) => toBinary(FileDescriptorProtoSchema, file.proto));
}
