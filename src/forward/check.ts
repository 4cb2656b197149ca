import { maxTimerMs } from "../base/deadline.ts";
import type { ForwardConfig } from "../config/schema.ts";
import { endpoints } from "./failover.ts";
import { TlsFiles } from "./transport/tls.ts";

/** Set by the transports, or of the connection and not of a request. */
const ownHeaders = new Set([
  "connection",
  "content-encoding",
  "content-length",
  "content-type",
  "expect",
  "host",
  "keep-alive",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
  "user-agent",
]);

/**
 * What the schema and the keys together cannot say of `forward`: what the transports need. One line a problem, each
 * with its key and the remedy; none where a Forwarder will start.
 */
export function checkForward(config: ForwardConfig): string[] {
  return [...checkDurations(config), ...checkHeaders(config), ...checkTls(config)];
}

function checkDurations({ timeout, retry, queue, tls }: ForwardConfig): string[] {
  const durations: [key: string, milliseconds: number, least: number][] = [
    ["forward.timeout", timeout, 1],
    ["forward.retry.initial_interval", retry.initial_interval, 1],
    ["forward.retry.max_interval", retry.max_interval, 1],
    ["forward.retry.max_elapsed_time", retry.max_elapsed_time, 0],
    ["forward.queue.disk.sync_interval", queue.disk.sync_interval, 1],
    ...(tls ? [["forward.tls.reload_interval", tls.reload_interval, 1] as [string, number, number]] : []),
  ];
  return durations
    .filter(([, milliseconds, least]) => milliseconds < least || milliseconds > maxTimerMs)
    .map(([key, , least]) => `${key}: must be from ${least} ms to 24 d`);
}

function checkHeaders({ headers, protocol }: ForwardConfig): string[] {
  return Object.entries(headers).flatMap(([name, value]) => {
    const key = `forward.headers.${name}`;
    const lower = name.toLowerCase();
    if (ownHeaders.has(lower)) return [`${key}: is set by Driftlock; leave it out`];
    if (protocol === "http") return [];
    if (lower.startsWith("grpc-")) return [`${key}: gRPC keeps names that begin with grpc-; choose another`];
    if (lower.endsWith("-bin") && !/^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2,3}={0,2})?$/.test(value)) {
      return [`${key}: a gRPC key that ends with -bin carries base64; encode the value`];
    }
    if (!/^[0-9a-z_.-]+$/.test(lower) || !/^[\x20-\x7e]*$/.test(value)) {
      return [`${key}: gRPC takes letters, digits, - _ . in names and visible ASCII in values`];
    }
    return [];
  });
}

function checkTls(config: ForwardConfig): string[] {
  const { tls } = config;
  if (!tls || !endpoints(config).some((url) => url.startsWith("https:"))) return [];
  try {
    new TlsFiles(tls);
    return [];
  } catch (error) {
    return [(error as Error).message];
  }
}
