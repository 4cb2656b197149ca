// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the configuration's own substitution
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { hostname, networkInterfaces, tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parseDocument } from "yaml";
import { missingFiles } from "../../src/config/check.ts";
import { keys } from "../../src/config/keys.ts";
import { type Loaded, loadConfig } from "../../src/config/load.ts";
import { printConfig } from "../../src/config/print.ts";
import { ConfigError } from "../../src/config/problem.ts";
import { configSchema } from "../../src/config/schema.ts";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "driftlock-config-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function load(yaml: string, env: NodeJS.ProcessEnv = {}, flags: Record<string, string> = {}): Loaded {
  const file = join(folder, "driftlock.yaml");
  writeFileSync(file, yaml);
  return loadConfig({ file, env, flags });
}

/** Returns the problems as lines, with the folder removed from their places. */
function problems(yaml: string, env: NodeJS.ProcessEnv = {}, flags: Record<string, string> = {}): string[] {
  try {
    load(yaml, env, flags);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.message.replaceAll(`${folder}/`, "").split("\n");
  }
  return [];
}

describe("keys", () => {
  it("gives every key a variable of its own", () => {
    expect(new Set(keys.map((key) => key.env)).size).toBe(keys.length);
    expect(keys.map((key) => key.name)).toContain("receive.grpc.tls.client_ca_file");
    expect(keys.find((key) => key.name === "receive.grpc.endpoint")?.env).toBe(
      "DRIFTLOCK_RECEIVE_GRPC_ENDPOINT",
    );
  });

  it("reads each default back from its variable's text", () => {
    const defaults = configSchema.parse({});
    for (const key of keys) {
      const value = key.path.reduce<unknown>(
        (node, part) => (node as Record<string, unknown> | undefined)?.[part],
        defaults,
      );
      if (value === undefined || key.type === "map") continue;
      const { config } = loadConfig({
        env: { [key.env]: Array.isArray(value) ? value.join(",") : String(value) },
      });
      expect(config, key.name).toEqual(defaults);
    }
  });
});

describe("precedence", () => {
  it("takes flags over environment over file over defaults, key by key", () => {
    const yaml = "detect: {seed: 1, threads: 2, permutations: 99}\nshutdown_timeout: 3s\n";
    const { config, sources } = load(
      yaml,
      { DRIFTLOCK_DETECT_THREADS: "3", DRIFTLOCK_DETECT_PERMUTATIONS: "199" },
      { "detect.permutations": "499" },
    );
    expect(config.detect).toMatchObject({ seed: 1, threads: 3, permutations: 499, max_streams: 10_000 });
    expect(config.shutdown_timeout).toBe(3_000);
    expect(Object.fromEntries(sources)).toEqual({
      "detect.seed": `${folder}/driftlock.yaml:1:16`,
      "detect.threads": "env DRIFTLOCK_DETECT_THREADS",
      "detect.permutations": "flag --detect.permutations",
      shutdown_timeout: `${folder}/driftlock.yaml:2:19`,
    });
  });

  it("parses text as the key's type reads it", () => {
    const { config } = loadConfig({
      env: {
        DRIFTLOCK_RECEIVE_HTTP_ENABLED: "false",
        DRIFTLOCK_RECEIVE_LIMITS_MAX_REQUEST_SIZE: "8MiB",
        DRIFTLOCK_DETECT_STREAM_BY: "service.name, k8s.pod.name",
        DRIFTLOCK_DETECT_BUDGET_PER_STREAM_PER_DAY: "0.5",
        DRIFTLOCK_FORWARD_HEADERS: "{authorization: Basic a=b, x-id: 0123}",
      },
      flags: { "forward.retry.max_interval": "1m", "detect.seed": "7" },
    });
    expect(config.receive.http.enabled).toBe(false);
    expect(config.receive.limits.max_request_size).toBe(8 * 2 ** 20);
    expect(config.detect.stream_by).toEqual(["service.name", "k8s.pod.name"]);
    expect(config.detect.budget.per_stream_per_day).toBe(0.5);
    expect(config.forward.headers).toEqual({ authorization: "Basic a=b", "x-id": "0123" });
    expect(config.forward.retry.max_interval).toBe(60_000);
    expect(config.detect.seed).toBe(7);

    const others = loadConfig({
      env: {},
      flags: { "detect.stream_by": "[a, b]", "forward.headers": "a=1=2, b=" },
    });
    expect(others.config.detect.stream_by).toEqual(["a", "b"]);
    expect(others.config.forward.headers).toEqual({ a: "1=2", b: "" });
  });

  it("reads an empty file, an empty section and an empty variable as nothing set", () => {
    const defaults = configSchema.parse({});
    expect(load("").config).toEqual(defaults);
    expect(load("receive:\n  grpc:\ndetect:\n  seed:\n", { DRIFTLOCK_DETECT_SEED: "" }).config).toEqual(
      defaults,
    );
  });
});

