/**
 * Merkle trees by RFC 6962: which nodes roots and proofs are made of, and how proofs are checked. A tree is an append-only list of
 * leaves; its complete subtrees never change, so that they can be kept.
 */

/** SHA-256, of whichever platform. */
export type Hash = (bytes: Uint8Array) => Uint8Array | Promise<Uint8Array>;

/** A complete subtree: the one of 2^level leaves that begins at the leaf position x 2^level. */
export interface Node {
  level: number;
  position: number;
}

/** The leaves from `start` until before `end`. */
interface Range {
  start: number;
  end: number;
}

/** Returns the hash of a leaf. */
export async function hashLeaf(hash: Hash, leaf: Uint8Array): Promise<Uint8Array> {
  const bytes = new Uint8Array(1 + leaf.length);
  bytes.set(leaf, 1);
  return hash(bytes);
}

/** Returns the hash of a node with two children. */
export async function hashChildren(hash: Hash, left: Uint8Array, right: Uint8Array): Promise<Uint8Array> {
  const bytes = new Uint8Array(1 + left.length + right.length);
  bytes[0] = 1;
  bytes.set(left, 1);
  bytes.set(right, 1 + left.length);
  return hash(bytes);
}

/** Returns the largest power of two that is less than a number of at least 2. */
function split(size: number): number {
  let power = 1;
  while (power * 2 < size) power *= 2;
  return power;
}

/** Returns the complete subtrees that a subtree of the RFC consists of, from left to right. */
export function nodesOf({ start, end }: Range): Node[] {
  const nodes: Node[] = [];
  for (let at = start; at < end; ) {
    let level = 0;
    while (at % 2 ** (level + 1) === 0 && at + 2 ** (level + 1) <= end) level += 1;
    nodes.push({ level, position: at / 2 ** level });
    at += 2 ** level;
  }
  return nodes;
}

/** Returns the hash of a subtree. @param hashes those of its complete subtrees, from left to right */
export async function fold(hash: Hash, hashes: readonly Uint8Array[]): Promise<Uint8Array> {
  let result = hashes.at(-1);
  for (const left of hashes.slice(0, -1).reverse()) result = await hashChildren(hash, left, result!);
  // The root of the empty tree.
  return result ?? hash(new Uint8Array());
}

/** Returns the subtrees of an inclusion proof, from the leaf to the root: PATH of the RFC. */
export function inclusionPath(index: number, size: number): Range[] {
  const path: Range[] = [];
  let [start, end] = [0, size];
  while (end - start > 1) {
    const middle = start + split(end - start);
    if (index < middle) {
      path.push({ start: middle, end });
      end = middle;
    } else {
      path.push({ start, end: middle });
      start = middle;
    }
  }
  return path.reverse();
}

/** Returns the subtrees of a consistency proof: PROOF of the RFC. @param from a size from 1 to `size` */
export function consistencyPath(from: number, size: number): Range[] {
  const path: Range[] = [];
  let [start, end] = [0, size];
  while (end !== from) {
    const middle = start + split(end - start);
    if (from <= middle) {
      path.push({ start: middle, end });
      end = middle;
    } else {
      path.push({ start, end: middle });
      start = middle;
    }
  }
  if (start > 0) path.push({ start, end });
  return path.reverse();
}

/**
 * Returns the root that an inclusion proof leads to (RFC 9162, 2.1.3.2); undefined if it is not one of such a leaf and
 * size.
 */
export async function rootOfInclusion(
  hash: Hash,
  leaf: Uint8Array,
  { index, size, proof }: { index: number; size: number; proof: readonly Uint8Array[] },
): Promise<Uint8Array | undefined> {
  if (index >= size) return undefined;
  let [node, last, root] = [index, size - 1, leaf];
  for (const sibling of proof) {
    if (last === 0) return undefined;
    if (node % 2 === 1 || node === last) {
      root = await hashChildren(hash, sibling, root);
      while (node % 2 === 0 && node !== 0) {
        node /= 2;
        last = Math.floor(last / 2);
      }
    } else {
      root = await hashChildren(hash, root, sibling);
    }
    node = Math.floor(node / 2);
    last = Math.floor(last / 2);
  }
  return last === 0 ? root : undefined;
}

/** A root and the number of leaves below it. */
export interface TreeHead {
  size: number;
  root: Uint8Array;
}

/** Whether a proof shows that one tree begins with all leaves of another one (RFC 9162, 2.1.4.2). */
export async function isConsistent(
  hash: Hash,
  earlier: TreeHead,
  later: TreeHead,
  proof: readonly Uint8Array[],
): Promise<boolean> {
  if (earlier.size > later.size) return false;
  if (earlier.size === 0) return proof.length === 0;
  if (earlier.size === later.size) return proof.length === 0 && isEqual(earlier.root, later.root);
  let [node, last] = [earlier.size - 1, later.size - 1];
  while (node % 2 === 1) {
    node = Math.floor(node / 2);
    last = Math.floor(last / 2);
  }
  // The root of the earlier tree itself is the first one if that tree is complete.
  const path = node === 0 ? [earlier.root, ...proof] : [...proof];
  const first = path.shift();
  if (first === undefined) return false;
  let [old, root] = [first, first];
  for (const sibling of path) {
    if (last === 0) return false;
    if (node % 2 === 1 || node === last) {
      old = await hashChildren(hash, sibling, old);
      root = await hashChildren(hash, sibling, root);
      while (node % 2 === 0 && node !== 0) {
        node /= 2;
        last = Math.floor(last / 2);
      }
    } else {
      root = await hashChildren(hash, root, sibling);
    }
    node = Math.floor(node / 2);
    last = Math.floor(last / 2);
  }
  return last === 0 && isEqual(old, earlier.root) && isEqual(root, later.root);
}

function isEqual(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
