/**
 * Checks that the schema cannot express: whether keys contradict each other, and whether the files that they name can be
 * read.
 */
import { accessSync, constants, statSync } from "node:fs";
import { isLoopback, listenersClash, parseListen, parseTarget, reaches } from "../base/address.ts";
import { httpPath, signals } from "../otlp/protocol.ts";
import type { Problem } from "./problem.ts";
import type { Config } from "./schema.ts";

interface Listener {
  key: string;
  endpoint: string;
}

function listeners(config: Config): Listener[] {
  const { receive, api, health } = config;
  return [
    ...(receive.grpc.enabled ? [{ key: "receive.grpc.endpoint", endpoint: receive.grpc.endpoint }] : []),
    ...(receive.http.enabled ? [{ key: "receive.http.endpoint", endpoint: receive.http.endpoint }] : []),
    ...(api.enabled ? [{ key: "api.endpoint", endpoint: api.endpoint }] : []),
    ...(health.endpoint ? [{ key: "health.endpoint", endpoint: health.endpoint }] : []),
  ];
}

/** Field values of RFC 9110 that every transport supports: visible ASCII, with spaces and tabs inside. */
const headerValue = /^([\x21-\x7e]([\x20-\x7e\t]*[\x21-\x7e])?)?$/;

function targets({
  endpoint,
  failover_endpoints,
}: Config["forward"]): (readonly [key: string, url: string])[] {
  return [
    ["forward.endpoint", endpoint],
    ...failover_endpoints.map((other) => ["forward.failover_endpoints", other] as const),
  ];
}

function topicProblems({ receive, kafka }: Config): string[] {
  const names = receive.kafka.topics.map(({ topic }) => topic);
  if (names.length > 0 && kafka.brokers.length === 0) {
    return ["nobody knows where the topics are; set kafka.brokers"];
  }
  const own = ["in", "out", "anomalies", "statistics", "state"].map((kind) => kafka.topic_prefix + kind);
  return names.flatMap((name, i) => {
    if (own.includes(name)) return [`${name} is a topic of Driftlock's own; choose another name`];
    return names.indexOf(name) < i ? [`${name} is named twice; name it once`] : [];
  });
}

