import { readFileSync } from "node:fs";
import { env } from "node:process";

/** The package's version; DRIFTLOCK_VERSION, which a build sets, goes before it. */
export function packageVersion(): string {
  if (env.DRIFTLOCK_VERSION) return env.DRIFTLOCK_VERSION;
  const manifest = readFileSync(new URL("../package.json", import.meta.url), "utf8");
  return (JSON.parse(manifest) as { version: string }).version;
}
