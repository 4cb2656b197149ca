import { createSecureContext, type SecureContext } from "node:tls";
import type { BaseLogger } from "pino";
import { type Pem, type PemPaths, readPem, watchPem } from "../../base/pem-files.ts";
import type { ClientTls } from "../../config/schema.ts";

type Field = "ca_file" | "cert_file" | "key_file";

const key = "forward.tls";

/** The credentials in the files of `forward.tls`. Without files, it trusts the authorities that Node trusts. */
export class TlsFiles {
  readonly #paths: PemPaths<Field>;
  readonly #pem: Pem<Field>;
  readonly #intervalMs: number;
  #stop: (() => void) | undefined;
  context: SecureContext;

  /** @throws {Error} that names the field whose file is missing or broken. */
  constructor({ ca_file, cert_file, key_file, reload_interval = 0 }: Partial<ClientTls> = {}) {
    this.#paths = { ca_file, cert_file, key_file };
    this.#intervalMs = reload_interval;
    this.#pem = readPem(key, this.#paths);
    this.context = contextOf(this.#pem);
  }

  /** Reads the files again every `reload_interval`, and calls back once `context` is another. */
  watch(log: BaseLogger, onChange: () => void): void {
    this.#stop = watchPem(key, this.#paths, this.#pem, this.#intervalMs, log, (pem) => {
      this.context = contextOf(pem);
      onChange();
    });
  }

  stop(): void {
    this.#stop?.();
  }
}

function contextOf(pem: Pem<Field>): SecureContext {
  try {
    return createSecureContext({ ca: pem.ca_file, cert: pem.cert_file, key: pem.key_file });
  } catch (error) {
    const reason = (error as Error).message;
    throw new Error(`${key}.cert_file and key_file: not a pair (${reason})`, { cause: error });
  }
}
