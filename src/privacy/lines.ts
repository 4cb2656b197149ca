import type { PrivacyConfig } from "../config/schema/privacy.ts";
import { native } from "../native.ts";
import { enginePrivacy } from "./policy.ts";

/**
 * Returns what masks the lines of Driftlock's own log, which are JSON objects: personal and secret values in their texts are replaced
 * as the policy says for logs.
 */
export function lineMasking(config: PrivacyConfig): (line: string) => string {
  // A log begins before the installation has a key, and nobody else may be able to compute a pseudonym.
  const logs = config.logs === "hash" && config.key_file === undefined ? "mask" : config.logs;
  const mask = native.textMask(enginePrivacy({ ...config, logs }, new Uint8Array(32)), "logs");
  const masked = (_: string, value: unknown) => {
    if (typeof value !== "string" && typeof value !== "number") return value;
    const shown = String(value);
    const text = mask(shown);
    return text === shown ? value : text;
  };
  return (line) => {
    if (mask(line) === line) return line;
    return `${JSON.stringify(JSON.parse(line, masked))}${line.endsWith("\n") ? "\n" : ""}`;
  };
}
