/** What a bundle says about the audit log: a checkpoint of the whole log, and proofs of the entries about the subject. */
import { hashLeaf, rootOfInclusion } from "../base/merkle.ts";
import { sha256Bytes } from "../base/sha256.ts";
import { type AuditTree, type LoggedEntry, retentionTarget } from "../store/index.ts";
import type { BundleAuditEntry, BundleContent } from "./bundle.ts";
import { checkpointText, originOf, parseCheckpoint, signNote } from "./note.ts";
import type { Signer } from "./seal.ts";
import { rawKey } from "./signing-keys.ts";

/** The largest number of entries of a bundle, about its subject and about what the retention has deleted. */
const maxEntries = 1_000;
const maxDeletions = 100;

const fromHex = (text: string): Uint8Array => Buffer.from(text, "hex");

const altered = (tenant: string) =>
  new Error(`the audit log of tenant ${tenant} was altered; run driftlock audit verify to see where`);

/** Resolves to a signed checkpoint of the tenant's whole log. */
export async function issueCheckpoint(
  tree: AuditTree,
  { installation, tenant, size }: { installation: string; tenant: string; size: number },
  signer: Signer,
): Promise<{ note: string; root: string }> {
  const origin = originOf(installation, tenant);
  const root = await tree.root(tenant, size);
  const text = checkpointText({ origin, size, root });
  const key = { name: origin, publicKey: rawKey(signer.publicKey), sign: signer.sign };
  return { note: await signNote(sha256Bytes, text, key), root };
}

async function provenEntry(
  tree: AuditTree,
  tenant: string,
  { seq, text, previousHash, hash }: LoggedEntry,
  head: { size: number; root: string },
): Promise<BundleAuditEntry> {
  const proof = await tree.inclusion(tenant, seq, head.size);
  const leaf = await hashLeaf(sha256Bytes, Buffer.from(text));
  const at = { index: seq - 1, size: head.size, proof: proof.map(fromHex) };
  const root = await rootOfInclusion(sha256Bytes, leaf, at);
  // The entry, or the tree that is kept beside the log, is not what it was.
  if (root === undefined || Buffer.from(root).toString("hex") !== head.root) throw altered(tenant);
  return {
    entry: JSON.parse(text) as BundleAuditEntry["entry"],
    previous_hash: previousHash,
    hash,
    proof,
  };
}

/**
 * Proves the entries about the targets, and the latest ones about what the retention has deleted, and that the log has only grown since the last checkpoint.
 * @throws {Error} if the log was altered.
 */
export async function proveAudit(
  tree: AuditTree,
  { installation, tenant, targets }: { installation: string; tenant: string; targets: readonly string[] },
  signer: Signer,
): Promise<{ audit: BundleContent["audit"]; size: number; deletions: number }> {
  const previous = await tree.lastCheckpoint(tenant);
  const size = await tree.grow(tenant);
  if (previous !== undefined && previous.size > size) throw altered(tenant);
  const { note, root } = await issueCheckpoint(tree, { installation, tenant, size }, signer);
  if (
    previous !== undefined &&
    parseCheckpoint(previous.note).root !== (await tree.root(tenant, previous.size))
  ) {
    throw altered(tenant);
  }
  const own = await tree.about(tenant, targets, size, maxEntries);
  const deletions = await tree.about(tenant, [retentionTarget], size, maxDeletions);
  const proven: BundleAuditEntry[] = [];
  const entries = [...own.entries, ...deletions.entries].sort((a, b) => a.seq - b.seq);
  for (const entry of entries) proven.push(await provenEntry(tree, tenant, entry, { size, root }));
  return {
    size,
    deletions: deletions.entries.length + deletions.leftOut,
    audit: {
      checkpoint: note,
      entries: proven,
      left_out: own.leftOut,
      previous:
        previous === undefined
          ? null
          : { checkpoint: previous.note, proof: await tree.consistency(tenant, previous.size, size) },
    },
  };
}
