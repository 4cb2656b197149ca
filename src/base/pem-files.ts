/** PEM files that fields of a configuration section name. They are read again while the process runs. */
import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import type { BaseLogger } from "pino";
import { maxTimerMs } from "./deadline.ts";

/** Paths by field. */
export type PemPaths<Field extends string> = Readonly<Partial<Record<Field, string>>>;

/** The contents of the files by field. */
export type Pem<Field extends string> = Readonly<Partial<Record<Field, Buffer>>>;

/**
 * Reads the files.
 * @param key of the section, such as `receive.grpc.tls`.
 * @throws {Error} that names the field and the path of a file that cannot be read, is incomplete or holds no certificate.
 */
export function readPem<Field extends string>(key: string, paths: PemPaths<Field>): Pem<Field> {
  return Object.fromEntries(
    entries(paths).map(([field, path]) => {
      let bytes: Buffer;
      try {
        bytes = readFileSync(path);
      } catch (cause) {
        throw unreadable(key, field, path, cause);
      }
      return [field, checked(key, field, path, bytes)];
    }),
  ) as Pem<Field>;
}

/**
 * Reads the files again every `intervalMs`; never if that is 0. When their contents have changed, `apply` receives the new
 * ones. Contents are compared and not times, because links that are swapped under a mount keep old times. If a file cannot be
 * read, is incomplete or `apply` throws, the previous contents stay in use, and the reason is logged once.
 * @returns a function that stops it.
 */
export function watchPem<Field extends string>(
  key: string,
  paths: PemPaths<Field>,
  loaded: Pem<Field>,
  intervalMs: number,
  log: BaseLogger,
  apply: (pem: Pem<Field>) => void,
): () => void {
  let current = loaded;
  let complaint: string | undefined;
  let stopped = intervalMs === 0 || entries(paths).length === 0;
  let timer: NodeJS.Timeout | undefined;
  const look = async () => {
    try {
      const next = await readAgain(key, paths);
      if (stopped) return;
      if (!isSame(current, next)) {
        apply(next);
        current = next;
        log.info(`${key}: the certificate files have changed; new connections use them`);
      }
      complaint = undefined;
    } catch (error) {
      // A certificate and its key are seldom replaced at the same moment, so files may be invalid for a while.
      const { message } = error as Error;
      if (message !== complaint && !stopped) {
        log.error({ err: error }, `${key}: the new certificate files are invalid; keeping the previous ones`);
      }
      complaint = message;
    }
    schedule();
  };
  const schedule = () => {
    if (!stopped) timer = setTimeout(look, Math.min(intervalMs, maxTimerMs)).unref();
  };
  schedule();
  return () => {
    stopped = true;
    clearTimeout(timer);
  };
}

/** As `readPem`, without blocking the event loop. */
async function readAgain<Field extends string>(key: string, paths: PemPaths<Field>): Promise<Pem<Field>> {
  const contents = entries(paths).map(async ([field, path]) => {
    const bytes = await readFile(path).catch((cause) => {
      throw unreadable(key, field, path, cause);
    });
    return [field, checked(key, field, path, bytes)] as const;
  });
  return Object.fromEntries(await Promise.all(contents)) as Pem<Field>;
}

function entries<Field extends string>(paths: PemPaths<Field>): [Field, string][] {
  return (Object.entries(paths) as [Field, string | undefined][]).filter(
    (entry): entry is [Field, string] => entry[1] !== undefined,
  );
}

/**
 * Returns `bytes` if they are whole PEM blocks: a private key for a `key_file`, certificates for any other field. OpenSSL takes
 * an authority's file that is empty or cut short for a shorter list, and trusts fewer or nobody; a program that writes
 * such a file in place leaves it like that for a moment.
 */
function checked(key: string, field: string, path: string, bytes: Buffer): Buffer {
  const text = bytes.toString("latin1");
  const begun = text.split("-----BEGIN ").length - 1;
  const ended = text.match(/-----END [^-]+-----/g)?.length ?? 0;
  if (begun !== ended) throw new Error(`${key}.${field}: ${path} ends within a PEM block; write it whole`);
  if (field === "key_file") return bytes;
  try {
    new X509Certificate(bytes);
  } catch (cause) {
    throw new Error(`${key}.${field}: ${path} holds no PEM certificate`, { cause });
  }
  return bytes;
}

function unreadable(key: string, field: string, path: string, cause: unknown): Error {
  return new Error(`${key}.${field}: cannot read ${path}: ${(cause as Error).message}`, { cause });
}

function isSame<Field extends string>(one: Pem<Field>, other: Pem<Field>): boolean {
  return (Object.entries(one) as [Field, Buffer][]).every(([field, bytes]) => other[field]?.equals(bytes));
}
