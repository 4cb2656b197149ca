import { X509Certificate } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { createSecureContext, type SecureContext } from "node:tls";
import type { BaseLogger } from "pino";
import type { ClientTls } from "../../config/schema.ts";

/** Trusts the authorities that Node trusts. */
const noFiles: ClientTls = { insecure_skip_verify: false, reload_interval: 0 };

type FileField = "ca_file" | "cert_file" | "key_file";

function readFile(tls: ClientTls, field: FileField): Buffer | undefined {
  const path = tls[field];
  if (path === undefined) return undefined;
  try {
    return readFileSync(path);
  } catch (error) {
    throw new Error(`forward.tls.${field}: ${(error as Error).message}`, { cause: error });
  }
}

/** OpenSSL takes a file without a certificate for an empty list, and every connection would fail later. */
function readCertificate(tls: ClientTls, field: "ca_file" | "cert_file"): Buffer | undefined {
  const pem = readFile(tls, field);
  try {
    if (pem) new X509Certificate(pem);
  } catch (error) {
    throw new Error(`forward.tls.${field}: ${tls[field]} holds no PEM certificate`, { cause: error });
  }
  return pem;
}

function readTls(tls: ClientTls): SecureContext {
  const ca = readCertificate(tls, "ca_file");
  const cert = readCertificate(tls, "cert_file");
  const key = readFile(tls, "key_file");
  try {
    return createSecureContext({ ca, cert, key });
  } catch (error) {
    const reason = (error as Error).message;
    throw new Error(`forward.tls.cert_file and key_file: not a pair (${reason})`, { cause: error });
  }
}

/** The credentials in the files, read again whenever those change. */
export class TlsFiles {
  readonly #tls: ClientTls;
  #signature: string;
  #timer: NodeJS.Timeout | undefined;
  context: SecureContext;

  /** @throws Error that names the field whose file is missing or broken. */
  constructor(tls: ClientTls = noFiles) {
    this.#tls = tls;
    this.#signature = signature(tls);
    this.context = readTls(tls);
  }

  /** Looks every `reload_interval`, and calls back once `context` is another. */
  watch(log: BaseLogger, onChange: () => void): void {
    if (!this.#signature) return;
    this.#timer = setInterval(() => this.#look(log, onChange), this.#tls.reload_interval).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #look(log: BaseLogger, onChange: () => void): void {
    const now = signature(this.#tls);
    if (now === this.#signature) return;
    this.#signature = now;
    try {
      this.context = readTls(this.#tls);
    } catch (err) {
      // A certificate and its key are seldom replaced in the same moment: the next change is read again.
      log.error({ err }, "forward.tls: the new files do not serve; the former ones stay in use");
      return;
    }
    log.info("forward.tls: the files have changed; new connections use them");
    onChange();
  }
}

/** Changes whenever a file is written, replaced or reached through another link; empty without files. */
function signature(tls: ClientTls): string {
  return [tls.ca_file, tls.cert_file, tls.key_file]
    .filter((path) => path !== undefined)
    .map((path) => {
      const stat = statSync(path, { bigint: true, throwIfNoEntry: false });
      return stat ? `${stat.dev}:${stat.ino}:${stat.mtimeNs}:${stat.size}` : "missing";
    })
    .join(" ");
}
