/** Makes a signed bundle of its content. */
import { canonicalJson, type Json } from "../base/canonical.ts";
import { sha256 } from "../base/sha256.ts";
import type { BundleContent, Envelope } from "./bundle.ts";
import { writeLines } from "./layout.ts";
import {
  payloadType,
  predicateType,
  type Statement,
  signedBytes,
  statementType,
  subjectName,
} from "./statement.ts";

/** A private key, wherever it is. */
export interface Signer {
  /** The SHA-256 of the public key in DER, in hex. */
  readonly keyId: string;
  /** The public key in PEM. */
  readonly publicKey: string;
  /** Resolves to the Ed25519 signature of the bytes. */
  sign(bytes: Uint8Array): Promise<Uint8Array>;
}

/** Names the content and each of its members by their digests, so that whatever is altered later can be named. */
function statementOf(
  content: BundleContent,
  text: string,
  members: readonly (readonly [name: string, text: string])[],
): Statement {
  const subject: Statement["subject"] = [];
  for (const [name, member] of [[undefined, text] as const, ...members]) {
    subject.push({ name: subjectName(name), digest: { sha256: sha256(member) } });
  }
  return {
    _type: statementType,
    subject,
    predicateType,
    predicate: {
      format: content.format,
      id: content.id,
      tenant: content.tenant,
      created_at: content.created_at,
    },
  };
}

/**
 * Returns the file of the signed bundle.
 * @param content names the signer's key
 * @param stamp resolves to a time-stamp token for the signature, if an authority is configured
 */
export async function seal(
  content: BundleContent,
  signer: Signer,
  stamp?: (signature: Uint8Array) => Promise<Uint8Array>,
): Promise<string> {
  // The content is large, so each member is converted once.
  const members: (readonly [name: string, text: string])[] = [];
  for (const [name, value] of Object.entries(content).sort(([a], [b]) => (a < b ? -1 : 1))) {
    members.push([name, canonicalJson(value as Json)]);
  }
  const text = `{${members.map(([name, member]) => `${JSON.stringify(name)}:${member}`).join(",")}}`;
  const payload = Buffer.from(canonicalJson(statementOf(content, text, members)));
  const signature = await signer.sign(signedBytes(payloadType, payload));
  const envelope: Envelope = {
    payload: payload.toString("base64"),
    payloadType,
    signatures: [{ keyid: signer.keyId, sig: Buffer.from(signature).toString("base64") }],
  };
  const token = await stamp?.(signature);
  return writeLines({
    format: canonicalJson(content.format),
    content: text,
    envelope: canonicalJson(envelope as unknown as Json),
    timestamp: token === undefined ? "null" : canonicalJson(Buffer.from(token).toString("base64")),
  });
}
