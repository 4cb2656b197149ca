/** Reads the environment variables of OpenTelemetry's OTLP exporters, which configure the downstream. */
import { keyByName } from "./keys.ts";
import type { Assignment, Problem } from "./problem.ts";
import { parsePairs, parseText } from "./text.ts";

const prefix = "OTEL_EXPORTER_OTLP_";

const protocols: Readonly<Record<string, string>> = { grpc: "grpc", "http/protobuf": "http" };

/** Variables that are read as the key's own variable, without their prefix, and their keys. */
const plain: Readonly<Record<string, string>> = {
  COMPRESSION: "forward.compression",
  /** The timeout in milliseconds. */
  TIMEOUT: "forward.timeout",
  CERTIFICATE: "forward.tls.ca_file",
  CLIENT_CERTIFICATE: "forward.tls.cert_file",
  CLIENT_KEY: "forward.tls.key_file",
};

/** The key that each variable sets, by the variable's full name. */
export const otelVariables: ReadonlyMap<string, string> = new Map(
  Object.entries({
    ENDPOINT: "forward.endpoint",
    INSECURE: "forward.endpoint",
    PROTOCOL: "forward.protocol",
    HEADERS: "forward.headers",
    ...plain,
  }).map(([name, key]) => [prefix + name, key]),
);

export interface OtelContent {
  /** Values by the names of their keys. */
  values: Map<string, Assignment>;
  problems: Problem[];
  warnings: string[];
}

/** Returns the keys that the variables set. An empty variable counts as not set. */
export function readOtel(env: NodeJS.ProcessEnv): OtelContent {
  const values = new Map<string, Assignment>();
  const problems: Problem[] = [];
  const warnings: string[] = [];
  const text = (name: string) => env[prefix + name] || undefined;
  const place = (name: string) => `env ${prefix}${name}`;
  const set = (key: string, name: string, value: unknown) => values.set(key, { value, place: place(name) });

  for (const [name, keyName] of Object.entries(plain)) {
    const found = text(name);
    if (found !== undefined) set(keyName, name, parseText(keyByName.get(keyName)!, found));
  }

  const endpoint = text("ENDPOINT");
  const insecure = text("INSECURE")?.trim().toLowerCase() === "true";
  if (endpoint !== undefined) {
    // gRPC exporters also accept a host and a port. OTEL_EXPORTER_OTLP_INSECURE then disables TLS.
    const bare = /^(\[[^\]]+\]|[^:/\s]+):\d+$/.test(endpoint);
    set("forward.endpoint", "ENDPOINT", bare ? `${insecure ? "http" : "https"}://${endpoint}` : endpoint);
    if (!bare && insecure && endpoint.startsWith("https:")) {
      warnings.push(`${prefix}INSECURE: has no effect, since the endpoint uses https`);
    }
  } else if (text("INSECURE") !== undefined) {
    warnings.push(
      `${prefix}INSECURE: has no effect without ${prefix}ENDPOINT; forward.endpoint determines whether TLS is used`,
    );
  }

  const protocol = text("PROTOCOL");
  if (protocol !== undefined) {
    if (Object.hasOwn(protocols, protocol)) set("forward.protocol", "PROTOCOL", protocols[protocol]);
    else {
      const message = `must be ${Object.keys(protocols).join(" or ")}, is ${JSON.stringify(protocol)}`;
      problems.push({ key: "forward.protocol", message, place: place("PROTOCOL") });
    }
  }

  const headers = text("HEADERS");
  if (headers !== undefined) set("forward.headers", "HEADERS", readHeaders(headers, warnings));

  const unused = Object.keys(env).filter(
    (name) => name.startsWith(prefix) && env[name] && !otelVariables.has(name),
  );
  if (unused.length > 0) {
    const all = unused.sort().join(", ");
    warnings.push(
      `${all}: not used; Driftlock sends all signals with the settings of ${prefix}ENDPOINT and similar variables, or of the section forward`,
    );
  }
  return { values, problems, warnings };
}

/**
 * Reads a list in the format of W3C Baggage, in which names and values are percent-encoded; many people write them
 * unencoded.
 */
function readHeaders(text: string, warnings: string[]): unknown {
  const pairs = parsePairs(text);
  if (typeof pairs === "string") return pairs;
  const plain: string[] = [];
  const decode = (part: string, name: string) => {
    try {
      return decodeURIComponent(part);
    } catch {
      plain.push(name);
      return part;
    }
  };
  const decoded = Object.entries(pairs).map(([name, value]) => [decode(name, name), decode(value, name)]);
  if (plain.length > 0) {
    const names = [...new Set(plain)].join(", ");
    warnings.push(
      `${prefix}HEADERS: ${names}: used as it is, since it is not percent-encoded; write %25 for a percent sign`,
    );
  }
  return Object.fromEntries(decoded);
}

/**
 * Removes certificates that the environment names for all exporters if no endpoint uses TLS, and returns one warning
 * about it.
 */
export function dropUnusedTls(values: Map<string, Assignment>, endpoints: readonly string[]): string[] {
  if (!endpoints.every((endpoint) => endpoint.startsWith("http:"))) return [];
  const names: string[] = [];
  for (const [name, keyName] of Object.entries(plain)) {
    if (!keyName.startsWith("forward.tls.") || values.get(keyName)?.place !== `env ${prefix}${name}`)
      continue;
    values.delete(keyName);
    names.push(prefix + name);
  }
  if (names.length === 0) return [];
  return [`${names.join(", ")}: not used, since ${endpoints[0]} has no TLS; use https:// to enable it`];
}