describe("standard variables", () => {
  it("names the downstream as OpenTelemetry does", () => {
    const { config } = loadConfig({
      env: {
        OTEL_EXPORTER_OTLP_ENDPOINT: "https://otel.example:4318/base",
        OTEL_EXPORTER_OTLP_PROTOCOL: "http/protobuf",
        OTEL_EXPORTER_OTLP_HEADERS: "authorization=Bearer%20abc,x-a=1",
        OTEL_EXPORTER_OTLP_COMPRESSION: "zstd",
        OTEL_SERVICE_NAME: "edge",
        OTEL_ENV: "prod",
        PORT: "9090",
        DRIFTLOCK_VERSION: "9.9.9",
      },
    });
    expect(config.forward).toMatchObject({
      endpoint: "https://otel.example:4318/base",
      protocol: "http",
      compression: "zstd",
      headers: { authorization: "Bearer abc", "x-a": "1" },
    });
    expect(config.telemetry).toMatchObject({ service_name: "edge", environment: "prod" });
    expect(config.api.endpoint).toBe("127.0.0.1:9090");
  });

  it("reads timeout and certificates, and warns of nothing then", () => {
    const { config, warnings } = loadConfig({
      env: {
        OTEL_EXPORTER_OTLP_ENDPOINT: "https://otel.example:4318",
        OTEL_EXPORTER_OTLP_TIMEOUT: "2500",
        OTEL_EXPORTER_OTLP_CERTIFICATE: "/ca.pem",
        OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE: "/cert.pem",
        OTEL_EXPORTER_OTLP_CLIENT_KEY: "/key.pem",
        OTEL_EXPORTER_OTLP_INSECURE: "false",
      },
    });
    expect(config.forward.timeout).toBe(2_500);
    expect(config.forward.tls).toMatchObject({
      ca_file: "/ca.pem",
      cert_file: "/cert.pem",
      key_file: "/key.pem",
    });
    expect(warnings).toEqual([]);
  });

  it.each([
    ["collector:4317", "", "https://collector:4317"],
    ["collector:4317", "false", "https://collector:4317"],
    ["collector:4317", "True", "http://collector:4317"],
    ["[fd00::1]:4317", "true", "http://[fd00::1]:4317"],
    ["https://collector:4317", "", "https://collector:4317"],
  ])("takes the endpoint %s, insecure: %s, for %s", (endpoint, insecure, expected) => {
    const env = { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint, OTEL_EXPORTER_OTLP_INSECURE: insecure };
    expect(loadConfig({ env }).config.forward.endpoint).toBe(expected);
  });

  it.each<[string, NodeJS.ProcessEnv, string[]]>([
    [
      "certificates without TLS",
      {
        OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:9",
        OTEL_EXPORTER_OTLP_CERTIFICATE: "/ca.pem",
        OTEL_EXPORTER_OTLP_CLIENT_KEY: "/key.pem",
      },
      [
        "OTEL_EXPORTER_OTLP_CERTIFICATE, OTEL_EXPORTER_OTLP_CLIENT_KEY: not used, since http://127.0.0.1:9 has no TLS; use https:// to enable it",
      ],
    ],
    [
      "INSECURE against the scheme",
      { OTEL_EXPORTER_OTLP_ENDPOINT: "https://a.example:9", OTEL_EXPORTER_OTLP_INSECURE: "true" },
      ["OTEL_EXPORTER_OTLP_INSECURE: has no effect, since the endpoint uses https"],
    ],
    [
      "INSECURE without an endpoint",
      { OTEL_EXPORTER_OTLP_INSECURE: "true" },
      [
        "OTEL_EXPORTER_OTLP_INSECURE: has no effect without OTEL_EXPORTER_OTLP_ENDPOINT; forward.endpoint determines whether TLS is used",
      ],
    ],
    [
      "variables of one signal, and others, once",
      {
        OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: "http://a.example",
        OTEL_EXPORTER_OTLP_LOGS_HEADERS: "a=secret",
        OTEL_EXPORTER_OTLP_METRICS_TIMEOUT: "",
        OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE: "delta",
      },
      [
        "OTEL_EXPORTER_OTLP_LOGS_HEADERS, OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: not used; Driftlock sends all signals with the settings of OTEL_EXPORTER_OTLP_ENDPOINT and similar variables, or of the section forward",
      ],
    ],
  ])("warns of %s", (_, env, expected) => {
    expect(loadConfig({ env }).warnings).toEqual(expected);
  });

  it.each<[string, Record<string, string>, string | undefined]>([
    ["Authorization=Basic%20dTpw,api-key=50%", { Authorization: "Basic dTpw", "api-key": "50%" }, "api-key"],
    ["a=%E4,b=%20x%20y,c=%zz", { a: "%E4", b: " x y", c: "%zz" }, "a, c"],
    ["a=1%2C2,b=k%3Dv==", { a: "1,2", b: "k=v==" }, undefined],
    ["{a=1", { "{a": "1" }, undefined],
    ["x%2Dy=1", { "x-y": "1" }, undefined],
  ])("decodes each header of %s by itself", (text, headers, named) => {
    const yaml = "forward: {endpoint: 'https://a.example'}";
    const run = () => load(yaml, { OTEL_EXPORTER_OTLP_HEADERS: text });
    const wrong = Object.entries(headers).some(
      ([name, value]) => name.includes("{") || value !== value.trim(),
    );
    if (wrong) return expect(run).toThrow(/forward\.headers/);
    const { config, warnings } = run();
    expect(config.forward.headers).toEqual(headers);
    expect(warnings).toEqual(
      named
        ? [
            `OTEL_EXPORTER_OTLP_HEADERS: ${named}: used as it is, since it is not percent-encoded; write %25 for a percent sign`,
          ]
        : [],
    );
    return undefined;
  });

  it("warns of an endpoint that ends with a signal's path", () => {
    const http = (keys: string) => load(`forward: {protocol: http, ${keys}}`).warnings;
    expect(http("endpoint: 'https://a.example/otlp/v1/logs'")).toEqual([
      "forward.endpoint: sends logs to /otlp/v1/logs/v1/logs; remove /v1/logs, which is appended to the endpoint",
    ]);
    expect(
      http("endpoint: 'https://a.example', failover_endpoints: ['https://b.example/v1/traces/']"),
    ).toEqual([
      "forward.failover_endpoints: sends traces to /v1/traces/v1/traces; remove /v1/traces, which is appended to the endpoint",
    ]);
    expect(http("endpoint: 'https://a.example/v1/metrics'")).toHaveLength(1);
    expect(http("endpoint: 'https://a.example/v1/logs/otlp'")).toEqual([]);
    expect(
      loadConfig({
        env: {
          OTEL_EXPORTER_OTLP_ENDPOINT: "https://a.example/v1/logs",
          OTEL_EXPORTER_OTLP_PROTOCOL: "http/protobuf",
        },
      }).warnings,
    ).toHaveLength(1);
  });

  it("yields to Driftlock's own variables, and keeps the file's host with PORT", () => {
    const env = { OTEL_SERVICE_NAME: "a", DRIFTLOCK_TELEMETRY_SERVICE_NAME: "b", PORT: "81" };
    const { config } = load('api: {endpoint: "[::1]:80"}', env);
    expect(config.telemetry.service_name).toBe("b");
    expect(config.api.endpoint).toBe("[::1]:81");
  });

  it("refuses what it cannot follow", () => {
    expect(problems("", { OTEL_EXPORTER_OTLP_PROTOCOL: "http/json", PORT: "http" })).toEqual([
      'forward.protocol: must be grpc or http/protobuf, is "http/json" (env OTEL_EXPORTER_OTLP_PROTOCOL)',
      'api.endpoint: must be a port number, is "http" (env PORT)',
    ]);
  });
});

