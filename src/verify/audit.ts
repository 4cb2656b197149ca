/** Checks what a bundle says of the audit log. */
import { canonicalJson, type Json } from "../base/canonical.ts";
import { fromHex, toHex } from "../base/hex.ts";
import { hashLeaf, isConsistent, rootOfInclusion } from "../base/merkle.ts";
import { plural } from "../base/plural.ts";
import type { BundleContent } from "../evidence/bundle.ts";
import { keyHashOf, parseCheckpoint, type SignedCheckpoint } from "../evidence/note.ts";
import { type Check, checkOf, failed } from "./checks.ts";
import { hexDigest, type PublicKey, sha256 } from "./crypto.ts";

const encoder = new TextEncoder();

export async function checkAudit(
  { audit, tenant }: BundleContent,
  key: PublicKey | undefined,
): Promise<Check[]> {
  const chain = await checkChain(audit.entries);
  let checkpoint: SignedCheckpoint;
  try {
    checkpoint = parseCheckpoint(audit.checkpoint);
  } catch (error) {
    return [chain, failed("checkpoint", `The checkpoint ${(error as Error).message}.`)];
  }
  return [
    chain,
    await checkProofs(audit.entries, checkpoint),
    await checkCheckpoint(audit, tenant, checkpoint, key),
  ];
}

type Entries = BundleContent["audit"]["entries"];

async function checkChain(entries: Entries): Promise<Check> {
  const faults: string[] = [];
  for (const [i, { entry, previous_hash, hash }] of entries.entries()) {
    const previous = entries[i - 1];
    if ((await hexDigest(previous_hash + canonicalJson(entry as Json))) !== hash) {
      faults.push(`Entry ${entry.seq} of the audit log does not fit its hash.`);
    }
    if (previous === undefined) continue;
    if (previous.entry.seq >= entry.seq) faults.push(`Entry ${entry.seq} of the audit log is out of order.`);
    if (previous.entry.seq + 1 === entry.seq && previous.hash !== previous_hash) {
      faults.push(`Entry ${entry.seq} of the audit log does not follow entry ${previous.entry.seq}.`);
    }
  }
  return checkOf(
    "chain",
    faults,
    `${plural(entries.length, "entry", "entries")} of the audit log ${entries.length === 1 ? "fits its hash" : "fit their hashes"}.`,
  );
}

async function checkProofs(entries: Entries, { size, root }: SignedCheckpoint): Promise<Check> {
  const faults: string[] = [];
  for (const { entry, proof } of entries) {
    const leaf = await hashLeaf(sha256, encoder.encode(canonicalJson(entry as Json)));
    const at = { index: entry.seq - 1, size, proof: proof.map(fromHex) };
    const found = await rootOfInclusion(sha256, leaf, at);
    if (found === undefined || toHex(found) !== root) {
      faults.push(`Entry ${entry.seq} is not proven to be in the log of the checkpoint.`);
    }
  }
  return checkOf(
    "proofs",
    faults,
    `${plural(entries.length, "entry is", "entries are")} in the log of the checkpoint.`,
  );
}

async function checkCheckpoint(
  { previous }: BundleContent["audit"],
  tenant: string,
  checkpoint: SignedCheckpoint,
  key: PublicKey | undefined,
): Promise<Check> {
  const faults: string[] = [];
  const { origin, size } = checkpoint;
  if (!origin.endsWith(`/${encodeURIComponent(tenant)}`)) faults.push("The checkpoint is of another log.");
  if (key !== undefined && !(await isSignedBy(checkpoint, key))) {
    faults.push("The checkpoint is not signed by the bundle's key.");
  }
  if (previous !== null) {
    try {
      const earlier = parseCheckpoint(previous.checkpoint);
      const heads = [earlier, checkpoint].map((each) => ({ size: each.size, root: fromHex(each.root) }));
      if (earlier.origin !== origin) faults.push("The previous checkpoint is of another log.");
      // It may have been signed before the key was replaced.
      if (key !== undefined && (await isSignedBy(earlier, key)) === false) {
        faults.push("The previous checkpoint is not signed by the key that it names.");
      }
      if (!(await isConsistent(sha256, heads[0]!, heads[1]!, previous.proof.map(fromHex)))) {
        faults.push("The log is not proven to begin with all entries of the previous checkpoint.");
      }
    } catch (error) {
      faults.push(`The previous checkpoint ${(error as Error).message}.`);
    }
  }
  const grown = previous === null ? "" : ", and begins with all entries of the previous checkpoint";
  return checkOf(
    "checkpoint",
    faults,
    `The log of ${origin} has ${plural(size, "entry", "entries")}${grown}.`,
  );
}

/** Whether one of the signatures of a checkpoint is the key's; undefined if none names the key. */
export async function isSignedBy(
  { text, origin, signatures }: SignedCheckpoint,
  key: PublicKey,
): Promise<boolean | undefined> {
  const keyHash = await keyHashOf(sha256, origin, key.raw);
  const own = signatures.filter((each) => each.name === origin && each.keyHash === keyHash);
  for (const { signature } of own) if (await key.verify(encoder.encode(text), signature)) return true;
  return own.length === 0 ? undefined : false;
}
