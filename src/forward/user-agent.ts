import { readFileSync } from "node:fs";
import { env, versions } from "node:process";

function version(): string {
  if (env.DRIFTLOCK_VERSION) return env.DRIFTLOCK_VERSION;
  const manifest = readFileSync(new URL("../../package.json", import.meta.url), "utf8");
  return (JSON.parse(manifest) as { version: string }).version;
}

/** OpenTelemetry specification, OTLP Exporter Configuration, User Agent; in the form of RFC 9110, 10.1.5. */
export const userAgent = `Driftlock-OTLP-Exporter/${version()} Node/${versions.node}`;