/** Returns the keys that contradict each other. */
export function contradictions(config: Config): Problem[] {
  const problems: Problem[] = [];
  const problem = (key: string, message: string) => problems.push({ key, message });
  const { receive, detect, forward, telemetry } = config;

  if (!receive.grpc.enabled && !receive.http.enabled && receive.kafka.topics.length === 0) {
    problem("receive", "receives nothing; enable receive.grpc or receive.http");
  }
  for (const message of topicProblems(config)) problem("receive.kafka.topics", message);
  const all = listeners(config);
  for (const [i, a] of all.entries()) {
    for (const b of all.slice(i + 1)) {
      if (listenersClash(parseListen(a.endpoint), parseListen(b.endpoint))) {
        problem(b.key, `${b.endpoint} is already used by ${a.key} (${a.endpoint}); choose another port`);
      }
    }
  }
  for (const [key, target] of [
    ...targets(forward),
    ["telemetry.traces_endpoint", telemetry.traces_endpoint] as const,
  ]) {
    if (target === undefined) continue;
    const own = all.find(({ endpoint }) => reaches(parseTarget(target), parseListen(endpoint)));
    if (own !== undefined) {
      problem(
        key,
        `${new URL(target).host} is Driftlock's own ${own.key}, which would cause a loop; set the downstream OTLP endpoint`,
      );
    }
    const { username, password } = new URL(target);
    if (username || password) {
      problem(key, "credentials in the URL are not sent; use forward.headers, such as {authorization: …}");
    }
  }

  const { signing } = config.evidence;
  const signers = [signing.key_file, signing.key_env, signing.command].filter((each) => each !== undefined);
  if (signers.length > 1) {
    problem("evidence.signing", "has several keys; set one of key_file, key_env and command");
  }
  if ((signing.command === undefined) !== (signing.public_key_file === undefined)) {
    problem("evidence.signing.public_key_file", "belongs to evidence.signing.command; set both or none");
  }
  const { checkpoints, timestamps } = config.evidence;
  if (timestamps.policy !== undefined && timestamps.url === undefined) {
    problem("evidence.timestamps.policy", "has no effect without an authority; set evidence.timestamps.url");
  }
  for (const [key, asked] of [
    ["evidence.checkpoints.url", checkpoints.url],
    ["evidence.timestamps.url", timestamps.url],
  ] as const) {
    const { username, password } = new URL(asked ?? "http://none");
    if (username || password) problem(key, "credentials in the URL are not sent; remove them");
  }
  if (forward.mode === "flagged" && !detect.enabled) {
    problem(
      "forward.mode",
      "`flagged` forwards nothing while detect.enabled is false; set detect.enabled: true or forward.mode: all",
    );
  }
  if (forward.stream_metrics && telemetry.stream_metrics === undefined) {
    problem(
      "forward.stream_metrics",
      "has no effect without a number of streams; set telemetry.stream_metrics, such as 500",
    );
  }
  if (detect.window.hop > detect.window.records) {
    const { hop, records } = detect.window;
    problem(
      "detect.window.hop",
      `must be at most detect.window.records (${records}) but is ${hop}; records between windows would be skipped`,
    );
  }

  for (const [key, target] of targets(forward)) {
    const url = new URL(target);
    if (forward.protocol === "grpc") {
      if (url.pathname !== "/" || url.search || url.hash) {
        problem(key, "has a path, which gRPC cannot use; remove it or set forward.protocol: http");
      }
    } else if (url.search || url.hash) {
      problem(key, "must end with its path; remove everything from ? or # on");
    }
    if (forward.tls !== undefined && url.protocol === "http:") {
      problem("forward.tls", `is set, but ${key} uses http; use https:// or remove forward.tls`);
    }
  }
  for (const [name, value] of Object.entries(forward.headers)) {
    if (!headerValue.test(value)) {
      problem(
        `forward.headers.${name}`,
        "must consist of visible ASCII characters without spaces at either end",
      );
    }
  }
  if (forward.retry.initial_interval > forward.retry.max_interval) {
    problem("forward.retry.initial_interval", "must be at most forward.retry.max_interval");
  }

  const { auth, api } = config;
  if (auth.enabled) {
    if (auth.tenant_header !== undefined && auth.trusted_proxies.length === 0) {
      problem(
        "auth.tenant_header",
        "is accepted only from auth.trusted_proxies, which is empty; set it or remove auth.tenant_header",
      );
    }
    if (auth.tenant_header === undefined && auth.trusted_proxies.length > 0) {
      problem(
        "auth.trusted_proxies",
        "has no effect without the header that names the tenant; set auth.tenant_header",
      );
    }
  } else {
    if (api.enabled && !isLoopback(parseListen(api.endpoint).host)) {
      problem(
        "api.endpoint",
        `${api.endpoint} is open to the network; set auth.enabled: true or bind it to 127.0.0.1`,
      );
    }
    for (const key of ["oidc", "trusted_proxies"] as const) {
      const value = auth[key];
      if (value === undefined || (Array.isArray(value) && value.length === 0)) continue;
      problem(`auth.${key}`, "has no effect while auth.enabled is false; set auth.enabled: true");
    }
  }

  const { billing } = config;
  if (billing.stripe === undefined) {
    for (const key of ["meters", "plans"] as const) {
      if (Object.values(billing[key]).some((value) => value !== undefined)) {
        problem(`billing.${key}`, "has no effect without billing.stripe");
      }
    }
  } else if (!api.enabled) {
    problem(
      "billing.stripe",
      "needs the API, where events about subscriptions arrive; set api.enabled: true",
    );
  }

  const { store: shared, ...limits } = config.limits;
  const planned = billing.plans.flatMap((plan) => Object.values(plan.limits));
  const isUnlimited = [...planned, ...Object.values(limits)].every((limit) => limit === undefined);
  if (shared !== undefined && isUnlimited && !api.enabled) {
    problem(
      "limits.store",
      "has no effect without a limit or the API; set one, such as limits.requests_per_second",
    );
  }

  const size = receive.limits.max_request_size;
  if (size > receive.limits.max_inflight_size) {
    problem("receive.limits.max_inflight_size", "must be at least receive.limits.max_request_size");
  }
  if (size > forward.queue.max_size) {
    problem(
      "forward.queue.max_size",
      "must be at least receive.limits.max_request_size, or the largest requests could never be forwarded",
    );
  }
  if (forward.queue.storage === "disk") {
    if (size >= forward.queue.disk.max_size) {
      problem(
        "forward.queue.disk.max_size",
        "must be more than receive.limits.max_request_size, or the largest requests could never be queued",
      );
    }
    if (!forward.retry.enabled) {
      problem(
        "forward.retry.enabled",
        "must be true with forward.queue.storage: disk, which retries until a request is accepted",
      );
    }
  }
  return problems;
}

