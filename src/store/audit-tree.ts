/**
 * The Merkle tree (RFC 6962) of each tenant's audit log. A leaf is an entry's canonical JSON. The complete subtrees are kept in
 * `audit_nodes`, which grows whenever a proof is asked for and can be computed again from the log at any time: what they
 * say is believed no more than the log.
 */
import { type Insertable, sql } from "kysely";
import {
  consistencyPath,
  fold,
  hashChildren,
  hashLeaf,
  inclusionPath,
  type Node,
  nodesOf,
} from "../base/merkle.ts";
import { sha256Bytes } from "../base/sha256.ts";
import { checkTenant } from "./arguments.ts";
import type { AuditEntry } from "./audit-chain.ts";
import type { Context } from "./context.ts";
import { BulkInsert } from "./database/bulk.ts";
import type { Tables } from "./database/tables.ts";

/** An entry of the log as it is stored. */
export interface LoggedEntry {
  seq: number;
  /** The canonical JSON of the entry. */
  text: string;
  previousHash: string;
  hash: string;
}

/** A subtree of a growing tree. */
interface Subtree extends Node {
  hash: Uint8Array;
}

const batch = 500;
/** The number of nodes per query. */
const asked = 200;

const insertNodes = new BulkInsert<"audit_nodes">(
  ["tenant", "level", "position", "hash", "target"],
  (db, rows) =>
    db
      .insertInto("audit_nodes")
      .values(rows)
      .onConflict((conflict) => conflict.doNothing()),
);

/** The right edge of a tree, to which leaves are appended: its complete subtrees from left to right. */
export class Frontier {
  readonly #subtrees: Subtree[];

  constructor(subtrees: readonly Subtree[] = []) {
    this.#subtrees = [...subtrees];
  }

  /** Returns the nodes that the leaf completes. */
  async append(position: number, leaf: string): Promise<Subtree[]> {
    let latest: Subtree = { level: 0, position, hash: await hashLeaf(sha256Bytes, Buffer.from(leaf)) };
    const completed = [latest];
    while (this.#subtrees.at(-1)?.level === latest.level) {
      const left = this.#subtrees.pop()!;
      latest = {
        level: latest.level + 1,
        position: left.position / 2,
        hash: await hashChildren(sha256Bytes, left.hash, latest.hash),
      };
      completed.push(latest);
    }
    this.#subtrees.push(latest);
    return completed;
  }

  /** The root of the tree, in hex. */
  async root(): Promise<string> {
    const root = await fold(
      sha256Bytes,
      this.#subtrees.map((subtree) => subtree.hash),
    );
    return Buffer.from(root).toString("hex");
  }
}

export class AuditTree {
  readonly #context: Context;

  constructor(context: Context) {
    this.#context = context;
  }

  /** Takes in the entries that were logged since, and resolves to the number of leaves. */
  async grow(tenant: string): Promise<number> {
    checkTenant(tenant);
    const { read, write } = this.#context.database;
    const { last } = await read
      .selectFrom("audit_nodes")
      .select((eb) => eb.fn.max("position").as("last"))
      .where("tenant", "=", tenant)
      .where("level", "=", 0n)
      .executeTakeFirstOrThrow();
    let size = last === null ? 0 : Number(last) + 1;
    const edge = nodesOf({ start: 0, end: size });
    const hashes = await this.#hashes(tenant, edge);
    const frontier = new Frontier(edge.map((node, i) => ({ ...node, hash: hashes[i]! })));
    for (;;) {
      const entries = await read
        .selectFrom("audit_log")
        .select(["seq", "entry"])
        .where("tenant", "=", tenant)
        .where("seq", ">", BigInt(size))
        .orderBy("seq")
        .limit(batch)
        .execute();
      const rows: Insertable<Tables["audit_nodes"]>[] = [];
      for (const { seq, entry } of entries) {
        if (Number(seq) !== size + 1)
          throw new Error(`audit log: entry ${size + 1} is missing; run driftlock audit verify`);
        const { target } = JSON.parse(entry) as AuditEntry;
        for (const node of await frontier.append(size, entry)) {
          rows.push({
            tenant,
            level: BigInt(node.level),
            position: BigInt(node.position),
            hash: Buffer.from(node.hash).toString("hex"),
            target: node.level === 0 ? target : null,
          });
        }
        size += 1;
      }
      if (rows.length > 0) await write.transaction().execute((trx) => insertNodes.run(trx, rows));
      if (entries.length < batch) return size;
    }
  }

