import { createHash } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  consistencyPath,
  fold,
  hashChildren,
  hashLeaf,
  inclusionPath,
  isConsistent,
  nodesOf,
  rootOfInclusion,
} from "../../src/base/merkle.ts";

const hash = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest();
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");

/** The definition of RFC 6962, as it stands there. */
async function mth(leaves: readonly Uint8Array[]): Promise<Uint8Array> {
  if (leaves.length === 0) return hash(new Uint8Array());
  if (leaves.length === 1) return hashLeaf(hash, leaves[0]!);
  const k = 2 ** Math.ceil(Math.log2(leaves.length) - 1);
  return hashChildren(hash, await mth(leaves.slice(0, k)), await mth(leaves.slice(k)));
}

const proofOf = (leaves: readonly Uint8Array[], path: { start: number; end: number }[]) =>
  Promise.all(
    path.map(async (range) => {
      const nodes = nodesOf(range).map(({ level, position }) =>
        mth(leaves.slice(position * 2 ** level, (position + 1) * 2 ** level)),
      );
      return fold(hash, await Promise.all(nodes));
    }),
  );

// The leaves and roots of the tests of Certificate Transparency, which the implementations of RFC 6962 share.
const leaves = [
  "",
  "00",
  "10",
  "2021",
  "3031",
  "40414243",
  "5051525354555657",
  "606162636465666768696a6b6c6d6e6f",
].map((text) => Buffer.from(text, "hex"));
const roots = [
  "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
  "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
  "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
  "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
  "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
  "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
  "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
  "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];

describe("a tree", () => {
  it("has the known roots", async () => {
    for (const [i, root] of roots.entries()) {
      expect(hex(await mth(leaves.slice(0, i + 1)))).toBe(root);
      const [whole] = await proofOf(leaves, [{ start: 0, end: i + 1 }]);
      expect(hex(whole!)).toBe(root);
    }
    expect(hex(await fold(hash, []))).toBe(hex(hash(new Uint8Array())));
  });

  it("has the known proofs", async () => {
    const hexes = async (path: { start: number; end: number }[]) => (await proofOf(leaves, path)).map(hex);
    expect(await hexes(inclusionPath(5, 8))).toEqual([
      "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
      "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
      "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ]);
    expect(await hexes(consistencyPath(6, 8))).toEqual([
      "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
      "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
      "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ]);
    expect(await hexes(consistencyPath(8, 8))).toEqual([]);
  });
});

const sizes = fc
  .integer({ min: 1, max: 70 })
  .chain((size) => fc.record({ size: fc.constant(size), of: fc.integer({ min: 0, max: size - 1 }) }));
const numbered = (size: number) => Array.from({ length: size }, (_, i) => Uint8Array.of(i));

it("proves each leaf, and no other one", async () => {
  await fc.assert(
    fc.asyncProperty(sizes, async ({ size, of }) => {
      const all = numbered(size);
      const proof = await proofOf(all, inclusionPath(of, size));
      const root = hex(await mth(all));
      const leaf = await hashLeaf(hash, all[of]!);
      const lead = async (given: Parameters<typeof rootOfInclusion>[2], from = leaf) => {
        const found = await rootOfInclusion(hash, from, given);
        return found && hex(found);
      };
      expect(await lead({ index: of, size, proof })).toBe(root);
      expect(await lead({ index: of, size, proof }, hash(leaf))).not.toBe(root);
      expect(await lead({ index: size, size, proof })).toBeUndefined();
      expect(await lead({ index: of, size, proof: [...proof, leaf] })).not.toBe(root);
      if (proof.length > 0) expect(await lead({ index: of, size, proof: proof.slice(1) })).not.toBe(root);
      if (size > 1) expect(await lead({ index: (of + 1) % size, size, proof })).not.toBe(root);
    }),
    { numRuns: 60 },
  );
});

it("proves that a tree begins with an earlier one, and with no other", async () => {
  await fc.assert(
    fc.asyncProperty(sizes, async ({ size, of }) => {
      const all = numbered(size);
      const from = of + 1;
      const proof = await proofOf(all, consistencyPath(from, size));
      const earlier = { size: from, root: await mth(all.slice(0, from)) };
      const later = { size, root: await mth(all) };
      expect(await isConsistent(hash, earlier, later, proof)).toBe(true);
      expect(await isConsistent(hash, { ...earlier, root: hash(earlier.root) }, later, proof)).toBe(false);
      expect(await isConsistent(hash, earlier, { ...later, root: hash(later.root) }, proof)).toBe(false);
      expect(await isConsistent(hash, earlier, later, [...proof, later.root])).toBe(false);
      if (proof.length > 0) expect(await isConsistent(hash, earlier, later, proof.slice(1))).toBe(false);
      if (from < size) expect(await isConsistent(hash, later, earlier, proof)).toBe(false);
    }),
    { numRuns: 60 },
  );
});
