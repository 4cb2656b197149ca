import { promisify } from "node:util";
import * as zlib from "node:zlib";
import type { ForwardConfig } from "../config/schema.ts";

export type Compressor = (body: Buffer) => Promise<Buffer>;

const gzip = promisify<Buffer, zlib.ZlibOptions, Buffer>(zlib.gzip);

/** Off the event loop where Node can (>= 22.15); else by the addon, on it. */
async function zstd(body: Buffer): Promise<Buffer> {
  if ("zstdCompress" in zlib) return promisify<Buffer, Buffer>(zlib.zstdCompress)(body);
  const { native } = await import("../native.ts");
  return native.compress("zstd", body);
}

/** For a body's Content-Encoding; undefined for none. */
export function createCompressor(compression: ForwardConfig["compression"]): Compressor | undefined {
  switch (compression) {
    case "none":
      return undefined;
    case "gzip":
      return (body) => gzip(body, { level: 1 });
    case "zstd":
      return zstd;
  }
}
