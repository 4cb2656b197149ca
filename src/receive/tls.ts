import { createSecureContext, type SecureContextOptions } from "node:tls";
import type { BaseLogger } from "pino";
import { type Pem, type PemPaths, readPem, watchPem } from "../base/pem-files.ts";
import type { ServerTls } from "../config/schema.ts";

export interface ServerContext extends SecureContextOptions {
  requestCert: boolean;
  rejectUnauthorized: boolean;
}

type Field = "cert_file" | "key_file" | "client_ca_file";

/** The certificate, key and client authority of a server. */
export class ServerCertificate {
  readonly #tls: ServerTls;
  readonly #key: string;
  readonly #pem: Pem<Field>;
  /** For the server's options. */
  readonly context: ServerContext;

  /**
   * Reads the files and tries them together.
   * @param key of the configuration, for errors: `receive.grpc.tls`.
   * @throws {Error} that names the key and the file.
   */
  constructor(tls: ServerTls, key: string) {
    this.#tls = tls;
    this.#key = key;
    this.#pem = readPem(key, pathsOf(tls));
    this.context = this.#contextOf(this.#pem);
  }

  /**
   * Gives the server the files' new contents when they change. Files that do not fit together leave the server with what it
   * has.
   * @returns a function that stops it.
   */
  keepFresh(server: { setSecureContext(context: SecureContextOptions): void }, log: BaseLogger): () => void {
    const apply = (pem: Pem<Field>) => server.setSecureContext(this.#contextOf(pem));
    return watchPem(this.#key, pathsOf(this.#tls), this.#pem, this.#tls.reload_interval, log, apply);
  }

  #contextOf(pem: Pem<Field>): ServerContext {
    const mutual = pem.client_ca_file !== undefined;
    const context: ServerContext = {
      cert: pem.cert_file,
      key: pem.key_file,
      ca: pem.client_ca_file,
      requestCert: mutual,
      rejectUnauthorized: mutual,
    };
    try {
      createSecureContext(context);
    } catch (cause) {
      const files = Object.values(pathsOf(this.#tls)).filter(Boolean).join(", ");
      const { message } = cause as Error;
      throw new Error(
        `${this.#key}: ${files} are not a PEM certificate with its key and authority: ${message}`,
        { cause },
      );
    }
    return context;
  }
}

function pathsOf({ cert_file, key_file, client_ca_file }: ServerTls): PemPaths<Field> {
  return { cert_file, key_file, client_ca_file };
}
