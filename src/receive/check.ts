import type { ReceiveConfig } from "../config/schema.ts";
import { ServerCertificate } from "./tls.ts";

/** Reads and tries the TLS files of the receivers. One line a problem, each with its key; none if the receivers will start. */
export function checkReceive(config: ReceiveConfig): string[] {
  return (["grpc", "http"] as const).flatMap((protocol) => {
    const { enabled, tls } = config[protocol];
    if (!enabled || tls === undefined) return [];
    try {
      new ServerCertificate(tls, `receive.${protocol}.tls`);
      return [];
    } catch (error) {
      return [(error as Error).message];
    }
  });
}
