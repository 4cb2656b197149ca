import process from "node:process";
import { packageVersion } from "../version.ts";

export interface Versions {
  version: string;
  node: string;
  /** Of the libraries in the addon; `openzlFormat` is that of OpenZL's frames. */
  codecs: Readonly<Record<string, string>>;
}

/** @param codecs `native.versions`: the addon is not loaded for a version alone. */
export function versions(codecs: Versions["codecs"]): Versions {
  return { version: packageVersion(), node: process.versions.node, codecs };
}
