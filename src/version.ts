import { readFileSync } from "node:fs";
import { env, versions as nodeVersions } from "node:process";

/** The package's version; DRIFTLOCK_VERSION, which a build sets, goes before it. */
export function packageVersion(): string {
  if (env.DRIFTLOCK_VERSION) return env.DRIFTLOCK_VERSION;
  const manifest = readFileSync(new URL("../package.json", import.meta.url), "utf8");
  return (JSON.parse(manifest) as { version: string }).version;
}

export interface Versions {
  version: string;
  node: string;
  /** Of the libraries in the addon; `openzlFormat` is that of OpenZL's frames. */
  codecs: Readonly<Record<string, string>>;
}

/** @param codecs `native.versions`: the addon is not loaded for a version alone. */
export function versions(codecs: Versions["codecs"]): Versions {
  return { version: packageVersion(), node: nodeVersions.node, codecs };
}