describe("substitution", () => {
  it("puts variables in, with the key's type", () => {
    const yaml = [
      'receive: {grpc: {endpoint: "${env:HOST}:${PORT4:-5317}"}}',
      "detect:\n  threads: ${env:THREADS}\n  stream_by: ${env:BY}",
      'forward: {headers: {authorization: "Bearer ${env:TOKEN}", x: "$$5 ${env:EMPTY}$"}}',
    ].join("\n");
    const { config } = load(yaml, { HOST: "127.0.0.1", THREADS: "4", BY: "a,b", TOKEN: "t", EMPTY: "" });
    expect(config.receive.grpc.endpoint).toBe("127.0.0.1:5317");
    expect(config.detect.threads).toBe(4);
    expect(config.detect.stream_by).toEqual(["a", "b"]);
    expect(config.forward.headers).toEqual({ authorization: "Bearer t", x: "$5 $" });
  });

  it("names a variable that is missing and a form that it does not know", () => {
    expect(problems("detect: {threads: '${env:NONE}'}\ndata_dir: ${file:x}")).toEqual([
      "detect.threads: needs the environment variable NONE, which is not set; set it or write ${env:NONE:-default} (driftlock.yaml:1:19)",
      "data_dir: does not understand ${file:x}; write ${env:NAME} or ${env:NAME:-default}, and $$ for a dollar sign (driftlock.yaml:2:11)",
    ]);
  });
});

