/** Environment variables: `DRIFTLOCK_*` for every key, and the standard ones of OpenTelemetry and of platforms. */
import { type Key, keyByEnv, keyByName } from "./keys.ts";
import type { Assignment, Problem } from "./problem.ts";
import { parseText } from "./text.ts";
import { unknownName } from "./unknown.ts";

/** Read elsewhere, and no key. */
const notKeys = new Set(["DRIFTLOCK_VERSION", "DRIFTLOCK_API_KEY"]);

/** What Kubernetes puts into every container beside a Service whose name starts with "driftlock". */
const serviceLink =
  /^DRIFTLOCK_(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)$/;

/** The percent-encoded `name=value` list of W3C Baggage, which OTEL_EXPORTER_OTLP_HEADERS uses. */
function baggage(key: Key, text: string): unknown {
  const map = parseText(key, text);
  if (typeof map !== "object" || map === null) return map;
  try {
    return Object.fromEntries(
      Object.entries(map).map(([name, value]) => [
        decodeURIComponent(name),
        decodeURIComponent(String(value)),
      ]),
    );
  } catch {
    // Not percent-encoded, as many write it.
    return map;
  }
}

const protocols: Readonly<Record<string, string>> = { grpc: "grpc", "http/protobuf": "http" };

/** Standard variables: the key that each sets, and how it is read where that is not as the key's own. */
const standard: ReadonlyArray<
  readonly [name: string, key: string, read?: (key: Key, text: string) => unknown]
> = [
  ["OTEL_EXPORTER_OTLP_ENDPOINT", "forward.endpoint"],
  ["OTEL_EXPORTER_OTLP_PROTOCOL", "forward.protocol", (_, text) => protocols[text]],
  ["OTEL_EXPORTER_OTLP_HEADERS", "forward.headers", baggage],
  ["OTEL_EXPORTER_OTLP_COMPRESSION", "forward.compression"],
  ["OTEL_SERVICE_NAME", "telemetry.service_name"],
  ["OTEL_ENV", "telemetry.environment"],
];

export interface EnvContent {
  /** By the keys' names. */
  values: Map<string, Assignment>;
  problems: Problem[];
}

/** The keys that the environment sets; an empty variable counts as not set. `apiEndpoint` is what PORT changes. */
export function readEnv(env: NodeJS.ProcessEnv, apiEndpoint: string): EnvContent {
  const values = new Map<string, Assignment>();
  const problems: Problem[] = [];

  for (const [name, keyName, read = parseText] of standard) {
    const text = env[name];
    if (!text) continue;
    const place = `env ${name}`;
    const value = read(keyByName.get(keyName)!, text);
    if (value === undefined) {
      const message = `must be ${Object.keys(protocols).join(" or ")}, is ${JSON.stringify(text)}`;
      problems.push({ key: keyName, message, place });
    } else {
      values.set(keyName, { value, place });
    }
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

  // Last, since they are the more specific.
  for (const [name, text] of Object.entries(env)) {
    if (!name.startsWith("DRIFTLOCK_") || !text || notKeys.has(name)) continue;
    const key = keyByEnv.get(name);
    if (key !== undefined) {
      values.set(key.name, { value: parseText(key, text), place: `env ${name}` });
    } else if (!serviceLink.test(name)) {
      const known = [...keyByEnv.keys(), ...notKeys];
      problems.push({ key: "", message: unknownName("variable", name, known), place: `env ${name}` });
    }
  }
  return { values, problems };
}
