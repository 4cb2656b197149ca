import { sha256 } from "../base/sha256.ts";

const streamIds = new Map<string, string>();
const maxStreamIds = 10_000;

/** Returns the stable id of a stream: 32 hex digits of the SHA-256 of its key. */
export function streamId(key: string): string {
  const known = streamIds.get(key);
  if (known !== undefined) return known;
  const id = sha256(key).slice(0, 32);
  if (streamIds.size >= maxStreamIds) streamIds.clear();
  streamIds.set(key, id);
  return id;
}