describe("problems", () => {
  it("lists all of them, each with its place", () => {
    const yaml = [
      "recieve: {}",
      "receive:",
      "  grcp: {}",
      "  grpc:",
      "    endpoint: 4317",
      "    tls: {}",
      "  limits:",
      "    max_request_size: 64MB",
      "    max_connections: 1.5",
      "    max_header_size: 0",
      "detect:",
      "  stream_by: [1, '']",
      "  window: {records: 4}",
      "  enabled: yes",
      "forward:",
      "  protocol: gprc",
      "  headers: {'a b': c, x-token: 3}",
      "  max_connections: 3",
      "api: 8080",
    ].join("\n");
    expect(
      problems(
        yaml,
        { DRIFTLOCK_FORWARD_ENDPONT: "x", DRIFTLOCK_DETECT_SEED: "-1" },
        { "detect.treads": "1" },
      ),
    ).toEqual([
      "recieve: unknown key; did you mean receive? (driftlock.yaml:1:1)",
      "receive.grcp: unknown key; did you mean receive.grpc? (driftlock.yaml:3:3)",
      "forward.max_connections: unknown key; did you mean receive.limits.max_connections? (driftlock.yaml:18:3)",
      "api: must be a section with the keys enabled, endpoint, cors_origins (driftlock.yaml:19:6)",
      "unknown variable; did you mean DRIFTLOCK_FORWARD_ENDPOINT? (env DRIFTLOCK_FORWARD_ENDPONT)",
      "unknown flag; did you mean --detect.threads? (flag --detect.treads)",
      "receive.grpc.endpoint: must be an address such as 127.0.0.1:4317, is 4317 (driftlock.yaml:5:15)",
      "receive.grpc.tls.cert_file: is missing; set it (driftlock.yaml:6:10)",
      "receive.grpc.tls.key_file: is missing; set it (driftlock.yaml:6:10)",
      'receive.limits.max_request_size: must be a size such as 64MiB, is "64MB" (driftlock.yaml:8:23)',
      "receive.limits.max_connections: must be a whole number, is 1.5 (driftlock.yaml:9:22)",
      "receive.limits.max_header_size: must be more than 0, is 0 (driftlock.yaml:10:22)",
      'detect.enabled: must be true or false, is "yes" (driftlock.yaml:14:12)',
      "detect.stream_by.0: must be text, is 1; put it in quotes (driftlock.yaml:12:15)",
      "detect.stream_by.1: must not be empty (driftlock.yaml:12:18)",
      "detect.window.records: must be at least 8, is 4 (driftlock.yaml:13:21)",
      "detect.seed: must be at least 0, is -1 (env DRIFTLOCK_DETECT_SEED)",
      'forward.protocol: must be one of grpc, http, is "gprc"; did you mean grpc? (driftlock.yaml:16:13)',
      "forward.headers.a b: is no header name: letters, digits and !#$%&'*+-.^_`|~ alone may stand in one (driftlock.yaml:17:20)",
      "forward.headers.x-token: must be text; put it in quotes (driftlock.yaml:17:32)",
    ]);
  });

  it.each([
    ["forward.endpoint", "http://x:0", "must have a port from 1 to 65535, or none"],
    ["forward.endpoint", "http://.", "must name a host, such as 127.0.0.1"],
    ["forward.failover_endpoints", "http://x:0", "must have a port from 1 to 65535, or none"],
    ["telemetry.traces_endpoint", "https://x:0/", "must have a port from 1 to 65535, or none"],
    ["auth.oidc.issuer", "https://x:0/", "must have a port from 1 to 65535, or none"],
    ["store.url", "postgres://", "must name a host, such as 127.0.0.1"],
    ["store.url", "postgres:///driftlock", "must name a host, such as 127.0.0.1"],
    ["store.url", "postgres://x:0/driftlock", "must have a port from 1 to 65535, or none"],
    ["limits.store", "redis://", "must name a host, such as 127.0.0.1"],
    ["limits.store", "rediss://x:0/1", "must have a port from 1 to 65535, or none"],
    ["receive.http.endpoint", "256.1.1.1:4318", "must have an IP address or a host name before its port"],
    ["receive.http.endpoint", "[:::1]:4318", "must have an IP address or a host name before its port"],
    ["receive.http.endpoint", "a/b:4318", 'must be an address such as 127.0.0.1:4317, is "a/b:4318"'],
    ["api.endpoint", "127.0.0.1:65536", "must have a port below 65536"],
    ["health.endpoint", "127.0.0.1", 'must be an address such as 127.0.0.1:4317, is "127.0.0.1"'],
    ["detect.window.records", "1e400", "must be a whole number, is Infinity"],
    ["detect.window.records", "1e20", "must be at most 100000, is 100000000000000000000"],
    ["detect.window.records", "-1", "must be at least 8, is -1"],
    ["detect.budget.per_stream_per_day", "1e400", "must be a number, is Infinity"],
    ["receive.limits.max_request_size", "1e400", "must be a size such as 64MiB, is Infinity"],
    ["shutdown_timeout", "1e400", "must be a duration such as 30s, is Infinity"],
    ["shutdown_timeout", "1e400s", 'must be a duration such as 30s, is "1e400s"'],
  ])("says once why %s cannot be %s", (key, value, reason) => {
    const found = problems("", {}, { [key]: value }).filter((line) => line.includes(reason));
    expect(found).toHaveLength(1);
    expect(problems("", {}, { [key]: value }).filter((line) => line.startsWith(`${key}: must`))).toEqual(
      found.filter((line) => line.startsWith(`${key}: must`)),
    );
    expect(found[0]).toMatch(new RegExp(`^${key.replaceAll(".", "\\.")}(\\.0)?: must `));
  });

  it.each([
    ["store.url", "postgres:///driftlock?host=/run/postgresql"],
    ["store.url", "postgresql://user@[::1]:5432/driftlock"],
    ["forward.endpoint", "https://collector.internal"],
    ["receive.http.endpoint", "[::1]:4318"],
    ["receive.http.endpoint", "localhost:0"],
  ])("takes %s: %s", (key, value) => {
    expect(problems("", {}, { [key]: value })).toEqual([]);
  });

  it("suggests sections too, and does not take names that share one for near", () => {
    expect(
      problems(
        "",
        {
          DRIFTLOCK_DETECT_BUDGT: "1",
          DRIFTLOCK_API_KY: "x",
          DRIFTLOCK_MAX_STREAMS: "9",
          DRIFTLOCK_ZZZ: "1",
        },
        { "detect.budgt": "1", "detect.budget": "1" },
      ),
    ).toEqual([
      "unknown variable; did you mean DRIFTLOCK_DETECT_BUDGET? It is a section; set one of its keys, such as DRIFTLOCK_DETECT_BUDGET_PER_STREAM_PER_DAY (env DRIFTLOCK_DETECT_BUDGT)",
      "unknown variable; did you mean DRIFTLOCK_API_KEY? (env DRIFTLOCK_API_KY)",
      "unknown variable; did you mean DRIFTLOCK_DETECT_MAX_STREAMS? (env DRIFTLOCK_MAX_STREAMS)",
      "unknown variable; `driftlock validate --print` lists all keys (env DRIFTLOCK_ZZZ)",
      "unknown flag; did you mean --detect.budget? It is a section; set one of its keys, such as --detect.budget.per_stream_per_day (flag --detect.budgt)",
      "unknown flag; it is a section; set one of its keys, such as --detect.budget.per_stream_per_day (flag --detect.budget)",
    ]);
  });

  it("names a section by a flag or variable that opened it", () => {
    expect(problems("", { DRIFTLOCK_RECEIVE_GRPC_TLS_CERT_FILE: "a.pem" })).toEqual([
      "receive.grpc.tls.key_file: is missing; set it (env DRIFTLOCK_RECEIVE_GRPC_TLS_CERT_FILE)",
    ]);
  });

  it("gives line and column of broken YAML", () => {
    expect(problems("receive:\n  grpc: {endpoint: x\n")[0]).toMatch(
      /^not valid YAML: .* \(driftlock\.yaml:\d:\d+\)$/,
    );
    expect(problems("a: 1\na: 2\n")[0]).toMatch(
      /^not valid YAML: Map keys must be unique \(driftlock\.yaml:2:1\)$/,
    );
    expect(problems("data_dir: !!js/function x\n")[0]).toMatch(/Unresolved tag/);
    expect(problems(`receive: ${"[".repeat(50_000)}`).length).toBeGreaterThan(0);
  });

  it("follows aliases, but no bomb and no circle", () => {
    expect(
      load(
        "receive: {grpc: {endpoint: &a '127.0.0.1:1'}, http: {endpoint: '127.0.0.1:2'}}\napi: {endpoint: '127.0.0.1:3'}\ndetect: {stream_by: [&x a, *x]}",
      ).config.detect.stream_by,
    ).toEqual(["a", "a"]);
    const bomb = ["data_dir: &a0 [x, x]"];
    for (let i = 1; i < 30; i++) bomb.push(`k${i}: &a${i} [*a${i - 1}, *a${i - 1}]`);
    bomb.push("detect: {stream_by: *a29}");
    expect(problems(bomb.join("\n"))).toContainEqual(
      expect.stringContaining("follows more than 100 aliases"),
    );
    expect(problems("detect: {stream_by: &s [*s]}")).toContainEqual(
      expect.stringContaining("follows more than 100 aliases"),
    );
  });

  it("takes a hostile key as unknown", () => {
    expect(problems("__proto__: {polluted: true}\nconstructor: 1\n")).toHaveLength(2);
    expect(({} as Record<string, unknown>).polluted).toBeUndefined();
    expect(load("forward: {headers: {__proto__: x}}").config.forward.headers).not.toHaveProperty("polluted");
  });

  it("says why a file cannot be read", () => {
    const error = (file: string) => {
      try {
        loadConfig({ file, env: {} });
      } catch (thrown) {
        return (thrown as Error).message;
      }
    };
    expect(error(join(folder, "none.yaml"))).toBe(
      `${folder}/none.yaml: no such file; name the configuration with --config`,
    );
    expect(error(folder)).toBe(`${folder}: is a folder, not a file`);
    writeFileSync(join(folder, "latin1.yaml"), Buffer.from([0x61, 0x3a, 0xe9]));
    expect(error(join(folder, "latin1.yaml"))).toContain("not UTF-8 text");
    writeFileSync(join(folder, "large.yaml"), `#${"x".repeat(2 ** 20)}`);
    expect(error(join(folder, "large.yaml"))).toContain("larger than 1048576 bytes");
  });

  it("lets Kubernetes' service links be", () => {
    const env = {
      DRIFTLOCK_SERVICE_HOST: "10.0.0.1",
      DRIFTLOCK_SERVICE_PORT_OTLP_GRPC: "4317",
      DRIFTLOCK_PORT_4317_TCP_ADDR: "10.0.0.1",
      DRIFTLOCK_API_PORT: "tcp://10.0.0.1:80",
    };
    expect(problems("", env)).toEqual([]);
  });
});