  /** Returns the root of the first `size` leaves, in hex. */
  async root(tenant: string, size: number): Promise<string> {
    return (await this.#folded(tenant, [{ start: 0, end: size }]))[0]!;
  }

  /** Returns the inclusion proof of an entry, in hex. */
  inclusion(tenant: string, seq: number, size: number): Promise<string[]> {
    return this.#folded(tenant, inclusionPath(seq - 1, size));
  }

  /** Returns the proof that the first `size` leaves begin with the first `from` ones, in hex. */
  consistency(tenant: string, from: number, size: number): Promise<string[]> {
    return this.#folded(tenant, from === 0 ? [] : consistencyPath(from, size));
  }

  /** Returns the latest entries about any of the targets, oldest first, and the number of earlier ones. */
  async about(
    tenant: string,
    targets: readonly string[],
    size: number,
    limit: number,
  ): Promise<{ entries: LoggedEntry[]; leftOut: number }> {
    const { read } = this.#context.database;
    // Only leaves have a target. To ask for their level as well would make SQLite read all leaves instead of the index.
    const leaves = read
      .selectFrom("audit_nodes")
      .where("tenant", "=", tenant)
      .where("target", "in", targets)
      .where("position", "<", BigInt(size));
    const { n } = await leaves.select((eb) => eb.fn.countAll<bigint>().as("n")).executeTakeFirstOrThrow();
    const latest = await leaves.select("position").orderBy("position", "desc").limit(limit).execute();
    if (latest.length === 0) return { entries: [], leftOut: 0 };
    const rows = await read
      .selectFrom("audit_log")
      .selectAll()
      .where("tenant", "=", tenant)
      .where(
        "seq",
        "in",
        latest.map(({ position }) => position + 1n),
      )
      .orderBy("seq")
      .execute();
    return {
      entries: rows.map(({ seq, entry, previous_hash: previousHash, hash }) => ({
        seq: Number(seq),
        text: entry,
        previousHash,
        hash,
      })),
      leftOut: Number(n) - latest.length,
    };
  }

  /** Returns the checkpoint that was issued last; undefined if there is none. */
  async lastCheckpoint(tenant: string): Promise<{ size: number; note: string } | undefined> {
    const row = await this.#context.database.read
      .selectFrom("audit_checkpoints")
      .select(["size", "note"])
      .where("tenant", "=", tenant)
      .executeTakeFirst();
    return row && { size: Number(row.size), note: row.note };
  }

  /** Keeps a checkpoint that was issued, unless a later one is kept. */
  async keepCheckpoint(tenant: string, size: number, note: string): Promise<void> {
    await this.#context.database.write
      .insertInto("audit_checkpoints")
      .values({ tenant, size: BigInt(size), note })
      .onConflict((conflict) =>
        conflict
          .column("tenant")
          .doUpdateSet({ size: BigInt(size), note })
          .where("audit_checkpoints.size", "<", BigInt(size)),
      )
      .execute();
  }

  async #folded(tenant: string, ranges: readonly { start: number; end: number }[]): Promise<string[]> {
    const parts = ranges.map(nodesOf);
    const hashes = await this.#hashes(tenant, parts.flat());
    const folded: string[] = [];
    for (const part of parts) {
      folded.push(Buffer.from(await fold(sha256Bytes, hashes.splice(0, part.length))).toString("hex"));
    }
    return folded;
  }

  async #hashes(tenant: string, nodes: readonly Node[]): Promise<Uint8Array[]> {
    const found = new Map<string, Uint8Array>();
    for (let at = 0; at < nodes.length; at += asked) {
      const names = nodes
        .slice(at, at + asked)
        .map(({ level, position }) => sql`(${sql.lit(level)}, ${sql.lit(position)})`);
      const rows = await this.#context.database.read
        .selectFrom("audit_nodes")
        .select(["level", "position", "hash"])
        .where("tenant", "=", tenant)
        .where(sql<boolean>`(level, position) in (values ${sql.join(names)})`)
        .execute();
      for (const row of rows) found.set(`${row.level} ${row.position}`, Buffer.from(row.hash, "hex"));
    }
    return nodes.map(({ level, position }) => {
      const known = found.get(`${level} ${position}`);
      if (known === undefined)
        throw new Error(`audit log: a node of its tree is missing (${level}, ${position})`);
      return known;
    });
  }
}
