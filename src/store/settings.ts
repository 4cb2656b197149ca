import { canonicalJson, type Json } from "../base/canonical.ts";
import { sha256 } from "../base/sha256.ts";
import type { DetectConfig } from "../config/schema.ts";
import type { Versions } from "../version.ts";

/** The settings that verdicts were computed with: the same settings and records give the same verdicts. */
export interface Settings {
  /** The SHA-256 of `body`, in hex. */
  hash: string;
  /** Canonical JSON: `detect` as configured, the seed with it, and `versions`. */
  body: string;
}

export function settingsOf(detect: DetectConfig, versions: Versions): Settings {
  const body = canonicalJson({ detect, versions } as unknown as Json);
  return { hash: sha256(body), body };
}