describe("contradictions", () => {
  const only = (yaml: string) => {
    const found = problems(yaml);
    expect(found).toHaveLength(1);
    return found[0];
  };

  it("refuses two listeners on one port", () => {
    expect(only("receive: {http: {endpoint: 'localhost:4317'}}")).toBe(
      "receive.http.endpoint: localhost:4317 is already used by receive.grpc.endpoint (127.0.0.1:4317); choose another port (driftlock.yaml:1:28)",
    );
    expect(only("auth: {enabled: true}\napi: {endpoint: '0.0.0.0:4318'}")).toContain(
      "is already used by receive.http.endpoint",
    );
    expect(problems("receive: {grpc: {endpoint: '127.0.0.1:0'}, http: {endpoint: '127.0.0.1:0'}}")).toEqual(
      [],
    );
    expect(problems("receive: {grpc: {enabled: false}, http: {endpoint: '127.0.0.1:4317'}}")).toEqual([]);
  });

  it("refuses topics that cannot be received", () => {
    const topic = (name: string) => `{topic: ${name}, signal: logs}`;
    expect(only(`receive: {kafka: {topics: [${topic("otlp_logs")}]}}`)).toBe(
      "receive.kafka.topics: nobody knows where the topics are; set kafka.brokers (driftlock.yaml:1:27)",
    );
    const received = (...topics: string[]) =>
      `kafka: {brokers: ["127.0.0.1:9092"]}\nreceive: {kafka: {topics: [${topics.map(topic)}]}}`;
    expect(only(received("a", "b", "a"))).toContain("receive.kafka.topics: a is named twice");
    expect(only(received("driftlock.in"))).toContain("driftlock.in is a topic of Driftlock's own");
    expect(problems(received("a", "b"))).toEqual([]);
    expect(problems("receive: {kafka: {topics: [{topic: a, signal: log}]}}")[0]).toContain(
      "receive.kafka.topics",
    );
  });

  it("refuses to send to itself", () => {
    expect(only("forward: {endpoint: 'http://localhost:4317'}")).toBe(
      "forward.endpoint: localhost:4317 is Driftlock's own receive.grpc.endpoint, which would cause a loop; set the downstream OTLP endpoint (driftlock.yaml:1:21)",
    );
    expect(
      only("receive: {grpc: {endpoint: '0.0.0.0:4317'}}\nforward: {endpoint: 'http://[::1]:4317'}"),
    ).toContain("would cause a loop");
    expect(only("telemetry: {traces_endpoint: 'http://127.0.0.1:4317'}")).toContain(
      "telemetry.traces_endpoint",
    );
    expect(problems("forward: {endpoint: 'http://10.1.2.3:4317'}")).toEqual([]);
  });

  it.each([
    ["127.0.0.1", "127.0.0.1"],
    ["127.0.0.1", "0.0.0.0"],
    ["127.0.0.1", "LOCALHOST."],
    ["127.0.0.1", "a.localhost"],
    ["127.0.0.1", "[::ffff:127.0.0.1]"],
    ["127.0.0.1", "[::FFFF:7f00:1]"],
    ["127.0.0.1", "2130706433"],
    ["127.0.0.1", hostname()],
    ["[::1]", "[0:0:0:0:0:0:0:1]"],
    ["[0:0::1]", "[::1]"],
    ["[::1]", "[::]"],
    ["[::1]", "localhost"],
    ["[::ffff:127.0.0.1]", "127.0.0.1"],
    ["localhost", "127.0.0.1"],
    ["localhost", "[::1]"],
    ["0.0.0.0", "127.0.0.2"],
    ["0.0.0.0", "[::ffff:127.0.0.2]"],
    ["[::]", "[::1]"],
    ["[::]", "127.0.0.1"],
    ["Gateway.example", "gateway.example."],
  ])("sees that a listener on %s has what is sent to %s", (listener, target) => {
    const yaml = `receive: {grpc: {endpoint: '${listener}:4317'}}\nforward: {endpoint: 'http://${target}:4317'}`;
    expect(only(yaml)).toContain("would cause a loop");
  });

  it.each([
    ["127.0.0.1", "[::1]"],
    ["[::1]", "127.0.0.1"],
    ["[::1]", "[::ffff:127.0.0.1]"],
    ["127.0.0.1", "127.0.0.2"],
    ["127.0.0.1", "[::]"],
    ["0.0.0.0", "10.255.254.253"],
    ["[::]", "gateway.example"],
  ])("sees that a listener on %s has not what is sent to %s", (listener, target) => {
    const yaml = `receive: {grpc: {endpoint: '${listener}:4317'}}\nforward: {endpoint: 'http://${target}:4317'}`;
    expect(problems(yaml)).toEqual([]);
  });

  it("sees own addresses and failover endpoints", () => {
    const own = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
    for (const { address, family } of own.filter((each) => !each.address.startsWith("fe80"))) {
      const host = family === "IPv6" ? `[${address}]` : address;
      expect(
        only(
          `receive: {grpc: {endpoint: '[::]:4317'}}\nforward: {failover_endpoints: ['http://${host}:4317']}`,
        ),
      ).toContain("would cause a loop");
    }
  });

  it("refuses keys that do not go together", () => {
    expect(only("detect: {window: {records: 64, hop: 65}}")).toContain(
      "detect.window.hop: must be at most detect.window.records (64) but is 65",
    );
    expect(only("forward: {stream_metrics: true}")).toContain("set telemetry.stream_metrics, such as 500");
    expect(problems("forward: {stream_metrics: true}\ntelemetry: {stream_metrics: 5}")).toEqual([]);
    expect(only("forward: {endpoint: 'http://a.example:1/x'}")).toContain(
      "has a path, which gRPC cannot use",
    );
    expect(problems("forward: {endpoint: 'http://a.example:1/x', protocol: http}")).toEqual([]);
    expect(problems("forward: {compression: zstd}")).toEqual([]);
    expect(only("forward: {endpoint: 'http://u:secret@a.example:1'}")).toMatch(
      /^forward.endpoint: credentials(?!.*secret)/,
    );
    expect(only("forward: {tls: {ca_file: x}}")).toContain("use https:// or remove forward.tls");
    const others = (url: string) => only(`forward: {failover_endpoints: ['http://a.example:1', '${url}']}`);
    expect(others("http://localhost:4317")).toContain(
      "forward.failover_endpoints: localhost:4317 is Driftlock's own",
    );
    expect(others("http://a.example:1/x")).toContain("forward.failover_endpoints: has a path");
    expect(others("a.example")).toContain("forward.failover_endpoints.1: must be a URL");
    expect(only("forward: {endpoint: 'https://a.example', tls: {cert_file: x}}")).toContain(
      "forward.tls: must have both",
    );
    expect(only('forward: {headers: {a: "b\\r\\nc: d"}}')).toContain(
      "forward.headers.a: must consist of visible ASCII",
    );
    expect(only("forward: {retry: {initial_interval: 1m}}")).toContain("forward.retry.initial_interval");
    expect(only("receive: {grpc: {enabled: false}, http: {enabled: false}}")).toContain("receives nothing");
    expect(only("detect: {enabled: false}\nforward: {mode: flagged}")).toContain(
      "forward.mode: `flagged` forwards nothing",
    );
    expect(only("receive: {limits: {max_inflight_size: 1MiB}}")).toContain(
      "receive.limits.max_inflight_size",
    );
    expect(only("forward: {queue: {max_size: 1MiB}}")).toContain("forward.queue.max_size");
    expect(only("forward: {queue: {storage: disk, disk: {max_size: 64MiB}}}")).toContain(
      "forward.queue.disk.max_size: must be more than receive.limits.max_request_size",
    );
    expect(only("forward: {queue: {storage: disk}, retry: {enabled: false}}")).toContain(
      "forward.retry.enabled: must be true with forward.queue.storage: disk",
    );
    expect(problems("forward: {queue: {disk: {max_size: 1MiB}}, retry: {enabled: false}}")).toEqual([]);
    expect(only("limits: {store: 'redis://127.0.0.1:6379'}\napi: {enabled: false}")).toContain(
      "limits.store: has no effect without a limit or the API",
    );
    expect(problems("limits: {store: 'redis://127.0.0.1:6379'}")).toEqual([]);
    expect(only("limits: {store: 'redis://:secret@127.0.0.1/x', records_per_day: 1}")).toMatch(
      /^limits.store: must end with a database's number(?!.*secret)/,
    );
    expect(only("limits: {store: 'http://:secret@127.0.0.1', records_per_day: 1}")).toMatch(
      /^limits.store: must be a URL such as rediss:(?!.*secret)/,
    );
  });

  it("warns of what is unsafe", () => {
    expect(loadConfig({ env: {} }).warnings).toEqual([]);
    const { warnings } = load(
      "receive: {grpc: {endpoint: '0.0.0.0:4317'}, http: {endpoint: '[::]:4318', tls: {cert_file: c, key_file: k}}}\n" +
        "forward: {endpoint: 'http://otel.example:4317'}",
    );
    expect(warnings).toEqual([
      expect.stringMatching(/^receive.grpc: .* without TLS/),
      expect.stringMatching(/^receive.http: .* from anyone .*client_ca_file/),
      expect.stringMatching(/^forward: .* unencrypted/),
    ]);
    const store = (url: string) => load(`limits: {store: '${url}', records_per_day: 1}`).warnings;
    expect(store("redis://:secret@redis.example")).toEqual([
      expect.stringMatching(/^limits.store: .* unencrypted(?!.*secret)/),
    ]);
    for (const url of ["redis://[::1]:1/2", "redis://localhost", "rediss://redis.example/0"])
      expect(store(url)).toEqual([]);
    expect(load("auth: {enabled: true}\napi: {endpoint: '10.0.0.1:80'}").warnings).toEqual([
      expect.stringMatching(/^api: .* unencrypted/),
    ]);
  });

  it("asks who is calling wherever the API is open to the network", () => {
    expect(only("api: {endpoint: '0.0.0.0:8080'}")).toBe(
      "api.endpoint: 0.0.0.0:8080 is open to the network; set auth.enabled: true or bind it to 127.0.0.1 (driftlock.yaml:1:17)",
    );
    expect(problems("auth: {enabled: true}\napi: {endpoint: '0.0.0.0:8080'}")).toEqual([]);
    expect(only("auth: {trusted_proxies: [10.0.0.0/8], tenant_header: x-tenant}")).toContain(
      "set auth.enabled",
    );
    expect(only("auth: {enabled: true, tenant_header: x-tenant}")).toContain(
      "only from auth.trusted_proxies",
    );
    expect(only("auth: {enabled: true, trusted_proxies: [10.0.0.0/8]}")).toContain("set auth.tenant_header");
    expect(only("auth: {enabled: true, tenant_header: x-t, trusted_proxies: [ten.0]}")).toContain(
      "auth.trusted_proxies.0: must be an address or network such as 10.0.0.0/8",
    );
    expect(only("api: {cors_origins: ['https://ops.example/x']}")).toContain("must be an origin");
  });

  it("names files that cannot be read", () => {
    const cert = join(folder, "cert.pem");
    writeFileSync(cert, "");
    const { config } = load(
      `receive: {grpc: {tls: {cert_file: '${cert}', key_file: '${folder}/none.pem', client_ca_file: '${folder}'}}}`,
    );
    expect(missingFiles(config)).toEqual([
      {
        key: "receive.grpc.tls.key_file",
        message: `${folder}/none.pem: does not exist; create it or change the path`,
      },
      { key: "receive.grpc.tls.client_ca_file", message: `${folder}: is not a file` },
    ]);
    if (process.getuid?.() !== 0) {
      chmodSync(cert, 0);
      expect(missingFiles(config)).toHaveLength(3);
    }
  });
});

