/** Snapshots: what is held of each tenant is plain data, which is packed as it is. */
import { createHash } from "node:crypto";
import { deserialize, serialize } from "node:v8";
import type { TenantState } from "./tenant.ts";

/** The number of the format, which changes with what is held. */
const format = 3;
const magic = Buffer.from(`driftlock incidents ${format}\n`);
const digestSize = 32;

const digestOf = (body: Uint8Array) => createHash("sha256").update(body).digest();

export function pack(tenants: ReadonlyMap<string, TenantState>): Buffer {
  const body = serialize(tenants);
  return Buffer.concat([magic, digestOf(body), body]);
}

/** Returns undefined if the bytes are not a snapshot of this format, or are damaged. */
export function unpack(snapshot: Uint8Array): Map<string, TenantState> | undefined {
  const bytes = Buffer.from(snapshot.buffer, snapshot.byteOffset, snapshot.byteLength);
  if (!bytes.subarray(0, magic.length).equals(magic)) return undefined;
  const body = bytes.subarray(magic.length + digestSize);
  if (!bytes.subarray(magic.length, magic.length + digestSize).equals(digestOf(body))) return undefined;
  return deserialize(body);
}
