/**
 * The heads of the audit logs, which are recorded outside of the database: whoever can write to the database can
 * truncate a log or write a new one, but cannot change what was appended to a file, written to the log stream and read
 * from the metrics before.
 */

import { mkdir, open, readFile, rename, stat, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import type { Kysely } from "kysely";
import type { Logger } from "pino";
import { fileFault } from "../base/file-fault.ts";
import { sha256 } from "../base/sha256.ts";
import { reasonOf } from "./database/errors.ts";
import type { Tables } from "./database/tables.ts";

/** An entry of a tenant's audit log: everything before it follows from its hash. */
export interface Head {
  tenant: string;
  seq: number;
  hash: string;
}

/** A head with the hash of the entry before it. */
export interface ChainedHead extends Head {
  previousHash: string;
}

export interface HeadsState {
  /** The number of entries of all tenants. */
  entries: number;
  /** The SHA-256 of the lines `TENANT SEQ HASH` of all tenants, in the order of their names. */
  digest: string;
  /** The number of tenants whose logs ended earlier or elsewhere than before. */
  altered: number;
}

/** The file is compacted when it is larger, and then again when it has doubled. */
const maxBytes = 2 ** 20;
/** The minimum time between two lines of the log stream, and the maximum number of heads per line. */
const logMs = 10_000;
const maxHeadsPerLine = 100;

/** Parses lines of the form `TENANT SEQ HASH`, oldest first. Other lines, such as a torn one, are skipped. */
export function parseHeads(text: string): Head[] {
  const lines = text.matchAll(/^([\w.-]{1,64}) (\d{1,15}) ([0-9a-f]{64})$/gm);
  return [...lines].map(([, tenant, seq, hash]) => ({ tenant: tenant!, seq: Number(seq), hash: hash! }));
}

/** Reads a file of heads; undefined if there is none. @throws {Error} that names the file if it cannot be read. */
export async function readHeads(file: string): Promise<Head[] | undefined> {
  try {
    return parseHeads(await readFile(file, "utf8"));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw new Error(`${file}: ${fileFault(error as NodeJS.ErrnoException)}`, { cause: error });
  }
}

/**
 * Returns the newest entry of each tenant's log, by the tenants' names. It crosses tenants and is meant for operators of
 * the whole installation.
 */
export async function currentHeads(db: Kysely<Tables>): Promise<Head[]> {
  const rows = await db
    .selectFrom("tenants")
    .select(["id", "audit_seq", "audit_hash"])
    .where("audit_seq", ">", 0n)
    .execute();
  return rows
    .map(({ id, audit_seq, audit_hash }) => ({ tenant: id, seq: Number(audit_seq), hash: audit_hash }))
    .sort(byTenant);
}

function byTenant(a: Head, b: Head): number {
  return a.tenant < b.tenant ? -1 : 1;
}

function toLine({ tenant, seq, hash }: Head): string {
  return `${tenant} ${seq} ${hash}\n`;
}

export class AuditHeads {
  readonly #file: string;
  readonly #log: Logger;
  readonly #latest = new Map<string, Head>();
  readonly #altered = new Set<string>();
  /** The heads that are to be written to the file. */
  #unwritten: Head[] = [];
  /** The latest head of each tenant that is to be written to the log stream. */
  readonly #unlogged = new Map<string, Head>();
  #writing: Promise<void> | undefined;
  #compactAt = maxBytes;
  #logTimer: NodeJS.Timeout | undefined;
  #loggedAt = Number.NEGATIVE_INFINITY;
  #failing = false;

  constructor(file: string, log: Logger) {
    this.#file = file;
    this.#log = log;
  }

  /** Loads what earlier processes have recorded. It never rejects. */
  async load(): Promise<void> {
    try {
      for (const head of (await readHeads(this.#file)) ?? []) this.#latest.set(head.tenant, head);
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Records entries that were committed. Resolves when they are on the device, or cannot be written; never rejects. */
  async record(entries: readonly ChainedHead[]): Promise<void> {
    for (const { tenant, seq, hash, previousHash } of entries) {
      const known = this.#latest.get(tenant);
      if (known?.seq === seq - 1 && known.hash !== previousHash) this.#alarm(known);
      if (known?.seq === seq && known.hash !== hash) this.#alarm(known);
      this.#add({ tenant, seq, hash });
    }
    await this.#write();
  }

  /** Checks whether the database still has what was recorded, and records what other processes have appended. */
  async compare(db: Kysely<Tables>): Promise<void> {
    const recorded = [...this.#latest.values()];
    const now = new Map((await currentHeads(db)).map((head) => [head.tenant, head]));
    for (const known of recorded) {
      const { tenant, seq, hash } = known;
      const found = now.get(tenant);
      if (found?.seq === seq && found.hash === hash) continue;
      const row = await db
        .selectFrom("audit_log")
        .select("hash")
        .where("tenant", "=", tenant)
        .where("seq", "=", BigInt(seq))
        .executeTakeFirst();
      if (row?.hash !== hash) this.#alarm(known);
    }
    for (const head of now.values()) {
      if (head.seq > (this.#latest.get(head.tenant)?.seq ?? 0)) this.#add(head);
    }
    await this.#write();
  }

  state(): HeadsState {
    const heads = [...this.#latest.values()].sort(byTenant);
    return {
      entries: heads.reduce((sum, { seq }) => sum + seq, 0),
      digest: sha256(heads.map(toLine).join("")),
      altered: this.#altered.size,
    };
  }

  async close(): Promise<void> {
    clearTimeout(this.#logTimer);
    if (this.#unlogged.size > 0) this.#logHeads();
    await this.#write();
  }

  /**
   * Adds a head to those to be written. The file receives every head, in the order of arrival, so that the heads of an
   * altered log contradict each other there.
   */
  #add(head: Head): void {
    this.#unwritten.push(head);
    if (head.seq <= (this.#latest.get(head.tenant)?.seq ?? 0)) return;
    this.#latest.set(head.tenant, head);
    this.#unlogged.set(head.tenant, head);
    const pause = Math.max(0, this.#loggedAt + logMs - performance.now());
    this.#logTimer ??= setTimeout(() => this.#logHeads(), pause).unref();
  }

  #alarm({ tenant, seq, hash }: Head): void {
    if (this.#altered.has(tenant)) return;
    this.#altered.add(tenant);
    this.#log.error(
      { tenant, seq, hash },
      "audit: the log was altered: it no longer has the recorded entry; `driftlock audit verify` shows details",
    );
  }

  #logHeads(): void {
    this.#logTimer = undefined;
    this.#loggedAt = performance.now();
    const heads = [...this.#unlogged.values()].slice(0, maxHeadsPerLine);
    for (const { tenant } of heads) this.#unlogged.delete(tenant);
    if (this.#unlogged.size > 0) this.#logTimer = setTimeout(() => this.#logHeads(), logMs).unref();
    this.#log.info({ heads }, "audit: new entries; these are the latest of each log");
  }

  /** Writes pending heads. Heads that arrive during a write are written together after it. */
  async #write(): Promise<void> {
    while (this.#unwritten.length > 0) {
      this.#writing ??= this.#append(this.#unwritten.splice(0)).finally(() => {
        this.#writing = undefined;
      });
      await this.#writing;
    }
    await this.#writing;
  }

  async #append(heads: readonly Head[]): Promise<void> {
    try {
      await mkdir(dirname(this.#file), { recursive: true, mode: 0o700 });
      const file = await open(this.#file, "a", 0o600);
      try {
        await file.writeFile(heads.map(toLine).join(""));
        await file.datasync();
        if ((await file.stat()).size > this.#compactAt) await this.#compact();
      } finally {
        await file.close();
      }
      this.#failing = false;
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Keeps the last head of each tenant, and all of those that contradict each other. */
  async #compact(): Promise<void> {
    const heads = Map.groupBy((await readHeads(this.#file)) ?? [], ({ tenant }) => tenant);
    const kept = [...heads.values()].flatMap((each) => (isRising(each) ? each.slice(-1) : each));
    const next = `${this.#file}.next`;
    await writeFile(next, kept.map(toLine).join(""), { mode: 0o600, flush: true });
    await rename(next, this.#file);
    this.#compactAt = Math.max(maxBytes, 2 * (await stat(this.#file)).size);
  }

  #fail(error: unknown): void {
    if (this.#failing) return;
    this.#failing = true;
    this.#log.warn(
      { file: this.#file, reason: reasonOf(error) },
      "audit: the heads of the log cannot be written to their file",
    );
  }
}

function isRising(heads: readonly Head[]): boolean {
  return heads.every(({ seq }, i) => i === 0 || seq > heads[i - 1]!.seq);
}