describe("print", () => {
  it("shows sources, units and no secret, and reads back as it was", () => {
    const env = { OTEL_EXPORTER_OTLP_HEADERS: "authorization=hunter2" };
    const { config, sources } = load(
      "receive: {limits: {max_request_size: 1536KiB}}\nforward: {timeout: 90s}",
      env,
    );
    const text = printConfig(config, sources);
    expect(text).toContain(`max_request_size: 1536KiB # ${folder}/driftlock.yaml:1:38`);
    expect(text).toContain(`timeout: 90s # ${folder}/driftlock.yaml:2:20`);
    expect(text).toMatch(/headers: \{ ?authorization: "\[redacted\]" ?\} # env OTEL_EXPORTER_OTLP_HEADERS\n/);
    expect(text).not.toContain("hunter2");
    expect(text).toContain("max_inflight_size: 256MiB\n");
    expect(load(text, env).config).toEqual(config);
  });

  it("has every key, those that are not set as comments", () => {
    const { config, sources } = load(
      "forward: {endpoint: 'https://a.example', tls: {insecure_skip_verify: true}, headers: {x: 'a # b', y: ''}}\nauth: {enabled: true, tenant_header: x-tenant, trusted_proxies: ['::1', 10.0.0.0/8]}\ntelemetry: {service_name: \"two\\nlines: 'x'\"}",
    );
    const uncommented = parseDocument(printConfig(config, new Map()).replaceAll("# ", ""));
    for (const { name, path } of keys) expect(uncommented.hasIn(path), name).toBe(true);
    const text = printConfig(config, sources);
    expect(text).toContain("    # tls:\n    #   cert_file: # a path\n");
    expect(text).toContain("limits:\n  # store: # a URL");
    expect(load(text).config).toEqual({
      ...config,
      forward: { ...config.forward, headers: { x: "[redacted]", y: "[redacted]" } },
    });
  });
});
