import { versions } from "node:process";
import { packageVersion } from "../../version.ts";

/** OpenTelemetry specification, OTLP Exporter Configuration, User Agent; in the form of RFC 9110, 10.1.5. */
export const userAgent = `Driftlock-OTLP-Exporter/${packageVersion()} Node/${versions.node}`;