/** Returns the files that the configuration names but that cannot be read. */
export function missingFiles(config: Config): Problem[] {
  const problems: Problem[] = [];
  const sections = {
    "receive.grpc.tls": config.receive.grpc.enabled ? config.receive.grpc.tls : undefined,
    "receive.http.tls": config.receive.http.enabled ? config.receive.http.tls : undefined,
    "forward.tls": config.forward.tls,
    "kafka.tls": config.kafka.tls,
    "kafka.sasl": { token_file: config.kafka.sasl?.token_file },
    detect: { key_file: config.detect.key_file },
    "evidence.signing": {
      key_file: config.evidence.signing.key_file,
      public_key_file: config.evidence.signing.public_key_file,
    },
  };
  for (const [section, tls] of Object.entries(sections)) {
    for (const [name, file] of Object.entries(tls ?? {})) {
      if (!name.endsWith("_file") || typeof file !== "string") continue;
      const why = unreadable(file);
      if (why !== undefined) problems.push({ key: `${section}.${name}`, message: `${file}: ${why}` });
    }
  }
  return problems;
}

function unreadable(file: string): string | undefined {
  try {
    accessSync(file, constants.R_OK);
    return statSync(file).isFile() ? undefined : "is not a file";
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT") return "does not exist; create it or change the path";
    if (code === "EACCES") return "is not readable by this user; change its permissions";
    return `cannot be read (${code})`;
  }
}

/** Returns warnings about settings that work but are unsafe or probably not intended. */
export function warnings(config: Config): string[] {
  const found: string[] = [];
  const { receive, forward, api, auth, silences } = config;
  for (const [i, { ends_at }] of silences.entries()) {
    if (Date.parse(ends_at) <= Date.now()) found.push(`silences.${i}: ended at ${ends_at}; remove it`);
  }
  for (const [key, target] of forward.protocol === "http" ? targets(forward) : []) {
    const path = new URL(target).pathname.replace(/\/+$/, "");
    const signal = signals.find((name) => path.endsWith(httpPath[name]));
    if (signal === undefined) continue;
    found.push(
      `${key}: sends ${signal} to ${path}${httpPath[signal]}; remove ${httpPath[signal]}, which is appended to the endpoint`,
    );
  }
  for (const protocol of ["grpc", "http"] as const) {
    const { enabled, endpoint, tls } = receive[protocol];
    if (!enabled || isLoopback(parseListen(endpoint).host)) continue;
    if (tls === undefined) {
      found.push(
        `receive.${protocol}: ${endpoint} accepts data from the network without TLS; set receive.${protocol}.tls`,
      );
    } else if (tls.client_ca_file === undefined && !auth.enabled) {
      found.push(
        `receive.${protocol}: ${endpoint} accepts data from anyone on the network; set auth.enabled or receive.${protocol}.tls.client_ca_file`,
      );
    }
  }
  if (api.enabled && !isLoopback(parseListen(api.endpoint).host)) {
    found.push(
      `api: keys and responses are sent through ${api.endpoint} unencrypted; put a proxy with TLS in front of it`,
    );
  }
  const { kafka } = config;
  if (kafka.sasl !== undefined && kafka.tls === undefined) {
    found.push("kafka.sasl: credentials and data are sent to the brokers unencrypted; set kafka.tls");
  }
  if (kafka.tls?.insecure_skip_verify) {
    found.push(
      "kafka.tls.insecure_skip_verify: the brokers' certificates are not checked; set kafka.tls.ca_file",
    );
  }
  const { store: shared } = config.limits;
  if (shared?.startsWith("redis:") && !isLoopback(parseTarget(shared).host)) {
    found.push(
      "limits.store: the password and the names of tenants are sent unencrypted; use a rediss:// URL",
    );
  }
  const open = targets(forward).some(
    ([, url]) => new URL(url).protocol === "http:" && !isLoopback(parseTarget(url).host),
  );
  if (open) {
    found.push("forward: data leaves this machine unencrypted; use an https:// endpoint");
  }
  if (forward.tls?.insecure_skip_verify) {
    found.push(
      "forward.tls.insecure_skip_verify: the downstream's certificate is not checked; set forward.tls.ca_file",
    );
  }
  return found;
}
