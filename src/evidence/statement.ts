/** The statement about a bundle's content (in-toto, Statement v1), and what of it is signed (DSSE). */
import { z } from "zod";

export const payloadType = "application/vnd.in-toto+json";
export const statementType = "https://in-toto.io/Statement/v1";
export const predicateType = "https://driftlock.example/evidence/v1";

export const statementSchema = z.strictObject({
  _type: z.literal(statementType),
  subject: z.array(z.strictObject({ name: z.string(), digest: z.strictObject({ sha256: z.string() }) })),
  predicateType: z.literal(predicateType),
  predicate: z.strictObject({
    format: z.string(),
    id: z.string(),
    tenant: z.string(),
    created_at: z.string(),
  }),
});

export type Statement = z.output<typeof statementSchema>;

/** Returns the name of the content, or of one of its members, in the statement. */
export function subjectName(member?: string): string {
  return member === undefined ? "content" : `content/${member}`;
}

/** Returns the bytes that are signed: the pre-authentication encoding of DSSE. */
export function signedBytes(type: string, payload: Uint8Array): Uint8Array {
  const encoder = new TextEncoder();
  const head = encoder.encode(`DSSEv1 ${encoder.encode(type).length} ${type} ${payload.length} `);
  const bytes = new Uint8Array(head.length + payload.length);
  bytes.set(head);
  bytes.set(payload, head.length);
  return bytes;
}
