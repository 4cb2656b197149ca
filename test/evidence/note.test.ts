import { createHash, generateKeyPairSync, sign } from "node:crypto";
import { expect, it } from "vitest";
import {
  checkpointText,
  keyHashOf,
  noteKey,
  originOf,
  parseCheckpoint,
  parseCheckpoints,
  signNote,
} from "../../src/evidence/note.ts";
import { isSignedBy } from "../../src/verify/audit.ts";
import { readPublicKey } from "../../src/verify/crypto.ts";

const hash = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest();
const { publicKey, privateKey } = generateKeyPairSync("ed25519");
const pem = publicKey.export({ format: "pem", type: "spki" }) as string;
const raw = publicKey.export({ format: "der", type: "spki" }).subarray(-32);
const root = "ab".repeat(32);

async function note(size: number, tenant = "acme"): Promise<string> {
  const name = originOf("log.example", tenant);
  const text = checkpointText({ origin: name, size, root });
  return signNote(hash, text, { name, publicKey: raw, sign: async (bytes) => sign(null, bytes, privateKey) });
}

it("names keys as other implementations of notes do", async () => {
  // The key of sum.golang.org, as Go has it built in.
  const known = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8";
  const [name, keyHash, encoded] = known.split(/\+(.{8})\+/);
  const key = Buffer.from(encoded!, "base64").subarray(1);
  expect(await keyHashOf(hash, name!, key)).toBe(keyHash);
  expect(await noteKey(hash, name!, key)).toBe(known);
});

it("writes what it reads, and verifies it", async () => {
  const text = await note(12);
  expect(text).toMatch(
    /^log\.example\/acme\n12\n[A-Za-z0-9+/]{43}=\n\n— log\.example\/acme [A-Za-z0-9+/=]+\n$/,
  );
  const read = parseCheckpoint(text);
  expect(read).toMatchObject({ origin: "log.example/acme", size: 12, root });
  const key = await readPublicKey(pem);
  expect(await isSignedBy(read, key)).toBe(true);
  const other = await readPublicKey(
    generateKeyPairSync("ed25519").publicKey.export({ format: "pem", type: "spki" }) as string,
  );
  expect(await isSignedBy(read, other)).toBeUndefined();
  for (const changed of [text.replace("\n12\n", "\n13\n"), text.replace(/acme/g, "acmf")]) {
    expect(await isSignedBy(parseCheckpoint(changed), key)).not.toBe(true);
  }
});

it("names the log of any tenant in one word", () => {
  expect(originOf("x", "a b/ü+\n")).toBe("x/a%20b%2F%C3%BC%2B%0A");
});

it("reads several checkpoints, and nothing else", async () => {
  const [one, two] = [await note(0), await note(7, "other")];
  for (const text of [one + two, `${one}\n\n${two}`, `\n${one}${two}\n`]) {
    expect(parseCheckpoints(text).map(({ origin, size }) => [origin, size])).toEqual([
      ["log.example/acme", 0],
      ["log.example/other", 7],
    ]);
  }
  expect(parseCheckpoints("")).toEqual([]);
  for (const text of [
    "x",
    one.slice(0, -1),
    `${one}x\n`,
    one.replace("\n0\n", "\n00\n"),
    one.replace("— ", "- "),
  ]) {
    expect(() => parseCheckpoints(text)).toThrow("is not a checkpoint");
  }
});
