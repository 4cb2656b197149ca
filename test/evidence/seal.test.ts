import { createHash, generateKeyPairSync, sign, verify } from "node:crypto";
import { expect, it } from "vitest";
import { canonicalJson, type Json } from "../../src/base/canonical.ts";
import { type Bundle, bundleSchema } from "../../src/evidence/bundle.ts";
import { readLines, writeLines } from "../../src/evidence/layout.ts";
import { type Signer, seal } from "../../src/evidence/seal.ts";
import { statementSchema } from "../../src/evidence/statement.ts";
import { exampleContent } from "./content.ts";

const { publicKey, privateKey } = generateKeyPairSync("ed25519");
const signer: Signer = {
  keyId: createHash("sha256")
    .update(publicKey.export({ format: "der", type: "spki" }))
    .digest("hex"),
  publicKey: publicKey.export({ format: "pem", type: "spki" }) as string,
  sign: async (bytes) => sign(null, bytes, privateKey),
};
const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");

it("makes a file that fits the schema, the same for the same content", async () => {
  const file = await seal(exampleContent(signer), signer);
  expect(await seal(exampleContent(signer), signer)).toBe(file);
  const bundle = bundleSchema.parse(JSON.parse(file));
  expect(bundle.content).toEqual(exampleContent(signer));
  expect(bundle.timestamp).toBeNull();
});

it("signs a statement that names the content and each member of it", async () => {
  const content = exampleContent(signer);
  const file = await seal(content, signer);
  const { envelope } = JSON.parse(file) as Bundle;
  const payload = Buffer.from(envelope.payload, "base64");
  const { subject } = statementSchema.parse(JSON.parse(payload.toString()));
  const digests = new Map(subject.map(({ name, digest }) => [name, digest.sha256]));
  expect(digests.get("content")).toBe(sha256(readLines(file).content));
  expect(digests.get("content/anomalies")).toBe(sha256(canonicalJson(content.anomalies as unknown as Json)));
  expect(digests.size).toBe(Object.keys(content).length + 1);
  const signed = Buffer.concat([
    Buffer.from(`DSSEv1 ${envelope.payloadType.length} ${envelope.payloadType} ${payload.length} `),
    payload,
  ]);
  const [signature] = envelope.signatures;
  expect(signature!.keyid).toBe(signer.keyId);
  expect(verify(null, signed, publicKey, Buffer.from(signature!.sig, "base64"))).toBe(true);
});

it("contains the token of a time-stamping authority for the signature", async () => {
  const file = await seal(exampleContent(signer), signer, async (signature) => signature.toReversed());
  const { envelope, timestamp } = JSON.parse(file) as Bundle;
  const signature = Buffer.from(envelope.signatures[0]!.sig, "base64");
  expect(Buffer.from(timestamp!, "base64")).toEqual(Buffer.from(signature.toReversed()));
});

it("puts one member on each line, and reads nothing else", async () => {
  const file = await seal(exampleContent(signer), signer);
  expect(file.split("\n")).toHaveLength(7);
  expect(writeLines(readLines(file))).toBe(file);
  for (const other of [
    `${file}\n`,
    file.slice(0, -1),
    ` ${file}`,
    file.replace(',\n"envelope"', ', "envelope"'),
    "",
    "{}",
  ]) {
    expect(() => readLines(other)).toThrow(/line|file/);
  }
});
