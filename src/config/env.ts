/**
 * Reads environment variables: `DRIFTLOCK_*` for every key, and the standard ones of OpenTelemetry and of platforms.
 */
import { nearest } from "../base/nearest.ts";
import { keyByEnv, keyByName } from "./keys.ts";
import { otelVariables, readOtel } from "./otel.ts";
import type { Assignment, Problem } from "./problem.ts";
import { parseText } from "./text.ts";
import { unknownName, variableSpelling } from "./unknown.ts";

/** Variables that are read elsewhere and set no key. */
const notKeys = new Set(["DRIFTLOCK_VERSION", "DRIFTLOCK_API_KEY"]);

/** Variables that Kubernetes sets in every container beside a Service whose name starts with "driftlock". */
const serviceLink =
  /^DRIFTLOCK_(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)$/;

/** Variables of OpenTelemetry's SDKs that set a key as it is written. */
const standard: ReadonlyMap<string, string> = new Map([
  ["OTEL_SERVICE_NAME", "telemetry.service_name"],
  ["OTEL_ENV", "telemetry.environment"],
]);

/** Variables besides those that are named after their key, and the key that each sets. */
export const otherVariables: ReadonlyMap<string, string> = new Map([
  ...otelVariables,
  ...standard,
  ["PORT", "api.endpoint"],
]);

export interface EnvContent {
  /** Values by the names of their keys. */
  values: Map<string, Assignment>;
  problems: Problem[];
  /** Warnings about variables that have no effect, or another one than it seems. */
  warnings: string[];
}

/**
 * Returns the keys that the environment sets. An empty variable counts as not set. PORT changes the port of
 * `apiEndpoint`.
 */
export function readEnv(env: NodeJS.ProcessEnv, apiEndpoint: string): EnvContent {
  const { values, problems, warnings } = readOtel(env);

  for (const [name, keyName] of standard) {
    const text = env[name];
    if (text) values.set(keyName, { value: parseText(keyByName.get(keyName)!, text), place: `env ${name}` });
  }

  if (env.PORT) {
    if (/^\d{1,5}$/.test(env.PORT)) {
      const host = apiEndpoint.slice(0, apiEndpoint.lastIndexOf(":"));
      values.set("api.endpoint", { value: `${host}:${env.PORT}`, place: "env PORT" });
    } else {
      const message = `must be a port number, is ${JSON.stringify(env.PORT)}`;
      problems.push({ key: "api.endpoint", message, place: "env PORT" });
    }
  }

  // These come last, since they are the most specific.
  for (const [name, text] of Object.entries(env)) {
    if (!name.startsWith("DRIFTLOCK_") || !text || notKeys.has(name)) continue;
    const key = keyByEnv.get(name);
    if (key !== undefined) {
      values.set(key.name, { value: parseText(key, text), place: `env ${name}` });
    } else if (!serviceLink.test(name)) {
      const { prefix } = variableSpelling;
      const other = nearest(
        name.slice(prefix.length),
        [...notKeys].map((each) => each.slice(prefix.length)),
      );
      const message = other
        ? `unknown variable; did you mean ${prefix}${other}?`
        : unknownName("variable", name, variableSpelling);
      problems.push({ key: "", message, place: `env ${name}` });
    }
  }
  return { values, problems, warnings };
}
