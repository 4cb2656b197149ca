/** What verification needs of cryptography, by Web Crypto, so that it works in browsers as well. */

import { toHex } from "../base/hex.ts";

export type Bytes = Uint8Array<ArrayBuffer>;

const encoder = new TextEncoder();
const { subtle } = globalThis.crypto;

export async function sha256(data: Uint8Array | string): Promise<Bytes> {
  const bytes = typeof data === "string" ? encoder.encode(data) : Uint8Array.from(data);
  return new Uint8Array(await subtle.digest("SHA-256", bytes));
}

/** @throws {DOMException} if the text is not base64. */
export function fromBase64(text: string): Bytes {
  return Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
}

export async function hexDigest(data: Uint8Array | string): Promise<string> {
  return toHex(await sha256(data));
}

/** An Ed25519 public key. */
export interface PublicKey {
  /** The SHA-256 of the key in DER, in hex. */
  id: string;
  /** The 32 bytes of the key. */
  raw: Bytes;
  verify(bytes: Uint8Array, signature: Uint8Array): Promise<boolean>;
}

const pem = /^-----BEGIN PUBLIC KEY-----\s+([A-Za-z0-9+/=\s]+?)\s*-----END PUBLIC KEY-----\s*$/;
/** What stands before the key in DER: the sequence, and the name of the algorithm. */
const derHead = "302a300506032b6570032100";

/** @throws {Error} if it is no Ed25519 public key in PEM. */
export async function readPublicKey(text: string): Promise<PublicKey> {
  const der = fromBase64(pem.exec(text)?.[1]?.replace(/\s/g, "") ?? "");
  if (der.length !== 44 || toHex(der).slice(0, derHead.length) !== derHead) {
    throw new Error("is no Ed25519 public key in PEM");
  }
  const raw = der.slice(12);
  const key = await subtle.importKey("raw", raw, "Ed25519", false, ["verify"]);
  return {
    id: await hexDigest(der),
    raw,
    verify: (bytes, signature) =>
      subtle.verify("Ed25519", key, Uint8Array.from(signature), Uint8Array.from(bytes)),
  };
}
