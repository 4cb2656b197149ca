/** Sends checkpoints of the audit logs to where nobody who can write to the store can change them. */
import { open } from "node:fs/promises";
import type { Logger } from "pino";
import { fileFault } from "../base/file-fault.ts";
import type { Config } from "../config/schema.ts";
import type { Store } from "../store/index.ts";
import { issueCheckpoint } from "./audit-proof.ts";
import type { SigningKeys } from "./signing-keys.ts";

const tenantsAtOnce = 1_000;
const postMs = 10_000;

export interface PublisherOptions {
  evidence: Pick<Config["evidence"], "origin" | "checkpoints">;
  store: Store;
  keys: SigningKeys;
  log: Logger;
}

export class CheckpointPublisher {
  readonly #options: PublisherOptions;
  /** The number of entries of each log when its last checkpoint was sent. */
  readonly #sent = new Map<string, number>();
  readonly #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;
  #failing = false;

  /** It does nothing unless a file or a URL is configured. */
  constructor(options: PublisherOptions) {
    this.#options = options;
    const { file, url, every } = options.evidence.checkpoints;
    if (file !== undefined || url !== undefined) {
      this.#timer = setInterval(() => void this.publish(), every).unref();
    }
  }

  /** Sends a checkpoint of each log that has grown. A second call waits for the first. It never throws. */
  publish(): Promise<void> {
    this.#running ??= this.#publish().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  /** Sends what has grown since, for the last time. */
  async close(): Promise<void> {
    if (this.#timer === undefined) return;
    clearInterval(this.#timer);
    await this.publish();
  }

  async #publish(): Promise<void> {
    const { store, log } = this.#options;
    try {
      for (let after = ""; ; ) {
        const tenants = await store.admin.tenants({ after, limit: tenantsAtOnce });
        for (const tenant of tenants) await this.#publishOne(tenant);
        if (tenants.length < tenantsAtOnce) break;
        after = tenants.at(-1)!;
      }
      this.#failing = false;
    } catch (error) {
      if (!this.#failing)
        log.warn({ reason: (error as Error).message }, "audit: a checkpoint cannot be sent");
      this.#failing = true;
    }
  }

  async #publishOne(tenant: string): Promise<void> {
    const { evidence, store, keys } = this.#options;
    const size = await store.auditTree.grow(tenant);
    if (size === (this.#sent.get(tenant) ?? 0)) return;
    const place = { installation: evidence.origin, tenant, size };
    const { note } = await issueCheckpoint(store.auditTree, place, await keys.current());
    const { file, url } = evidence.checkpoints;
    if (file !== undefined) await append(file, note);
    if (url !== undefined) await post(url, note);
    this.#sent.set(tenant, size);
  }
}

async function append(path: string, note: string): Promise<void> {
  try {
    const file = await open(path, "a", 0o600);
    try {
      await file.writeFile(note);
      await file.datasync();
    } finally {
      await file.close();
    }
  } catch (error) {
    throw new Error(
      `evidence.checkpoints.file: ${path}: ${fileFault(error as NodeJS.ErrnoException, "written")}`,
    );
  }
}

async function post(url: string, body: string): Promise<void> {
  const headers = { "content-type": "text/plain; charset=utf-8" };
  const signal = AbortSignal.timeout(postMs);
  let answer: Response;
  try {
    answer = await fetch(url, { method: "POST", headers, body, signal, redirect: "error" });
    await answer.body?.cancel();
  } catch (error) {
    const { message, cause } = error as Error;
    throw new Error(`evidence.checkpoints.url: ${cause instanceof Error ? cause.message : message}`);
  }
  if (!answer.ok) throw new Error(`evidence.checkpoints.url: the answer is ${answer.status}`);
}
