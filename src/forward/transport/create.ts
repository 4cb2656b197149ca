import type { BaseLogger } from "pino";
import type { ForwardConfig } from "../../config/schema.ts";
import { GrpcTransport } from "./grpc.ts";
import { HttpTransport } from "./http.ts";
import type { Names } from "./names.ts";
import type { Transport } from "./transport.ts";

/** Returns the transport that `forward.protocol` selects. */
export function createTransport(config: ForwardConfig, log: BaseLogger, names: Names): Transport {
  return config.protocol === "grpc"
    ? new GrpcTransport(config, log, names)
    : new HttpTransport(config, log, names);
}
