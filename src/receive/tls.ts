import { readFile } from "node:fs/promises";
import { createSecureContext, type SecureContextOptions } from "node:tls";
import type { Logger } from "pino";
import type { ServerTls } from "../config/schema.ts";
import { maxTimer } from "./listen.ts";

export interface ServerContext extends SecureContextOptions {
  requestCert: boolean;
  rejectUnauthorized: boolean;
}

/**
 * Reads certificate, key and client authority, and tries them together.
 * @param key of the configuration, for errors: `receive.grpc.tls`.
 * @throws {Error} that names the key and the file.
 */
export async function loadServerContext(tls: ServerTls, key: string): Promise<ServerContext> {
  const read = async (name: "cert_file" | "key_file" | "client_ca_file", path: string) => {
    try {
      return await readFile(path);
    } catch (cause) {
      throw new Error(`${key}.${name}: cannot read ${path}: ${(cause as Error).message}`, { cause });
    }
  };
  const mutual = tls.client_ca_file !== undefined;
  const context: ServerContext = {
    cert: await read("cert_file", tls.cert_file),
    key: await read("key_file", tls.key_file),
    ca: mutual ? await read("client_ca_file", tls.client_ca_file!) : undefined,
    requestCert: mutual,
    rejectUnauthorized: mutual,
  };
  try {
    createSecureContext(context);
  } catch (cause) {
    const files = [tls.cert_file, tls.key_file, ...(mutual ? [tls.client_ca_file] : [])].join(", ");
    const message = (cause as Error).message;
    throw new Error(`${key}: ${files} are not a PEM certificate with its key and authority: ${message}`, {
      cause,
    });
  }
  return context;
}

/**
 * Gives the server the files' new contents when they change. Contents are compared, not times: symbolic links swapped
 * under a mount keep old times. Files that do not fit together leave the server with what it has.
 * @returns stops it.
 */
export function reloadServerContext(
  server: { setSecureContext(context: SecureContextOptions): void },
  tls: ServerTls,
  key: string,
  loaded: ServerContext,
  log: Logger,
): () => void {
  let current = loaded;
  let complaint: string | undefined;
  let stopped = false;
  let timer: NodeJS.Timeout | undefined;
  const look = async () => {
    try {
      const next = await loadServerContext(tls, key);
      if (stopped) return;
      complaint = undefined;
      if (same(current, next)) return;
      server.setSecureContext(next);
      current = next;
      log.info(`${key}: certificate reloaded`);
    } catch (error) {
      // Once, not at every look: half-written files fix themselves, broken ones stay.
      const { message } = error as Error;
      if (message !== complaint) log.error({ err: error }, `${key}: the old certificate stays in use`);
      complaint = message;
    } finally {
      if (!stopped) schedule();
    }
  };
  const schedule = () => {
    timer = setTimeout(look, Math.min(tls.reload_interval, maxTimer)).unref();
  };
  if (tls.reload_interval > 0) schedule();
  return () => {
    stopped = true;
    clearTimeout(timer);
  };
}

function same(a: ServerContext, b: ServerContext): boolean {
  return (["cert", "key", "ca"] as const).every((part) => {
    const [x, y] = [a[part] as Buffer | undefined, b[part] as Buffer | undefined];
    return x === y || (x !== undefined && y !== undefined && x.equals(y));
  });
}
