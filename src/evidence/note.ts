/** Checkpoints of audit logs as signed notes: the forms of C2SP `signed-note` and `tlog-checkpoint`. */
import type { Hash } from "../base/merkle.ts";

/** What a checkpoint says. */
export interface Checkpoint {
  /** The name of the log, which is also the name of its key. */
  origin: string;
  /** The number of entries. */
  size: number;
  /** The root of the Merkle tree, in hex. */
  root: string;
}

export interface SignedCheckpoint extends Checkpoint {
  /** What is signed. */
  text: string;
  /** The signatures: the name of the key, the first four bytes of its hash, and the signature itself. */
  signatures: { name: string; keyHash: string; signature: Uint8Array }[];
}

const ed25519 = 1;
const keyBytes = 32;
const hexOf = (bytes: Uint8Array) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
const bytesOf = (hex: string) => Uint8Array.from(hex.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
const fromBase64 = (text: string) => Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
const toBase64 = (bytes: Uint8Array) => btoa(String.fromCharCode(...bytes));

/** Returns the name of the log of a tenant. */
export function originOf(installation: string, tenant: string): string {
  return `${installation}/${encodeURIComponent(tenant)}`;
}

export function checkpointText({ origin, size, root }: Checkpoint): string {
  return `${origin}\n${size}\n${toBase64(bytesOf(root))}\n`;
}

/** Returns the hash that notes name a key by. @param publicKey its 32 bytes */
export async function keyHashOf(hash: Hash, name: string, publicKey: Uint8Array): Promise<string> {
  const text = new TextEncoder().encode(`${name}\n`);
  const bytes = new Uint8Array(text.length + 1 + keyBytes);
  bytes.set(text);
  bytes[text.length] = ed25519;
  bytes.set(publicKey, text.length + 1);
  return hexOf(await hash(bytes)).slice(0, 8);
}

/** Returns the key as verifiers of notes read it: the name, the hash, and the key with its type. */
export async function noteKey(hash: Hash, name: string, publicKey: Uint8Array): Promise<string> {
  const key = toBase64(Uint8Array.of(ed25519, ...publicKey));
  return `${name}+${await keyHashOf(hash, name, publicKey)}+${key}`;
}

export async function signNote(
  hash: Hash,
  text: string,
  {
    name,
    publicKey,
    sign,
  }: { name: string; publicKey: Uint8Array; sign(bytes: Uint8Array): Promise<Uint8Array> },
): Promise<string> {
  const keyHash = bytesOf(await keyHashOf(hash, name, publicKey));
  const signature = await sign(new TextEncoder().encode(text));
  return `${text}\n— ${name} ${toBase64(Uint8Array.of(...keyHash, ...signature))}\n`;
}

/** @throws {Error} if the text is no checkpoint. */
export function parseCheckpoint(note: string): SignedCheckpoint {
  const end = note.lastIndexOf("\n\n");
  const text = note.slice(0, end + 1);
  const [, origin, size, root] =
    /^(\S+)\n(0|[1-9]\d{0,14})\n([A-Za-z0-9+/]{43}=)\n(?:.+\n)*$/.exec(text) ?? [];
  const lines = note.slice(end + 2).split("\n");
  if (end < 0 || origin === undefined || lines.pop() !== "" || lines.length === 0) {
    throw new Error("is not a checkpoint: a name, a number of entries, a root and signatures");
  }
  const signatures = lines.map((line) => {
    const [, name, encoded] = /^— (\S+) ([A-Za-z0-9+/]{8,}={0,2})$/.exec(line) ?? [];
    if (name === undefined)
      throw new Error(`is not a checkpoint: ${JSON.stringify(line)} is not a signature`);
    const bytes = fromBase64(encoded!);
    // Otherwise several texts would mean the same signature.
    if (toBase64(bytes) !== encoded)
      throw new Error("is not a checkpoint: a signature is not canonical base64");
    return { name, keyHash: hexOf(bytes.subarray(0, 4)), signature: bytes.subarray(4) };
  });
  return { origin, size: Number(size), root: hexOf(fromBase64(root!)), text, signatures };
}

/**
 * Parses checkpoints that stand one after another, with or without blank lines between them.
 * @throws {Error} if there is something else.
 */
export function parseCheckpoints(text: string): SignedCheckpoint[] {
  // A note ends with its last signature.
  const notes = text.split(/(?<=\n— .+\n)(?!— )/);
  return notes
    .map((note) => note.replace(/^\n+/, ""))
    .filter((note) => note !== "")
    .map(parseCheckpoint);
}
