import { hash } from "node:crypto";

/** Returns the SHA-256 of the data, in hex. */
export function sha256(data: string | Uint8Array): string {
  return hash("sha256", data, "hex");
}

/** Returns the 32 bytes of the SHA-256 of the data. */
export function sha256Bytes(data: string | Uint8Array): Buffer {
  return hash("sha256", data, "buffer");
}
