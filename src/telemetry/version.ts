import { readFileSync } from "node:fs";
import process from "node:process";

export interface Versions {
  version: string;
  node: string;
  /** Of the libraries in the addon; `openzlFormat` is that of OpenZL's frames. */
  codecs: Readonly<Record<string, string>>;
}

/** The package's version; DRIFTLOCK_VERSION, which a build sets, goes before it. */
function packageVersion(): string {
  if (process.env.DRIFTLOCK_VERSION) return process.env.DRIFTLOCK_VERSION;
  const manifest = readFileSync(new URL("../../package.json", import.meta.url), "utf8");
  return (JSON.parse(manifest) as { version: string }).version;
}

/** @param codecs `native.versions`: the addon is not loaded for a version alone. */
export function versions(codecs: Versions["codecs"]): Versions {
  return { version: packageVersion(), node: process.versions.node, codecs };
}
