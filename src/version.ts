import { readFileSync } from "node:fs";
import { env, versions as nodeVersions } from "node:process";

/** Returns the package's version. DRIFTLOCK_VERSION, which a build sets, overrides it. */
export function packageVersion(): string {
  if (env.DRIFTLOCK_VERSION) return env.DRIFTLOCK_VERSION;
  const manifest = readFileSync(new URL("../package.json", import.meta.url), "utf8");
  return (JSON.parse(manifest) as { version: string }).version;
}

export interface Versions {
  version: string;
  node: string;
  /** The versions of the libraries in the addon. `openzlFormat` is the format version of OpenZL's frames. */
  codecs: Readonly<Record<string, string>>;
}

/** @param codecs `native.versions`, which is passed so that reading the version does not load the addon */
export function versions(codecs: Versions["codecs"]): Versions {
  return { version: packageVersion(), node: nodeVersions.node, codecs };
}
